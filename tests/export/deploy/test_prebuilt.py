"""The plugin library for Jetsons: built when it must be, left out where it cannot be."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from spit_edge.base.progress import Steps
from spit_edge.export.deploy import prebuilt
from spit_edge.export.deploy.prebuilt import MACHINE, prebuilt_libraries
from spit_edge.plugins.cuda_build import CudaBuildError
from spit_edge.plugins.plugin_build import PluginBuild
from spit_edge.plugins.plugin_library import FILE_NAME

BUILT = Path("built")
PLACE = BUILT / MACHINE / FILE_NAME
INFO = (
    b'SPIT-PLUGINS-INFO {"version": "1", "variant": "%s", "machine": "aarch64", "cuda": 13000, '
    b'"tensorrt": "10.14.1", "architectures": [87, 110], "contracts": {}}\0'
)


@dataclasses.dataclass
class Compiler:
    """Stands for CMake and nvcc; counts what it makes."""

    why_not: str = ""
    made: int = 0

    def find(self, *, machine: str, architectures: tuple[int, ...]) -> PluginBuild:
        if self.why_not:
            raise CudaBuildError(self.why_not)
        nowhere = Path("/nowhere")
        return PluginBuild(machine, "cuda", architectures, nowhere, "10.14.1", nowhere, "g++")

    def build(self, build: PluginBuild, output: Path) -> None:
        assert build.machine == MACHINE
        self.made += 1
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(INFO % b"cuda")


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compiler:
    monkeypatch.chdir(tmp_path)
    made = Compiler()
    monkeypatch.setattr(prebuilt, "built_folder", lambda: BUILT)
    monkeypatch.setattr(prebuilt, "find_build", made.find)
    monkeypatch.setattr(prebuilt, "build_plugins", made.build)
    return made


def test_built_once_and_when_its_sources_are_newer(compiler: Compiler) -> None:
    assert prebuilt_libraries(Steps()) == [PLACE] == prebuilt_libraries(Steps())
    assert compiler.made == 1
    os.utime(PLACE, (0, 0))
    assert prebuilt_libraries(Steps()) == [PLACE] and compiler.made == 2


def test_what_cannot_be_built_is_said_and_left_out(compiler: Compiler, capsys) -> None:
    compiler.why_not = "no nvcc in CUDA_HOME\nand more"
    assert prebuilt_libraries(Steps()) == []
    said = capsys.readouterr().err
    assert said.endswith("so each builds its own: no nvcc in CUDA_HOME\n")
    # One that is older than its sources would bring old kernels.
    PLACE.parent.mkdir(parents=True)
    PLACE.write_bytes(INFO % b"cuda")
    assert prebuilt_libraries(Steps()) == [PLACE]
    os.utime(PLACE, (0, 0))
    assert prebuilt_libraries(Steps()) == []


def test_others_built_here_go_too_unless_they_are_for_tests(compiler: Compiler) -> None:
    for machine, variant in (("x86_64", b"cuda"), ("tests", b"host")):
        (BUILT / machine).mkdir(parents=True)
        (BUILT / machine / FILE_NAME).write_bytes(INFO % variant)
    (BUILT / "broken").mkdir()
    (BUILT / "broken" / FILE_NAME).touch()
    assert prebuilt_libraries(Steps()) == [PLACE, BUILT / "x86_64" / FILE_NAME]
