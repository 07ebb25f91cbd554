"""Calls with anything in them: valid ones give what the reference gives, others a ValueError or
TypeError that names the op and an argument that is wrong.  Nothing crashes.

SPIT_FUZZ_SECONDS makes each test go on for that long (``make fuzz``).
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spit_edge.base.contracts import CONTRACTS
from spit_edge.plugins.generate import snake
from spit_edge.plugins.native import ops
from spit_edge.spit_ref.pixel_features import pixel_features, unit_pixels, vertex_features
from spit_edge.spit_ref.region_features import region_features
from spit_edge.spit_ref.superpixel_merge import merge_vertices
from spit_edge.spit_ref.tessellation import voronoi_tessellation
from tests.plugins.native.native_calls import (
    BAD_FOR_FEATURES,
    BAD_FOR_MERGE,
    BAD_FOR_VORONOI,
    feature_call,
    merge_call,
    spoil,
    voronoi_call,
)

SECONDS = float(os.environ.get("SPIT_FUZZ_SECONDS", "0"))

fuzz = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)

NAMES = {snake(contract.name): contract.name for contract in CONTRACTS}

calls: Counter[tuple[str, bool]] = Counter()  # by op and whether they were valid

# What an error about these arguments may call them.
ALSO = {"images": ("batch", "height", "width"), "seeds": ("batch",), "counts": ("labels",)}


def judge(op: str, run: Callable[[], Any], wrong: list[str]) -> Any:
    """The result of a valid call; None after the error that a spoilt one must raise."""
    calls[op, not wrong] += 1
    if not wrong:
        return run()
    names = [name for one in wrong for name in (one, *ALSO.get(one, ()))]
    # Spoilt images no longer fit the labels, and the other way round.
    if "images" in wrong:
        names += ["labels", "counts", "pixels", "max_tokens"]
    with pytest.raises((ValueError, TypeError), match=rf"^{NAMES[op]}: ({'|'.join(names)})\b"):
        run()
    return None


def repeat(op: str, check: Callable[[], None]) -> None:
    end = time.monotonic() + SECONDS
    check()
    while time.monotonic() < end:
        check()
    print(f"{op}: {calls[op, True]} valid calls, {calls[op, False]} others")


def same_bits(actual: NDArray[Any], expected: torch.Tensor) -> None:
    wanted = expected.numpy()
    assert (actual.dtype, actual.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_array_equal(actual.view(np.int32), wanted.view(np.int32))


def test_merge() -> None:
    @fuzz
    @given(st.data())
    def check(data: st.DataObject) -> None:
        call = data.draw(merge_call())
        wrong = spoil(data.draw, call, BAD_FOR_MERGE)
        found = judge("superpixel_merge", lambda: ops.superpixel_merge(**call), wrong)
        if found is None:
            return
        images = torch.from_numpy(call["images"])
        expected = merge_vertices(
            vertex_features(pixel_features(unit_pixels(images, call["pixels"]))),
            levels=call["levels"],
            compactness=call["compactness"] or 0.0,
            final_threshold=call["final_threshold"],
        )
        same_bits(found[0], expected[0])
        same_bits(found[1], expected[1])

    repeat("superpixel_merge", check)


def test_features() -> None:
    @fuzz
    @given(st.data())
    def check(data: st.DataObject) -> None:
        call = data.draw(feature_call())
        wrong = spoil(data.draw, call, BAD_FOR_FEATURES)
        found = judge("region_features", lambda: ops.region_features(**call), wrong)
        if found is None:
            return
        same = ("max_tokens", "bins", "sigma", "gradient", "interpolation")
        expected = region_features(
            unit_pixels(torch.from_numpy(call["images"]), call["pixels"]),
            torch.from_numpy(call["labels"].astype(np.int32)),
            torch.from_numpy(call["counts"].astype(np.int32)),
            **{name: call[name] for name in same},
        )
        same_bits(found, expected)

    repeat("region_features", check)


def test_voronoi() -> None:
    @fuzz
    @given(st.data())
    def check(data: st.DataObject) -> None:
        call = data.draw(voronoi_call())
        wrong = spoil(data.draw, call, BAD_FOR_VORONOI)
        found = judge("voronoi_tessellation", lambda: ops.voronoi_tessellation(**call), wrong)
        if found is None:
            return
        expected = voronoi_tessellation(call["seeds"], call["height"], call["width"])
        same_bits(found[0], expected[0])
        same_bits(found[1], expected[1])

    repeat("voronoi_tessellation", check)
