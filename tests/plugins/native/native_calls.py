"""Calls of the native ops, and what makes them wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

Call = dict[str, Any]
Faults = dict[str, st.SearchStrategy[Any]]

HOW: Faults = {
    "threads": st.sampled_from([None, 1, 2, 3, 7, 16]),
    "executor": st.sampled_from(["threads", "threads", "shuffled"]),
    "seed": st.integers(-(2**70), 2**70),
}
NOT_WHOLE = st.sampled_from([1.5, True, "4", 2**31, -(2**31) - 1])
NOT_REAL = st.sampled_from(["0.1", True, 1j, float("nan"), float("inf"), -1e-300, -(10**400)])
NOT_TEXT = st.sampled_from(["", "gpu", 3, b"threads"])
BAD_HOW: Faults = {
    "threads": st.sampled_from([0, -1, 257, 2**31, 1.5, "2"]),
    "executor": NOT_TEXT,
    "seed": st.sampled_from([1.5, "1", None]),
}
BAD_FOR_IMAGES: Faults = {
    "images": st.sampled_from(
        [
            None,
            [[1]],
            np.zeros((4, 5), np.uint8),
            np.zeros((1, 4, 4, 5), np.uint8),
            np.zeros((0, 3, 4, 5), np.uint8),
            np.zeros((1, 3, 0, 5), np.float32),
            np.zeros((1, 3, 4, 0), np.float32),
            np.zeros((1, 3, 4, 5), np.float64),
            np.zeros((1, 3, 4, 5), np.int8),
            np.zeros((1, 3, 4, 5), np.float16),
            np.zeros((1, 3, 4, 5), ">f4"),
            np.zeros((1, 3, 4, 5), bool),
            np.zeros((1, 3, 4, 5), object),
            np.zeros((1, 3, 4, 5), np.complex64),
            np.zeros((1, 3, 4, 5), "U1"),
            np.broadcast_to(np.uint8(0), (1, 3, 2**14, 2**13)),
            np.broadcast_to(np.float32(0), (2**8, 3, 2**12, 2**12)),
            torch.zeros(1, 3, 4, 5, dtype=torch.float64),
            torch.zeros(1, 3, 4, 5, dtype=torch.bfloat16),
            torch.zeros(1, 3, 4, 5).to_sparse(),
            torch.zeros(1, 3, 4, 5, device="meta"),
        ]
    ),
    "pixels": NOT_TEXT,
    **BAD_HOW,
}
BAD_FOR_MERGE: Faults = {
    **BAD_FOR_IMAGES,
    "levels": st.one_of(NOT_WHOLE, st.integers(-(2**31), -1), st.integers(17), st.none()),
    "compactness": st.one_of(NOT_REAL, st.floats(1.0, exclude_min=True)),
    "final_threshold": st.one_of(
        NOT_REAL,
        st.none(),
        st.floats(max_value=0.0, exclude_max=True),
        st.floats(8.0, exclude_min=True),
    ),
}
BAD_FOR_FEATURES: Faults = {
    **BAD_FOR_IMAGES,
    "labels": st.sampled_from([None, "float", "shape", "gap", "pixel"]),
    "counts": st.sampled_from([None, "float", "shape", "zero", "negative", "pixels"]),
    "max_tokens": st.one_of(NOT_WHOLE, st.integers(-(2**31), 0), st.integers(2**20 + 1, 2**31)),
    "bins": st.one_of(NOT_WHOLE, st.integers(-(2**31), 1), st.integers(65, 2**31)),
    "sigma": st.one_of(NOT_REAL, st.sampled_from([0.0, 9e-4, 10.1, -0.1])),
    "gradient": st.sampled_from([None, 2, "yes"]),
    "interpolation": NOT_TEXT,
}
BAD_FOR_VORONOI: Faults = {
    "seeds": st.sampled_from([[], None, 1.5, "1", [1, None], [2.0], [[1]]]),
    "height": st.one_of(NOT_WHOLE, st.integers(-(2**31), 0), st.integers(2**26 + 1, 2**31 - 1)),
    "width": st.one_of(NOT_WHOLE, st.integers(-(2**31), 0), st.integers(2**26 + 1, 2**31 - 1)),
    **BAD_HOW,
}


def six_digits(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high).map(lambda value: float(f"{value:.6g}"))


@st.composite
def image_call(draw: st.DrawFn) -> Call:
    shape = (draw(st.integers(1, 3)), 3, draw(st.integers(1, 20)), draw(st.integers(1, 20)))
    pixels = draw(st.sampled_from(["uint8", "unit", "imagenet"]))
    if draw(st.booleans()):
        values = draw(st.sampled_from([st.integers(0, 255), st.sampled_from([0, 90, 91, 255])]))
        images: NDArray[Any] = draw(hnp.arrays(np.uint8, shape, elements=values))
        pixels = "uint8"
    else:
        images = draw(hnp.arrays(np.float32, shape, elements=st.floats(width=32)))
    return {
        "images": images,
        "layout": "NCHW",
        "pixels": pixels,
        **{k: draw(v) for k, v in HOW.items()},
    }


@st.composite
def merge_call(draw: st.DrawFn) -> Call:
    return {
        **draw(image_call()),
        "levels": draw(st.integers(0, 8)),
        "compactness": draw(st.one_of(st.none(), six_digits(0.0, 1.0))),
        "final_threshold": draw(
            st.one_of(st.just(0.0), six_digits(0.0, 2.0), six_digits(0.0, 8.0))
        ),
    }


@st.composite
def feature_call(draw: st.DrawFn) -> Call:
    call = draw(image_call())
    batch, _, height, width = call["images"].shape
    wanted = draw(hnp.arrays(np.int64, (batch, height * width), elements=st.integers(0, 30)))
    dense = [np.unique(row, return_inverse=True)[1] for row in wanted]
    kind = draw(st.sampled_from([np.int32, np.int64, np.uint16]))
    return {
        **call,
        "labels": np.stack(dense).reshape(batch, height, width).astype(kind),
        "counts": np.array([row.max() + 1 for row in dense], dtype=kind),
        "max_tokens": draw(st.one_of(st.none(), st.integers(1, 40))),
        "bins": draw(st.one_of(st.integers(2, 17), st.sampled_from([33, 64]))),
        "sigma": draw(six_digits(1e-3, 10.0)),
        "gradient": draw(st.booleans()),
        "interpolation": draw(st.sampled_from(["bilinear", "nearest"])),
    }


@st.composite
def voronoi_call(draw: st.DrawFn) -> Call:
    return {
        "seeds": draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=3)),
        "height": draw(st.integers(1, 40)),
        "width": draw(st.integers(1, 40)),
        **{k: draw(v) for k, v in HOW.items()},
    }


def spoil(draw: st.DrawFn, call: Call, faults: Faults) -> list[str]:
    """Makes up to two arguments of the call wrong; returns their names."""
    some = st.lists(st.sampled_from(sorted(faults)), min_size=1, max_size=2, unique=True)
    names = draw(some) if draw(st.booleans()) else []
    for name in names:
        value = draw(faults[name])
        if name in ("labels", "counts") and isinstance(value, str):
            value = spoilt_partition(draw, call, value, name)
        call[name] = value
    return names


def spoilt_partition(draw: st.DrawFn, call: Call, how: str, name: str) -> NDArray[Any]:
    array: NDArray[Any] = call[name].astype(np.int64)
    if how == "float":
        return array.astype(np.float32)
    if how == "shape":
        return array[None]
    at = tuple(draw(st.integers(0, size - 1)) for size in array.shape)
    if how == "gap":
        array[at[0]] += array[at[0]] > 0
        array[at[0]] -= array[at[0]].max() <= 0
    else:
        too_large = call["images"][0, 0].size + 1 if isinstance(call["images"], np.ndarray) else 1
        array[at] = {
            "pixel": draw(st.sampled_from([-1, 400, 2**31 - 1, -(2**31), 2**40])),
            "zero": 0,
            "negative": -1,
            "pixels": max(too_large, 401),
        }[how]
    return array
