"""Jetsons are recognized by what real ones say, and by nothing else."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spit_edge.runtime.commands import doctor
from spit_edge.runtime.jetson.board import Board, command_output, find_board
from spit_edge.runtime.jetson.clocks import parse_clocks, power_mode, read_clocks
from spit_edge.runtime.jetson.software import (
    cuda_version,
    installed_packages,
    jetpack_version,
    l4t_version,
    tensorrt_version,
)
from spit_edge.runtime.jetson.tegrastats import parse_line

DATA = Path(__file__).parents[2] / "data" / "jetson"
VERSIONS = {
    # JetPack: L4T, CUDA, TensorRT, power mode
    "6.2": ("36.4.3", "12.6", "10.3.0.30", "25W"),
    "7.1": ("38.4.0", "13.0", "10.13.3.9", "MAXN"),
    "7.2": ("39.2.0", "13.2", "10.16.2.10", "MAXN"),
    "7.2.1": ("39.2.1", "13.2", "10.16.2.10", "25W"),
}


class Device:
    """A Jetson's file system below ``root``, and its commands as far as ``said`` has them."""

    def __init__(self, root: Path, jetpack: str) -> None:
        self.root, self.ran = root, []
        self.said = {
            file.name: file.read_text()
            for file in (DATA / jetpack).iterdir()
            if file.name != "nv_tegra_release"
        }
        for name, text in {
            "etc/nv_tegra_release": (DATA / jetpack / "nv_tegra_release").read_text(),
            "proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
            "proc/meminfo": "MemTotal:        7802876 kB\nMemFree:  10 kB\n",
        }.items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def run(self, command) -> str:
        self.ran.append(command)
        return self.said.get(Path(command[0]).name.replace("dpkg-query", "dpkg"), "")

    def found(self) -> Board | None:
        return find_board(self.root, self.run)


@pytest.mark.parametrize("jetpack", VERSIONS)
def test_versions(tmp_path, jetpack) -> None:
    jetson = Device(tmp_path, jetpack).found()
    assert jetson is not None and jetson.jetpack == jetpack
    assert (jetson.l4t, jetson.cuda, jetson.tensorrt, jetson.power_mode) == VERSIONS[jetpack]
    assert jetson.model == "NVIDIA Jetson AGX Orin Developer Kit"
    assert jetson.memory == 7802876 << 10
    assert f"JetPack {jetpack}, L4T {jetson.l4t}, power mode {jetson.power_mode}" in str(jetson)


@pytest.mark.parametrize("jetpack", VERSIONS)
def test_jetpack_without_its_package(tmp_path, jetpack) -> None:
    device = Device(tmp_path, jetpack)
    device.said["dpkg"] = ""
    jetson = device.found()
    assert jetson.jetpack == jetpack and jetson.tensorrt is None


def test_the_package_knows_better_than_the_release(tmp_path) -> None:
    """An updated JetPack on the Jetson Linux it was flashed with, as published for 36.4.3."""
    device = Device(tmp_path, "6.2")
    device.said["dpkg"] = "ii  nvidia-jetpack 6.2.1+b38\n"
    assert device.found().jetpack == "6.2.1"


def test_a_container_has_packages_but_no_release(tmp_path) -> None:
    device = Device(tmp_path, "7.1")
    (tmp_path / "etc/nv_tegra_release").unlink()
    assert device.found().l4t == "38.4.0"


def test_nothing_but_the_release(tmp_path) -> None:
    device = Device(tmp_path, "7.2")
    for name in ("proc/device-tree/model", "proc/meminfo"):
        (tmp_path / name).unlink()
    device.said.clear()
    assert device.found() == Board(None, "7.2", "39.2.0", None, None, None, (), None)
    assert str(device.found()) == "unknown model, JetPack 7.2, L4T 39.2.0, power mode unknown"


def test_elsewhere(tmp_path) -> None:
    assert find_board(tmp_path, lambda _: pytest.fail("no command is run")) is None
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/nv_tegra_release").write_text("")
    assert find_board(tmp_path, lambda _: pytest.fail("no command is run")) is None


