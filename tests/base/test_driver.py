"""The driver's facts, asked by a file that travels to devices without the rest of the package."""

from __future__ import annotations

import ctypes

import pytest

from spit_edge.base import driver


class FakeDriver:
    """libcuda with one Orin; ``broken`` is a function that fails."""

    def __init__(self, broken: str | None = None) -> None:
        answers = {"cuDriverGetVersion": 13020, "cuDeviceGet": 0}
        for name in ("cuInit", "cuDriverGetVersion", "cuDeviceGet", "cuDeviceGetAttribute"):
            setattr(self, name, self._function(answers.get(name), name == broken))

    @staticmethod
    def _function(answer: int | None, broken: bool):
        def function(*arguments: object) -> int:
            if broken:
                return 100
            if len(arguments) == 3:
                target, attribute, _ = arguments
                target._obj.value = {75: 8, 76: 7}[attribute]
            elif answer is not None:
                arguments[0]._obj.value = answer
            return 0

        return function


def test_the_facts(monkeypatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeDriver())
    assert driver.driver_facts() == {"sm": 87, "cuda": 13020}


@pytest.mark.parametrize("broken", ["cuInit", "cuDriverGetVersion", "cuDeviceGet"])
def test_a_driver_without_a_gpu_has_none(broken, monkeypatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: FakeDriver(broken))
    assert driver.driver_facts() is None


def test_no_driver(monkeypatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert driver.driver_facts() is None


@pytest.mark.parametrize(
    ("version", "text", "bindings"),
    [
        (12060, "12.6", "cuda-bindings>=12.8,<12.9"),
        (13000, "13.0", "cuda-bindings>=12.8,<13.1"),
        (13020, "13.2", "cuda-bindings>=12.8,<13.3"),
    ],
)
def test_versions(version, text, bindings) -> None:
    assert driver.dotted(version) == text and driver.bindings_for(version) == bindings
