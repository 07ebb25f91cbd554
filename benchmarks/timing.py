"""Time several functions fairly: in turn, round by round, so that a slow minute hits all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Milliseconds per call."""

    median: float
    fastest: float
    slowest: float


def time_in_turn(
    functions: Mapping[str, Callable[[], object]], *, rounds: int = 9, seconds: float = 0.2
) -> dict[str, Timing]:
    """Call each function once unmeasured, then ``rounds`` times in turn; a fast one is repeated
    within a round for about ``seconds`` / ``rounds``, and its mean counts."""
    repeats = {}
    for name, function in functions.items():
        function()
        start = time.perf_counter()
        function()
        once = max(time.perf_counter() - start, 1e-6)
        repeats[name] = max(1, int(seconds / rounds / once))
    samples: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                function()
            samples[name].append((time.perf_counter() - start) * 1e3 / repeats[name])
    return {
        name: Timing(float(np.median(taken)), min(taken), max(taken))
        for name, taken in samples.items()
    }