def test_packages_as_dpkg_lists_them() -> None:
    listing = (
        "Desired=Unknown/Install/Remove/Purge/Hold\n"
        "ii  libnvinfer10        10.3.0.30-1+cuda12.5   arm64  TensorRT runtime libraries\n"
        "hi  libnvinfer8:arm64   8.6.2.3-1+cuda12.2     arm64  TensorRT runtime libraries\n"
        "rc  nvidia-jetpack      6.0+b106               arm64  NVIDIA Jetpack Meta Package\n"
    )
    packages = installed_packages(listing)
    assert sorted(packages) == ["libnvinfer10", "libnvinfer8"]
    assert tensorrt_version(packages) == "10.3.0.30"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("# R36 (release), REVISION: 4.3", "36.4.3"),
        ("# R40 (release), REVISION: 0, GCID: 1", "40.0.0"),
        ("junk\n# R32 (release), REVISION: 7.1, GCID", "32.7.1"),
        ("# R39 (release), REVISION: x", None),
        ("R39", None),
        ("", None),
    ],
)
def test_release(text, version) -> None:
    assert l4t_version(text) == version


def parse_all(text: str) -> None:
    packages = installed_packages(text)
    for what in (
        tensorrt_version(packages),
        jetpack_version(packages, l4t_version(text)),
        cuda_version(text),
        power_mode(text),
    ):
        assert what is None or what in text or what in VERSIONS or what == "6.0"
    parse_clocks(text)
    reading = parse_line(text)
    assert reading is None or reading.watts is None or -100 < reading.watts < 1e6


@given(st.text())
def test_garbage_never_crashes(text) -> None:
    parse_all(text)


@given(st.data())
def test_cut_and_spoiled_output_never_crashes(data) -> None:
    files = [file for file in sorted(DATA.rglob("*")) if file.is_file()]
    text = data.draw(st.sampled_from(files)).read_text()
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    parse_all(text[:start] + data.draw(st.text(max_size=3)) + text[end:])


def test_clocks_as_jetson_clocks_shows_them() -> None:
    clocks = {c.name: c for c in parse_clocks((DATA / "7.2.1/jetson_clocks").read_text())}
    assert sorted(clocks) == ["EMC", "GPU", "cpu0", "cpu5"]
    gpu, core = clocks["GPU"], clocks["cpu5"]
    assert (gpu.minimum, gpu.maximum, gpu.current, gpu.locked) == (306.0, 918.0, 306.0, False)
    assert (core.minimum, core.maximum, core.current) == (729.6, 1344.0, 1267.2)
    locked = parse_clocks((DATA / "6.2/jetson_clocks").read_text())
    assert [c.name for c in locked if c.locked] == ["cpu0", "GPU"]


@pytest.mark.parametrize("gpu", ["17000000.gpu", "17000000.ga10b", "gpu-gpc-0"])
def test_clocks_without_root(tmp_path, gpu) -> None:
    device = Device(tmp_path, "7.1")
    for folder, pattern, values in (
        (f"sys/class/devfreq/{gpu}", "{}_freq", (306000000, 918000000, 510000000)),
        ("sys/class/devfreq/8188000000.pva", "{}_freq", (1, 1, 1)),
        ("sys/devices/system/cpu/cpufreq/policy4", "scaling_{}_freq", (729600, 1344000, 960000)),
    ):
        (tmp_path / folder).mkdir(parents=True)
        for which, value in zip(("min", "max", "cur"), values, strict=True):
            (tmp_path / folder / pattern.format(which)).write_text(f"{value}\n")
    jetson = device.found()
    assert [(c.name, c.minimum, c.maximum, c.current) for c in jetson.clocks] == [
        ("cpu4", 729.6, 1344.0, 960.0),
        ("GPU", 306.0, 918.0, 510.0),
    ]
    assert "GPU clock up to 918 MHz" in str(jetson)
    (tmp_path / f"sys/class/devfreq/{gpu}/cur_freq").write_text("garbage")
    (tmp_path / "sys/devices/system/cpu/cpufreq/policy4/scaling_min_freq").unlink()
    assert read_clocks(tmp_path / "sys") == ()


def test_commands() -> None:
    assert command_output([sys.executable, "-c", "print('said'); exit(1)"]) == "said\n"
    assert command_output(["no-such-command-anywhere"]) == ""
    noise = "import os; os.write(1, bytes(range(256)))"
    assert len(command_output([sys.executable, "-c", noise])) > 200


def test_doctor_has_a_line(tmp_path, monkeypatch) -> None:
    jetson = Device(tmp_path, "7.2.1").found()
    monkeypatch.setattr(doctor, "find_board", lambda: jetson)
    (line,) = [finding for finding in doctor.examine() if finding.topic == "Jetson"]
    assert re.search(r"JetPack 7\.2\.1, L4T 39\.2\.1, power mode 25W", line.what)
    monkeypatch.setattr(doctor, "find_board", lambda: None)
    assert not [finding for finding in doctor.examine() if finding.topic == "Jetson"]
