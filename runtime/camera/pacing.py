"""Which frames are taken, and when."""

from __future__ import annotations

import threading
import time

_EARLY = 0.25
"""Part of a period that a camera's frame may come before its time: cameras are not punctual."""


class Clock:
    """Seconds, and waits that end when ``stop`` is set."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def now(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._stop.wait(max(0.0, seconds))

    @property
    def stopped(self) -> bool:
        """Whether ``stop`` is set."""
        return self._stop.is_set()


class Pace:
    """Up to ``fps`` frames a second; None: as they come."""

    def __init__(self, fps: float | None) -> None:
        self._period = None if fps is None else 1.0 / fps
        self._due: float | None = None

    def remaining(self, now: float) -> float:
        """Seconds until the next frame is due; 0 if it is."""
        return 0.0 if self._due is None else max(0.0, self._due - now)

    def is_due(self, now: float) -> bool:
        """Whether a frame that a camera gives now is to be taken."""
        return self._period is None or self.remaining(now) <= _EARLY * self._period

    def took(self, now: float) -> None:
        """A frame was taken: the next is due a period after this one was, not after it came."""
        if self._period is not None:
            late = self._due is None or now - self._due > self._period
            self._due = (now if late or self._due is None else self._due) + self._period
