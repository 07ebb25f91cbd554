"""Ctrl-C ends an op that would run for long, and the next call is as ever."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spit_edge.plugins.native import ops

RNG = np.random.default_rng(0)
BATCH = RNG.integers(0, 256, (600, 3, 256, 256), dtype=np.uint8)
SMALL = BATCH[:1, :, :64, :64]


def merge(executor: ops.Executor) -> Any:
    return ops.superpixel_merge(BATCH, executor=executor)


def features(executor: ops.Executor) -> Any:
    labels = np.broadcast_to(
        np.arange(256 * 256, dtype=np.int32).reshape(256, 256), (600, 256, 256)
    )
    counts = np.full(600, 256 * 256, np.int32)
    return ops.region_features(BATCH, labels, counts, max_tokens=16, executor=executor)


def cells(executor: ops.Executor) -> Any:
    return ops.voronoi_tessellation(range(600), 256, 256, executor=executor)


@pytest.mark.parametrize("executor", ["threads", "shuffled"])
@pytest.mark.parametrize("op", [merge, features, cells])
def test_interrupted(op: Callable[[ops.Executor], Any], executor: ops.Executor) -> None:
    expected = ops.superpixel_merge(SMALL)
    sent: list[float] = []

    def interrupt() -> None:
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.5, interrupt)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            op(executor)
        assert time.monotonic() - sent[0] < 2.0
    finally:
        timer.join()
    for found, wanted in zip(ops.superpixel_merge(SMALL), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_handler_that_calls_an_op() -> None:
    expected = ops.superpixel_merge(BATCH[:100])
    found: list[Any] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: found.append(ops.superpixel_merge(BATCH[:2])))
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        outer = ops.superpixel_merge(BATCH[:100])
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, before)
    for one, inner, wanted in zip(outer, found[0], expected, strict=True):
        np.testing.assert_array_equal(one, wanted)
        np.testing.assert_array_equal(inner, wanted[:2])
