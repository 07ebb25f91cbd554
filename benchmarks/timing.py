"""Time several functions fairly: in turn, so that a slow minute hits all, on as many threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

ROUND_SECONDS = 0.05
"""A function that is faster is repeated within a round for about that long."""


@dataclass(frozen=True)
class Timing:
    """Milliseconds per call: median and the 10th and 90th percentile of the rounds."""

    median: float
    p10: float
    p90: float

    def each(self, parts: int) -> Timing:
        """The timing of one of the equal parts that a call does."""
        return Timing(self.median / parts, self.p10 / parts, self.p90 / parts)


def time_in_turn(
    functions: Mapping[str, Callable[[], object]], *, rounds: int
) -> dict[str, Timing]:
    """Warm each function up, then call all of them in turn, ``rounds`` times.

    What is repeated within a round counts with its mean.
    """
    repeats = {name: _repeats(function) for name, function in functions.items()}
    samples: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                function()
            samples[name].append((time.perf_counter() - start) * 1e3 / repeats[name])
    return {name: summary(taken) for name, taken in samples.items()}


@contextmanager
def use_threads(threads: int) -> Iterator[None]:
    """Let PyTorch and OpenCV use ``threads`` threads; PyTorch gets its own number back."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        import cv2

        cv2.setNumThreads(threads)
    except ImportError:
        pass  # then there is no OpenCV to measure
    try:
        yield
    finally:
        torch.set_num_threads(before)


def summary(samples: list[float]) -> Timing:
    """The timing of a function from its rounds."""
    low, middle, high = (float(q) for q in np.percentile(samples, (10, 50, 90)))
    return Timing(median=middle, p10=low, p90=high)


def _repeats(function: Callable[[], object]) -> int:
    """Calls to a round, found while the function is warmed up: at least two calls unless slow."""
    taken = _seconds(function)
    if taken < 1.0:
        taken = _seconds(function)
    return max(1, int(ROUND_SECONDS / max(taken, 1e-6)))


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
