"""The plugin library, built once a run: for the CPU with what tests it, and for GPUs."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from spit_edge.plugins.plugin_build import (
    PluginBuildError,
    build_plugins,
    cmake_definitions,
    find_build,
    find_cmake,
)
from spit_edge.plugins.plugin_library import FILE_NAME, PluginLibrary, read_library
from tests.processes import folder_of_run, one_at_a_time


@dataclass(frozen=True)
class HostBuild:
    """The host variant of the library, the program that tests it, and a library that records what
    creators are given."""

    library: Path
    program: Path
    recorder: Path


@pytest.fixture(scope="session")
def host_build(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> HostBuild:
    with one_at_a_time(folder_of_run(tmp_path_factory) / "host"):
        return build_host(pytestconfig)


def build_host(pytestconfig: pytest.Config) -> HostBuild:
    # Kept between runs: CMake compiles what has changed.
    folder = pytestconfig.rootpath / "build" / "plugin-tests"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        build = find_build(variant="host")
    except PluginBuildError as error:
        pytest.skip(str(error))
    definitions = cmake_definitions(build, folder)
    configured = run([find_cmake(), "-S", Path(__file__).parent, "-B", folder, *definitions])
    assert configured.returncode == 0, configured.stdout
    built = run([find_cmake(), "--build", folder])
    assert built.returncode == 0, built.stdout
    return HostBuild(folder / FILE_NAME, folder / "plugin_host", folder / "libfield_recorder.so")


@pytest.fixture(scope="session")
def cuda_library(tmp_path_factory: pytest.TempPathFactory) -> PluginLibrary:
    """The library for one GPU of this machine's kind of processor."""
    try:
        build = find_build(architectures=[86])
    except PluginBuildError as error:
        pytest.skip(str(error))
    folder = folder_of_run(tmp_path_factory) / "cuda"
    with one_at_a_time(folder):
        folder.mkdir(exist_ok=True)
        made = folder / FILE_NAME
        return read_library(made) if made.exists() else build_plugins(build, made)


def run(command: list) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
