"""What people are told to install."""

from __future__ import annotations

from pathlib import Path

import pytest

from spit_edge.base.install import installed_versions, pip_install

ROOT = Path(__file__).parents[2]
PRODUCT = (
    "spit_edge",
    "spit_ref",
    "plugins",
    "runtime",
    "export",
    "benchmarks",
    "docs",
    "README.md",
)


def test_an_extra_is_what_it_consists_of() -> None:
    assert pip_install("openvino") == "pip install 'openvino>=2025.0'"
    # An extra of extras: each package once.
    command = pip_install("export")
    assert command.count("'onnxruntime>=") == 1 and "'torch>=" in command
    assert "spit-edge" not in command


def test_an_extra_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="no extra 'onnx'"):
        pip_install("onnx")


def test_versions_of_what_is_installed() -> None:
    found = installed_versions("numpy", "no-such-package")
    assert list(found) == ["numpy"] and found["numpy"][0].isdigit()


def test_nobody_is_told_to_get_the_package_from_an_index() -> None:
    for name in PRODUCT:
        place = ROOT / name
        files = [place] if place.is_file() else [*place.rglob("*.py"), *place.rglob("*.md")]
        for path in files:
            if path.name != "install.py":
                assert "install 'spit-edge" not in path.read_text(encoding="utf-8"), path
