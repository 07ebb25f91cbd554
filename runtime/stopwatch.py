"""Times of the stages of one run."""

from __future__ import annotations

import time


class Stopwatch:
    """Runs from its making on.

    milliseconds  by stage; laps of the same stage add up
    """

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """What happened since the last lap belongs to ``stage``."""
        now = time.perf_counter()
        taken = (now - self._last) * 1e3
        self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + taken
        self._last = now
