"""What OpenCV reads: cameras, video files, addresses and GStreamer pipelines."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from spit_edge.base.install import pip_install
from spit_edge.runtime.camera.addresses import without_secrets
from spit_edge.runtime.errors import BackendUnavailable, CameraError
from spit_edge.runtime.images import Pixels

LONGEST_STRETCH = 10_000
"""Frames of a file that cannot be decoded, one after another, before it counts as ended."""
_SLACK = 2
"""Frames that may be missing: some containers only give their length in time, rounded."""


class OpenCvSource:
    """What ``cv2.VideoCapture`` opens.

    target  a camera's number, or a file, address or pipeline
    api     the name of OpenCV's reader, such as "CAP_GSTREAMER"; "CAP_ANY" lets it choose

    Frames of a file that cannot be decoded are skipped, and their number is warned of at its end.

    Raises BackendUnavailable without OpenCV, or where it lacks that reader.
    """

    file: Path | None = None

    def __init__(self, target: int | str, api: str, *, live: bool) -> None:
        self.live = live
        self._target, self._api = target, api
        self._capture: Any = None
        number = isinstance(target, int)
        self._name = f"/dev/video{target}" if number else without_secrets(str(target))
        self._given = self._skipped = self._announced = 0
        self._reached = False
        self._cv2 = _opencv()
        if api == "CAP_GSTREAMER" and not _has_gstreamer(self._cv2):
            raise BackendUnavailable(
                "this OpenCV was built without GStreamer, as pip's builds are: use the system's, "
                "in a virtual environment made with --system-site-packages"
            )

    def open(self) -> None:
        self.close()
        capture = self._opened()
        if capture is None or not capture.isOpened():
            if capture is not None:
                capture.release()
            raise CameraError(f"{self._name} cannot be opened: is it there, and free to use?")
        self._given = self._skipped = 0
        self._reached = False
        self._announced = 0 if self.live else _announced(capture, self._cv2)
        self._capture = capture

    def read(self) -> Pixels | None:
        if self._capture is None:
            raise CameraError(f"{self._name} is not open")
        for failed in range(self._tries()):
            frame = self._frame(self._capture)
            if frame is not None:
                self._skipped += failed
                self._given += 1
                return frame
            if self.live:
                raise CameraError(f"{self._name} gives no more frames")
        self._end()
        return None

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _opened(self) -> Any:
        try:
            return self._cv2.VideoCapture(self._target, getattr(self._cv2, self._api))
        except self._cv2.error:  # its words have the address in them
            return None

    def _tries(self) -> int:
        """How often to ask for a frame: as many as are left of those that were announced."""
        left = self._announced - self._given - self._skipped
        return min(max(left, 1), LONGEST_STRETCH)

    def _frame(self, capture: Any) -> Pixels | None:
        try:
            good, frame = capture.read()
        except self._cv2.error:
            return None
        if not good:
            return None
        if self._announced:
            rate = float(capture.get(self._cv2.CAP_PROP_FPS))
            seconds = float(capture.get(self._cv2.CAP_PROP_POS_MSEC)) / 1e3
            # By its time it is the last one, though others were passed over.
            self._reached = rate > 0.0 and seconds * rate + 1.5 >= self._announced
        return _as_rgb(frame)

    def _end(self) -> None:
        """Tell what was not there.  Raises CameraError if frames are missing at the end."""
        missing = self._announced - self._given
        if missing <= (_SLACK if self._reached else 0) and not self._skipped:
            return
        count = f"{self._given} of {self._announced} frames"
        if self._reached or missing <= _SLACK or _whole_avi(self._target):
            number = max(missing, self._skipped)
            warnings.warn(
                f"{self._name} gave {count}: {number} cannot be decoded and were skipped",
                stacklevel=3,
            )
            return
        raise CameraError(
            f"{self._name} ends before its length, after {count}: it is cut or damaged"
        )


def _announced(capture: Any, cv2: Any) -> int:
    """Number of frames, or 0 if the reader cannot tell."""
    count = float(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    return int(count) if 0.0 < count < 2**31 else 0


def _whole_avi(target: int | str) -> bool:
    """Whether it is an AVI file as long as it says: its frames have no times to tell the end by."""
    try:
        with open(target, "rb") as stream:
            head = stream.read(12)
            size = stream.seek(0, os.SEEK_END)
    except OSError:
        return False
    return head[:4] + head[8:] == b"RIFFAVI " and int.from_bytes(head[4:8], "little") + 8 <= size


def _opencv() -> Any:
    # OpenCV and FFmpeg write addresses, passwords and all, to stderr; what happens is told here.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        import cv2
    except ImportError as error:
        raise BackendUnavailable(
            f"cameras and videos need OpenCV ({error}): {pip_install('camera')}, or on a "
            "Jetson apt install python3-opencv, which needs numpy below 2"
        ) from error
    return cv2


def _has_gstreamer(cv2: Any) -> bool:
    return re.search(r"GStreamer: +YES", cv2.getBuildInformation()) is not None


def _as_rgb(frame: Any) -> Pixels:
    """OpenCV's BGR, or grey, as RGB."""
    if frame.ndim == 2:
        frame = frame[:, :, np.newaxis]
    channels = [0, 0, 0] if frame.shape[2] == 1 else [2, 1, 0]
    return np.ascontiguousarray(frame[:, :, channels])
