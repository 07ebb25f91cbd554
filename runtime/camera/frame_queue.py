"""Frames between the thread that reads them and the one that runs the model."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args

from spit_edge.runtime.images import Pixels

Drop = Literal["oldest", "newest", "none"]
DROPS: tuple[Drop, ...] = get_args(Drop)


@dataclass(frozen=True)
class Frame:
    """A picture, RGB uint8 [h, w, 3], and when it was read.

    number  counts the frames that were read, from 0
    moment  by the clock that intervals are taken from, in seconds
    taken   by the calendar, in UTC
    file    that it comes from, relative to the folder; None if it is of no folder
    """

    number: int
    moment: float
    taken: datetime
    pixels: Pixels
    file: Path | None = None


class FrameQueue:
    """Up to ``size`` frames.  When it is full,

    oldest  the frame that waits longest makes room: what comes out is as fresh as possible
    newest  the new frame is dropped
    none    ``put`` waits
    """

    def __init__(self, size: int, drop: Drop) -> None:
        self.dropped = 0
        self._size, self._drop = size, drop
        self._frames: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._error: Exception | None = None

    def put(self, frame: Frame) -> None:
        """Add a frame; after the end it is forgotten."""
        with self._changed:
            if self._drop == "none":
                self._changed.wait_for(lambda: len(self._frames) < self._size or self._ended)
            if self._ended:
                return
            if len(self._frames) == self._size:
                self.dropped += 1
                if self._drop == "newest":
                    return
                self._frames.popleft()
            self._frames.append(frame)
            self._changed.notify_all()

    def get(self, timeout: float) -> Frame | None:
        """The next frame, waited for up to ``timeout`` seconds; None if there is none."""
        with self._changed:
            self._changed.wait_for(lambda: self._frames or self._ended, timeout)
            if not self._frames:
                return None
            frame = self._frames.popleft()
            self._changed.notify_all()
            return frame

    def end(self, error: Exception | None = None) -> None:
        """No more frames come; those that wait can still be had."""
        with self._changed:
            if not self._ended:
                self._ended, self._error = True, error
            self._changed.notify_all()

    def check(self) -> None:
        """Raise the error that the frames ended with, if there was one."""
        with self._changed:
            if self._error is not None:
                raise self._error

    @property
    def exhausted(self) -> bool:
        """Whether no frame waits and none will come."""
        with self._changed:
            return self._ended and not self._frames
