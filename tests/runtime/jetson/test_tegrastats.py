"""Lines of tegrastats as several Jetsons print them, and what runs it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from spit_edge.runtime.jetson import power_meter as meters
from spit_edge.runtime.jetson.power_meter import Power, mean_power, power_meter
from spit_edge.runtime.jetson.tegrastats import parse_line

LINES = (Path(__file__).parents[2] / "data" / "jetson" / "tegrastats.txt").read_text().splitlines()
PUBLISHED = dict(zip(LINES[::2], LINES[1::2], strict=True))


@pytest.mark.parametrize(
    ("device", "watts", "counted"),
    [
        ("Nano, JetPack 4.6.1", 1.750, ("POM_5V_IN",)),
        ("Xavier NX, JetPack 5.1.2", 2.763, ("VDD_IN",)),
        (
            "AGX Orin, R35",
            2.340 + 0.390 + 4.025,
            ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
        ),
        (
            "AGX Orin, R36.4.4",
            2.412 + 1.607 + 4.707,
            ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
        ),
        ("Orin Nano, R36", 5.251, ("VDD_IN",)),
        ("AGX Thor, R38.4.0", 19.780, ("VIN",)),
        (
            "Thor, R39.2.0",
            4.925 + 8.710 + 6.767,
            ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"),
        ),
        ("Orin Nano, R39.2.1", 3.462, ("VDD_IN",)),
    ],
)
def test_published_lines(device, watts, counted) -> None:
    reading = parse_line(PUBLISHED[device])
    assert reading.counted == counted and reading.watts == pytest.approx(watts)


def test_every_rail() -> None:
    assert parse_line(PUBLISHED["Orin Nano, R39.2.1"]).rails == {
        "VDD_IN": 3.462, "VDD_CPU_GPU_CV": 0.442, "VDD_SOC": 1.127,
    }  # fmt: skip
    assert parse_line(PUBLISHED["Nano, JetPack 4.6.1"]).rails == {
        "POM_5V_IN": 1.750, "POM_5V_GPU": 0.0, "POM_5V_CPU": 0.366,
    }  # fmt: skip
    assert "NC" not in parse_line(PUBLISHED["AGX Orin, R35"]).rails


def test_resting_rails_below_zero() -> None:
    reading = parse_line(
        "RAM 1/2MB (lfb 1x4MB) VDD_GPU -392mW/-392mW VDD_CPU_SOC_MSS 3924mW/3924mW"
    )
    assert reading.watts == pytest.approx(3.532)


@pytest.mark.parametrize("line", ["", "tegrastats: permission denied", "RAM", "VDD_IN 1mW/1mW"])
def test_other_lines(line) -> None:
    assert parse_line(line) is None


def test_a_line_without_rails() -> None:
    assert parse_line("RAM 4/8MB (lfb 1x4MB) CPU [off]").watts is None


def fake_tegrastats(folder: Path, body: str) -> None:
    """A command ``tegrastats`` in ``folder``, which notes its arguments and its end."""
    script = folder / "tegrastats"
    script.write_text(f'#!/bin/sh\necho "$@" > {folder}/arguments\n{body}')
    script.chmod(0o755)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setitem(sys.modules, "jtop", None)
    return tmp_path


def wait_for(condition) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def children() -> set[int]:
    """Processes that this one started and nobody waited for, zombies included."""
    return {int(pid) for pid in Path("/proc/thread-self/children").read_text().split()}


LINE = "RAM 1/2MB (lfb 1x4MB) VDD_IN {}mW/1mW"


def test_watts_are_read_along_garbage(folder) -> None:
    lines = [LINE.format(4000), "no tegrastats line", "", LINE.format(6000)]
    fake_tegrastats(folder, "".join(f"echo '{line}'\n" for line in lines) + "exec sleep 60\n")
    before, start = children(), time.monotonic()
    with power_meter() as meter:
        wait_for(lambda: len(meter.samples) == 2)
        assert len(children() - before) == 1
    assert children() == before
    assert (folder / "arguments").read_text() == "--interval 100\n"
    power = mean_power(meter, start, time.monotonic())
    assert power == Power("tegrastats", 5.0, 2, ("VDD_IN",))
    assert mean_power(meter, 0.0, start) is None and mean_power(None, 0, 1) is None


def test_bytes_that_are_no_text(folder) -> None:
    fake_tegrastats(folder, f"printf '\\377\\000\\n'; echo '{LINE.format(1500)}'; exec sleep 60\n")
    with power_meter() as meter:
        wait_for(lambda: meter.samples)
    assert meter.samples[0].watts == 1.5


def test_a_process_that_does_not_want_to_end(folder, monkeypatch) -> None:
    monkeypatch.setattr(meters, "_PATIENCE", 0.2)
    fake_tegrastats(folder, f"trap 'touch {folder}/asked' TERM\nwhile true; do sleep 0.05; done\n")
    before = children()
    with power_meter():
        assert len(children() - before) == 1
        time.sleep(0.1)
    assert (folder / "asked").exists() and children() == before


@pytest.mark.parametrize("body", ["exit 1\n", "echo garbage\n"])
def test_a_process_that_ends_at_once(folder, body) -> None:
    fake_tegrastats(folder, body)
    before = children()
    with power_meter() as meter:
        time.sleep(0.1)
    assert meter.samples == [] and children() == before


def test_the_process_ends_with_an_error_inside(folder) -> None:
    fake_tegrastats(folder, "exec sleep 60\n")
    before = children()
    with pytest.raises(KeyboardInterrupt), power_meter():
        raise KeyboardInterrupt
    assert children() == before


def test_nothing_to_measure_with(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jtop", None)
    with power_meter() as meter:
        assert meter is None


class FakeJtop:
    """The part of jetson-stats that is used: it calls back with itself."""

    def __init__(self, interval: float) -> None:
        self.power = {}
        self.closed = False

    def attach(self, callback) -> None:
        self.callback = callback

    def start(self) -> None:
        for power in ({}, {"tot": None}, {"tot": {"name": "VDD_IN", "power": 7500}}):
            self.power = power
            self.callback(self)

    def close(self) -> None:
        self.closed = True


def test_jetson_stats(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jtop", SimpleNamespace(jtop=FakeJtop))
    start = time.monotonic()
    with power_meter() as meter:
        pass
    assert meter._jtop.closed
    expected = Power("jetson-stats", 7.5, 1, ("VDD_IN",))
    assert mean_power(meter, start, time.monotonic()) == expected
