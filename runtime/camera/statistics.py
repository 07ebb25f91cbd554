"""What a service did lately, in one line."""

from __future__ import annotations

from collections import deque

import numpy as np

from spit_edge.base.memory import resident_memory
from spit_edge.base.sizes import size_text

_LATENCIES = 10_000
"""Of a period longer than these, the last count."""


class Statistics:
    """Counts since the last line.  Totals are handed in; all seconds are of one clock."""

    def __init__(self, now: float) -> None:
        self._start = now
        self._read = self._dropped = self._done = 0
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)

    def done(self, latency: float) -> None:
        """A result is there, so many seconds after its frame was read."""
        self._done += 1
        self._latencies.append(latency)

    def elapsed(self, now: float) -> float:
        """Seconds since the last line."""
        return now - self._start

    def line(self, now: float, *, read: int, dropped: int) -> str:
        """What happened since the last line; a new period begins."""
        seconds = max(self.elapsed(now), 1e-9)
        parts = [
            f"{(read - self._read) / seconds:.1f} fps in",
            f"{self._done / seconds:.1f} out",
            f"{dropped - self._dropped} dropped",
        ]
        if self._latencies:
            p50, p90 = (1e3 * float(v) for v in np.percentile(self._latencies, (50, 90)))
            parts.append(f"latency p50 {p50:.1f} p90 {p90:.1f} ms")
        resident = resident_memory()
        if resident is not None:
            parts.append(size_text(resident))
        self._start, self._read, self._dropped, self._done = now, read, dropped, 0
        self._latencies.clear()
        return ", ".join(parts)
