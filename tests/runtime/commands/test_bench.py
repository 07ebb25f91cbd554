"""``python -m runtime bench``: figures, JSON, power and refusals."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from spit_edge.runtime.__main__ import main
from spit_edge.runtime.bench.measure import Limit, latency_of, measure_throughput, used_gpu_memory
from spit_edge.runtime.commands import bench as command
from spit_edge.runtime.images import sample_photos
from spit_edge.runtime.jetson.board import Board
from spit_edge.runtime.jetson.clocks import Clock
from tests.runtime.jetson.test_tegrastats import LINE, fake_tegrastats

ORIN = Board("Jetson", "6.2", "36.4.3", "12.6", None, "25W", (Clock("GPU", 9, 9, 9),), 8 << 30)


@pytest.fixture
def bundle(make_bundle) -> str:
    return str(make_bundle(height=40, width=56).path)


@pytest.fixture
def no_meter(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jtop", None)


def bench(bundle: str, tmp_path, *options: str) -> dict:
    file = tmp_path / "figures.json"
    words = ["bench", bundle, "--backend", "onnxruntime", "--json", str(file), *options]
    assert main(words) == 0
    return json.loads(file.read_bytes())


def test_percentiles() -> None:
    latency = latency_of([float(value) for value in range(101)])
    assert (latency.p50, latency.p90, latency.p99, latency.mean) == (50.0, 90.0, 99.0, 50.0)
    assert (latency.min, latency.max, latency.runs) == (0.0, 100.0, 101)


def test_limits() -> None:
    assert list(Limit(runs=3).turns()) == [0, 1, 2]
    assert list(Limit(seconds=1e-9).turns()) == [0]
    start = time.monotonic()
    for _ in Limit(seconds=0.05).turns():
        time.sleep(0.001)
    assert 0.05 <= time.monotonic() - start < 5


class Slow:
    """A session that computes one batch in 10 ms in the background; ``most`` were in flight."""

    def __init__(self) -> None:
        self.free = self.flying = self.most = 0

    def submit(self, batch, *, truncate: bool) -> SimpleNamespace:
        self.flying += 1
        self.most = max(self.most, self.flying)
        self.free = max(self.free, time.monotonic()) + 0.01
        return SimpleNamespace(result=lambda ready=self.free: self.wait(ready))

    def wait(self, ready: float) -> None:
        self.flying -= 1
        time.sleep(max(0.0, ready - time.monotonic()))


@pytest.mark.parametrize("in_flight", [1, 2])
def test_throughput_keeps_batches_in_flight(in_flight) -> None:
    slow = Slow()
    batch = np.zeros((4, 3, 2, 2), np.uint8)
    rate = measure_throughput(slow, [batch], Limit(runs=10), in_flight)
    assert slow.most == in_flight and slow.flying == 0
    assert rate.images == 40 and rate.seconds >= 0.1 and 100 < rate.images_per_second <= 400


def test_figures(bundle, tmp_path, capsys, no_meter) -> None:
    figures = bench(bundle, tmp_path, "--runs", "4", "--batch", "2", "--warmup", "1")
    latency, (single, double) = figures["latency"], figures["throughput"]
    assert latency["runs"] == 4 and latency["min"] <= latency["p50"] <= latency["p99"]
    assert single["images_per_second"] == pytest.approx(2e3 / latency["mean"])
    assert double["in_flight"] == 2 and double["images"] == 8
    assert sorted(figures["stages"]) == ["features", "labels", "trunk"]
    assert figures["stages"]["trunk"]["runs"] == 4
    assert 5 < figures["regions"] < 64 and figures["memory_peak"] > 1 << 26
    assert figures["energy"] is None and figures["jetson"] is None
    assert figures["model"] == "spit_tiny" and figures["versions"]["onnxruntime"]
    printed = capsys.readouterr()
    assert "p99" in printed.out and "labels" in printed.out and "not measured" in printed.out
    assert "two batches in flight" in printed.err


def test_a_back_end_without_stages(bundle, tmp_path, capsys, no_meter) -> None:
    options = ("--backend", "onnxruntime-graph", "--seconds", "0.01")
    assert bench(bundle, tmp_path, *options)["stages"] is None
    assert "cannot tell them apart" in capsys.readouterr().out


def test_energy(bundle, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(command, "find_board", lambda: ORIN)
    fake_tegrastats(tmp_path, f"while echo '{LINE.format(8000)}'; do sleep 0.02; done\n")
    figures = bench(bundle, tmp_path, "--seconds", "0.5")
    energy = figures["energy"]
    assert energy["power"]["watts"] == 8.0 and energy["power"]["samples"] >= 3
    rate = figures["throughput"][1]["images_per_second"]
    assert energy["millijoules_per_image"] == pytest.approx(8000 / rate)
    assert figures["jetson"]["power_mode"] == "25W"
    assert figures["jetson"]["clocks"] == [
        {"name": "GPU", "minimum": 9, "maximum": 9, "current": 9}
    ]
    printed = capsys.readouterr().out
    assert "8.00 W" in printed and "VDD_IN" in printed and "GPU clock locked at 9 MHz" in printed


def test_an_image_of_ones_own(bundle, tmp_path, no_meter) -> None:
    photograph = str(sample_photos()["chelsea"])
    figures = bench(bundle, tmp_path, "--runs", "1", "--image", photograph)
    assert figures["regions"] == int(figures["regions"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--batch", "99"], "batches of up to"),
        (["--image", "none.jpg"], "no image file"),
        (["--json", "none/figures.json"], "no folder"),
        (["--backend", "none"], "choose one of"),
    ],
)
def test_refusals(bundle, capsys, options, says) -> None:
    assert main(["bench", bundle, "--runs", "1", *options]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", [["--runs", "0"], ["--seconds", "nan"], ["--seconds", "1", "--runs", "1"]]
)
def test_wrong_options(bundle, capsys, options) -> None:
    with pytest.raises(SystemExit):
        main(["bench", bundle, *options])


def test_memory(monkeypatch) -> None:
    # In a process of its own: in a large one the system may take back as much as is asked for.
    program = (
        "from spit_edge.base.memory import peak_resident_memory, resident_memory; "
        "import numpy; "
        "before = resident_memory(); assert before <= peak_resident_memory(); "
        "ballast = numpy.ones(64 << 20, numpy.uint8); held = resident_memory(); del ballast; "
        "print(held - before, peak_resident_memory() - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(int(grown) > 60 << 20 for grown in done.stdout.split())
    device = SimpleNamespace(total_memory=8 << 30, free_memory=3 << 30)
    monkeypatch.setattr("spit_edge.runtime.bench.measure.current_gpu", lambda: device)
    assert used_gpu_memory() == 5 << 30
