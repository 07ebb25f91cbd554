"""Prints, as JSON, the instruction set this process uses and the hashes of what it gives for
``simd_cases``."""

from __future__ import annotations

import json

import numpy as np

from spit_edge.plugins.native import _native
from tests.plugins.native.op_hashes import OpCase, line, op_cases


def simd_cases() -> list[OpCase]:
    """A third of the golden images' cases, all images with anything in them, and batches of many
    shapes."""
    known = op_cases()
    goldens = [case for case in known if case.images.shape[3] >= 100]
    rng = np.random.default_rng(11)
    shapes = rng.integers(1, 70, (12, 2)).tolist()
    noise = [
        OpCase(
            rng.integers(0, 256, (1 + i % 8, 3, height, width), dtype=np.uint8),
            compactness=0.1 * (i % 2),
            gradient=i % 3 > 0,
            nearest=i % 4 == 0,
            bins=2 + i,
            max_tokens=30 * (i + 1),
        )
        for i, (height, width) in enumerate(shapes)
    ]
    return goldens[::3] + [case for case in known if case.images.shape[3] < 100] + noise


def native_lines() -> list[str]:
    return [line(case.native(threads=2)) for case in simd_cases()]


if __name__ == "__main__":
    print(json.dumps({"simd": _native.info()["simd"], "lines": native_lines()}))
