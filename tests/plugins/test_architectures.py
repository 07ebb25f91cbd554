"""For which GPUs the plugin library is built, with a driver and an nvcc that are not real."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from spit_edge.plugins import architectures
from spit_edge.plugins.__main__ import main
from spit_edge.plugins.architectures import JETSONS, usual_architectures, why_of_no_use
from spit_edge.plugins.commands import build as command
from spit_edge.plugins.plugin_build import PluginBuild, PluginBuildError, find_build
from spit_edge.plugins.plugin_library import PluginLibrary

HERE = platform.machine()
OTHER = "aarch64" if HERE == "x86_64" else "x86_64"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch):
    """Puts a GPU into this machine; None takes it out."""

    def plug(sm: int | None) -> None:
        facts = None if sm is None else {"sm": sm, "cuda": 13000}
        monkeypatch.setattr(architectures, "driver_facts", lambda: facts)

    plug(None)
    return plug


@pytest.fixture
def tools(tmp_path: Path) -> dict[str, Path]:
    """An nvcc of CUDA 12, which knows no sm_110, and headers."""
    nvcc = tmp_path / "cuda" / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text("#!/bin/sh\necho compute_75 compute_87 compute_89\n")
    nvcc.chmod(0o755)
    headers = tmp_path / "include"
    headers.mkdir()
    (headers / "NvInferRuntime.h").touch()
    parts = zip(("MAJOR", "MINOR", "PATCH"), (10, 3, 0), strict=True)
    text = "".join(f"#define NV_TENSORRT_{name} {value}\n" for name, value in parts)
    (headers / "NvInferVersion.h").write_text(text)
    return {"cuda": tmp_path / "cuda", "tensorrt_include": headers}


def test_the_gpu_at_hand_else_jetsons(gpu) -> None:
    assert usual_architectures(HERE) == JETSONS == usual_architectures(OTHER)
    gpu(89)
    assert usual_architectures(HERE) == (89,) and usual_architectures(OTHER) == JETSONS


def test_what_nvcc_does_not_know_is_left_out(gpu, tools) -> None:
    with pytest.warns(UserWarning, match=r"^sm_110 left out: .*nvcc compiles only for 75, 87, 89;"):
        assert find_build(**tools).architectures == (87,)
    gpu(89)
    assert find_build(**tools).architectures == (89,)
    gpu(120)
    with pytest.raises(PluginBuildError, match="cannot compile for sm_120, only for 75, 87, 89:"):
        find_build(**tools)


@pytest.mark.parametrize(
    ("machine", "built", "here", "says"),
    [
        ("x86_64", (87, 110), None, "no machine can load a library of x86_64 for sm_87, sm_110"),
        ("x86_64", (86, 87), None, None),
        ("aarch64", (87, 110), None, None),
        (HERE, (75, 90), 89, "this machine's GPU is sm_89, which cannot run code for sm_75, sm_90"),
        (HERE, (86,), 89, None),
        (OTHER, (86,), 75, None),
    ],
)
def test_of_no_use(gpu, monkeypatch, machine, built, here, says) -> None:
    gpu(here)
    monkeypatch.setattr(architectures.platform, "machine", lambda: HERE)
    why = why_of_no_use(machine, built)
    assert why is None if says is None else why and why.startswith(says)


@pytest.mark.parametrize(
    ("arguments", "here", "built", "warned"),
    [
        ([], 89, (89,), ""),
        (["--arch", "75"], 89, (75,), "warning: this machine's GPU is sm_89, which cannot run"),
        (["--host-arch", "x86_64"], None, (87,), "warning: no machine can load a library of x86"),
        (
            ["--arch", "all"],
            75,
            (75, 87, 89),
            "warning: sm_80, sm_86, sm_90, sm_100, sm_110,",
        ),
    ],
)
def test_the_command_chooses_and_warns(
    gpu, tools, monkeypatch, capsys, tmp_path, arguments, here, built, warned
) -> None:
    if HERE != "x86_64":
        pytest.skip("the machines named here are seen from x86-64")
    asked: list[PluginBuild] = []

    def compile_nothing(found: PluginBuild, out: Path, steps: object) -> PluginLibrary:
        asked.append(found)
        words = (found.variant, found.machine, 12060, "10.3.0", found.architectures, {})
        return PluginLibrary(out, "1", *words)

    gpu(here)
    monkeypatch.setattr(command, "build_plugins", compile_nothing)
    paths = ["--cuda", tools["cuda"], "--tensorrt-include", tools["tensorrt_include"]]
    words = [*map(str, paths), "--out", str(tmp_path / "lib.so")]
    assert main(["build", *words, *arguments]) == 0
    said = capsys.readouterr()
    assert asked[0].architectures == built and said.out.strip() == str(tmp_path / "lib.so")
    assert (warned in said.err) if warned else "warning" not in said.err
