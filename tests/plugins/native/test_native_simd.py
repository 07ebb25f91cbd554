"""Code for every instruction set gives the bits of the reference.

A process chooses once, by SPIT_SIMD and by what the processor has; so each choice is a process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spit_edge.plugins.native import _native
from tests.plugins.native.op_hashes import line
from tests.plugins.native.simd_hashes import native_lines, simd_cases

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def expected() -> list[str]:
    return [line(case.reference()) for case in simd_cases()]


def run_with(simd: str) -> dict[str, Any]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("simd_hashes.py"))],
        env={**os.environ, "SPIT_SIMD": simd, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_default_variant(expected: list[str]) -> None:
    assert native_lines() == expected


@pytest.mark.parametrize("simd", ["portable", "avx2"])
def test_variant(simd: str, expected: list[str]) -> None:
    found = run_with(simd)
    if simd == "avx2" and found["simd"] == "portable":
        flags = Path("/proc/cpuinfo")
        assert not (flags.exists() and " avx2 " in flags.read_text())
        pytest.skip("this processor has no AVX2")
    assert found["simd"] == simd
    assert found["lines"] == expected


def test_best_variant_is_the_default() -> None:
    assert _native.info()["simd"] in ("portable", "avx2", "avx512")
    if "SPIT_SIMD" not in os.environ:
        assert run_with("best")["simd"] == _native.info()["simd"]
