"""Where frames come from: a camera, a video, a GStreamer pipeline, or a folder of images."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from spit_edge.base.install import pip_install
from spit_edge.runtime.errors import BackendUnavailable, CameraError, ImageError
from spit_edge.runtime.images import Pixels, find_images, load_image


class Source(Protocol):
    """Frames, one after another.

    live  whether they come by themselves, whether or not somebody takes them
    """

    live: bool

    def open(self) -> None:
        """Begin, or begin again after ``close``.  Raises CameraError."""

    def read(self) -> Pixels | None:
        """The next frame, RGB uint8 [h, w, 3], waited for; None behind the last one.

        Raises CameraError if the source is lost.
        """

    def close(self) -> None:
        """Let go of it; more than once does no harm."""


class FolderSource:
    """The images of a folder in the order of their names; unreadable ones are left out."""

    live = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: Iterator[Path] = iter(())

    def open(self) -> None:
        files = find_images(self._folder)
        if not files:
            raise CameraError(f"there are no images in {self._folder}")
        self._files = iter(files)

    def read(self) -> Pixels | None:
        for file in self._files:
            try:
                return load_image(file)
            except ImageError as error:
                warnings.warn(f"left out: {error}", stacklevel=2)
        return None

    def close(self) -> None:
        self._files = iter(())


class OpenCvSource:
    """What ``cv2.VideoCapture`` opens.

    target  a camera's number, or a file, address or pipeline
    api     the name of OpenCV's reader, such as "CAP_GSTREAMER"; "CAP_ANY" lets it choose

    Raises BackendUnavailable without OpenCV, or where it lacks that reader.
    """

    def __init__(self, target: int | str, api: str, *, live: bool) -> None:
        self.live = live
        self._target, self._api, self._capture = target, api, None
        self._name = f"/dev/video{target}" if isinstance(target, int) else target
        self._cv2 = _opencv()
        if api == "CAP_GSTREAMER" and not _has_gstreamer(self._cv2):
            raise BackendUnavailable(
                "this OpenCV was built without GStreamer, as those of pip are: use the system's, "
                "in a virtual environment made with --system-site-packages"
            )

    def open(self) -> None:
        self.close()
        capture: Any = self._cv2.VideoCapture(self._target, getattr(self._cv2, self._api))
        if not capture.isOpened():
            capture.release()
            raise CameraError(f"{self._name} cannot be opened: is it there, and free to use?")
        self._capture = capture

    def read(self) -> Pixels | None:
        if self._capture is None:
            raise CameraError(f"{self._name} is not open")
        good, frame = self._capture.read()
        if good:
            return _as_rgb(frame)
        if self.live:
            raise CameraError(f"{self._name} gives no more frames")
        return None

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def find_source(text: str) -> Source:
    """The source that a word of the command line means.

    A folder; a video file; a camera as number or /dev/videoN; an address with ``://``; or a
    GStreamer pipeline, which has a ``!`` and ends in an appsink.

    Raises CameraError for what is none of these, BackendUnavailable for want of OpenCV.
    """
    place = Path(text)
    if "!" in text:
        return OpenCvSource(text, "CAP_GSTREAMER", live=True)
    if "://" in text:
        return OpenCvSource(text, "CAP_ANY", live=True)
    camera = re.fullmatch(r"(?:/dev/video)?(\d+)", text)
    if camera:
        return OpenCvSource(int(camera[1]), "CAP_V4L2", live=True)
    # A name that stays when cameras are plugged in again: /dev/v4l/by-id/..., or one of udev's.
    if place.is_char_device():
        return OpenCvSource(text, "CAP_V4L2", live=True)
    if place.is_dir():
        return FolderSource(place)
    if place.is_file():
        return OpenCvSource(text, "CAP_ANY", live=False)
    raise CameraError(
        f"{text} is no folder, file, camera (0 or /dev/video0), address or GStreamer pipeline"
    )


def _opencv() -> Any:
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
