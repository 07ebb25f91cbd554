"""The native library computes with the constants of the reference."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from spit_edge.base import contracts
from spit_edge.plugins.native import _native

# By name, because the package exports functions of the same names.
exact, pixel_features, region_features, superpixel_merge, tessellation = (
    import_module(f"spit_edge.spit_ref.{name}")
    for name in (
        "exact",
        "pixel_features",
        "region_features",
        "superpixel_merge",
        "tessellation",
    )
)

INFO = _native.info()
EXPONENTS = ("CONTRAST_LAMBDA", "CONTRAST_BETA")
FOLDED = {  # used in the native library only as part of another constant
    "CHROMA_BLUE": "TWICE_CHROMA_BLUE",
    "CHROMA_RED": "TWICE_CHROMA_RED",
    "GRADIENT_STEEPNESS": "GRADIENT_SCALE",
    "CONTRAST_MU": "CONTRAST_BETA",
}
WHOLE = {
    "HISTOGRAM_ONE": region_features,
    "SUBPIXEL": tessellation,
    "MOST_PIXELS": contracts,
}


def nearest_float32(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(nearest_float32, value))
    return float(np.float32(value))


def constants(module: ModuleType) -> set[str]:
    return {
        name
        for name, value in vars(module).items()
        if name.isupper() and not name.startswith("_") and isinstance(value, (int, float, tuple))
    }


def assert_same(native: Mapping[str, Any], module: ModuleType, name: str) -> None:
    assert native[name] == nearest_float32(getattr(module, name))


@pytest.mark.parametrize("name", sorted(constants(exact)))
def test_exact_functions(name: str) -> None:
    assert_same(INFO["exact"], exact, name)


@pytest.mark.parametrize("name", sorted(constants(superpixel_merge)))
def test_superpixel_merge(name: str) -> None:
    assert_same(INFO["superpixel_merge"], superpixel_merge, name)


@pytest.mark.parametrize("name", sorted(constants(pixel_features) - set(FOLDED) - set(EXPONENTS)))
def test_pixel_features(name: str) -> None:
    assert_same(INFO["pixel_features"], pixel_features, name)


@pytest.mark.parametrize("name", EXPONENTS)
def test_contrast_exponents(name: str) -> None:
    parts = [exact.Exponent.of(value) for value in getattr(pixel_features, name)]
    expected = tuple(nearest_float32((p.high, p.low, p.high + p.low)) for p in parts)
    assert INFO["pixel_features"][name] == expected


@pytest.mark.parametrize("name", ["CHROMA_BLUE", "CHROMA_RED"])
def test_chroma(name: str) -> None:
    expected = nearest_float32(2.0 * getattr(pixel_features, name))
    assert INFO["pixel_features"][f"TWICE_{name}"] == expected


@pytest.mark.parametrize("name", sorted(WHOLE))
def test_whole_numbers(name: str) -> None:
    assert INFO[name] == getattr(WHOLE[name], name)


def test_no_native_constant_is_left_out() -> None:
    checked = constants(exact) | constants(superpixel_merge) | constants(pixel_features)
    checked |= set(WHOLE) | set(FOLDED.values())
    groups = [value for value in INFO.values() if isinstance(value, dict)]
    names = {name for group in groups for name in group}
    names |= {name for name, value in INFO.items() if not isinstance(value, dict)}
    assert names - checked == {"simd", "threads"}
