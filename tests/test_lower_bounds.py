"""The constraints with which ``make test-oldest`` installs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests import lower_bounds
from tests.lower_bounds import ROOT, bounds_of, pinned


def test_each_bound_becomes_a_pin() -> None:
    project = {
        "dependencies": ["numpy>=1.24.2", "tomli>=2; python_version < '3'"],
        "optional-dependencies": {"a": ["Onnx_IR>=0.1", "spit-edge[b]"], "b": ["numpy>=1.24.2"]},
    }
    assert bounds_of({"project": project}) == {"numpy": "1.24.2", "onnx-ir": "0.1"}
    project["dependencies"].append("numpy>=2")
    with pytest.raises(ValueError, match="two lower bounds of numpy"):
        bounds_of({"project": project})


def test_what_is_pinned_anyway_keeps_its_version() -> None:
    assert list(pinned("# why\ntorch==2.13.0\nother>=1\n")) == ["torch==2.13.0"]
    words = [sys.executable, lower_bounds.__file__]
    lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert set(pinned((ROOT / "constraints.txt").read_text())) < set(lines)
    names = [line.partition("==")[0] for line in lines]
    assert len(names) == len(set(names)) and {"torch", "msgspec", "onnx-ir"} <= set(names)
