"""Where frames come from: a camera, a video, a GStreamer pipeline, or a folder of images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from spit_edge.runtime.camera.addresses import has_end, local_file, without_secrets
from spit_edge.runtime.camera.video import OpenCvSource
from spit_edge.runtime.errors import CameraError, ImageError
from spit_edge.runtime.images import ImageFolder, Pixels


class Source(Protocol):
    """Frames, one after another.

    live  whether they come by themselves, whether or not somebody takes them
    file  where the frame that was read last comes from, relative to the folder; None: no folder
    """

    live: bool
    file: Path | None

    def open(self) -> None:
        """Begin, or begin again after ``close``.  Raises CameraError."""

    def read(self) -> Pixels | None:
        """The next frame, RGB uint8 [h, w, 3], waited for; None behind the last one.

        Raises CameraError if the source is lost.
        """

    def close(self) -> None:
        """Let go of it; more than once does no harm."""


class FolderSource:
    """The images of a folder in the order of their names; others are named and counted."""

    live = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.file: Path | None = None
        self._images: Iterator[tuple[Path, Pixels]] = iter(())

    def open(self) -> None:
        try:
            self._images = ImageFolder(self._folder).by_file()
        except ImageError as error:
            raise CameraError(str(error)) from error

    def read(self) -> Pixels | None:
        try:
            self.file, pixels = next(self._images, (None, None))
        except ImageError as error:
            raise CameraError(str(error)) from error
        return pixels

    def close(self) -> None:
        self._images = iter(())


def find_source(text: str) -> Source:
    """The source that a word of the command line means.

    A folder; a video file; a camera as number or /dev/videoN; an address with ``://``; or a
    GStreamer pipeline, which has a ``!`` and ends in an appsink.  Addresses of video files and
    pipelines that read files have an end, as files do; others are live.

    Raises CameraError for what is none of these, BackendUnavailable for want of OpenCV.
    """
    camera = re.fullmatch(r"(?:/dev/video)?([0-9]{1,4})", text)
    if camera:
        return OpenCvSource(int(camera[1]), "CAP_V4L2", live=True)
    place = (local_file(text) if "://" in text else None) or Path(text)
    try:
        # A name that stays when cameras are plugged in again: /dev/v4l/by-id/..., or one of udev's.
        if place.is_char_device():
            return OpenCvSource(str(place), "CAP_V4L2", live=True)
        if place.is_dir():
            return FolderSource(place)
        if place.is_file():
            return OpenCvSource(str(place), "CAP_ANY", live=False)
    except (OSError, ValueError):  # too long for a name, or with a 0 in it: no file
        pass
    if "!" in text:
        return OpenCvSource(text, "CAP_GSTREAMER", live=not has_end(text))
    if "://" in text and place == Path(text):
        return OpenCvSource(text, "CAP_ANY", live=not has_end(text))
    raise CameraError(
        f"{without_secrets(text)} is not a folder, file, camera (0 or /dev/video0), address or "
        "GStreamer pipeline"
    )
