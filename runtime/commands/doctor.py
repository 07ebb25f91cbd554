"""What there is on this machine to build and run engines with, what is missing, and the cure."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from rich.table import Table
from rich.text import Text

from spit_edge.base.command_line import DONE, FAILED
from spit_edge.base.install import installed_versions
from spit_edge.base.progress import Steps, console
from spit_edge.base.sizes import size_text
from spit_edge.base.tables import new_table
from spit_edge.base.text import shown
from spit_edge.plugins.architectures import JETSONS
from spit_edge.plugins.plugin_build import PluginBuildError, find_build
from spit_edge.plugins.plugin_library import (
    PluginLibrary,
    PluginLibraryError,
    find_library,
    read_library,
)
from spit_edge.runtime.cuda.gpu import Gpu, current_gpu
from spit_edge.runtime.engines.flavour import FLAVOURS, Flavour, find_flavour
from spit_edge.runtime.errors import BackendUnavailable, ExecutionError
from spit_edge.runtime.jetson.board import find_board

_Found = TypeVar("_Found")
State = Literal["fine", "missing", "broken"]
_STYLES = {"fine": "green", "missing": "yellow", "broken": "red"}
_PACKAGES = ("numpy", "onnxruntime", "onnxruntime-gpu", "onnxruntime-extensions", "torch", "onnx")


@dataclass(frozen=True)
class Finding:
    """One line of the report; what is ``needed`` to run engines must be fine."""

    topic: str
    state: State
    what: str
    needed: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``doctor``."""
    parser.add_argument(
        "--plugins", type=Path, metavar="LIB", help="plugin library to look at [the one in use]"
    )


def run(options: argparse.Namespace) -> int:
    """Print the report; FAILED unless engines can be run here."""
    findings = examine(options.plugins)
    console().print(findings_table(findings))
    good = usable(findings)
    console().print("engines can run here" if good else "engines cannot run here")
    return DONE if good else FAILED


def examine(library: Path | None = None) -> list[Finding]:
    """Look at everything; on a GPU, run one kernel and one engine.

    library  the plugin library to look at; None: the one that would be used
    """
    steps = Steps()
    findings = [*_machine()]
    with steps.step("looking for TensorRT"):
        attempts = [_attempt(name, partial(find_flavour, name)) for name in FLAVOURS]
    flavours = [found for found in attempts if isinstance(found, Flavour)]
    for found in attempts:
        if isinstance(found, Finding):
            # One flavour is enough.
            findings.append(replace(found, needed=not flavours))
        else:
            findings.append(Finding(found.title, "fine", found.version, needed=True))
    gpu = _attempt("GPU", current_gpu, needed=True)
    findings.append(_gpu(gpu) if isinstance(gpu, Gpu) else gpu)
    plugins = _attempt("plugin library", lambda: _library(library, gpu), needed=True)
    findings.append(_described(plugins) if isinstance(plugins, PluginLibrary) else plugins)
    findings.append(_build_tools(gpu.sm if isinstance(gpu, Gpu) else None))
    if isinstance(gpu, Gpu):
        findings += _trials(plugins, flavours, steps)
    return findings


def usable(findings: Sequence[Finding]) -> bool:
    """Whether engines can be run here."""
    return all(finding.state == "fine" for finding in findings if finding.needed)


def findings_table(findings: Sequence[Finding]) -> Table:
    """A line per finding."""
    table = new_table()
    table.add_column("what", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("what was found, or what to do", overflow="fold")
    for finding in findings:
        state = Text(finding.state, style=_STYLES[finding.state])
        table.add_row(finding.topic, state, Text(shown(finding.what)))
    return table


def _machine() -> Iterator[Finding]:
    yield Finding("machine", "fine", f"{platform.system()} {platform.machine()}")
    board = find_board()
    if board is not None:
        yield Finding("Jetson", "fine", str(board))
    yield Finding("Python", "fine", platform.python_version())
    versions = installed_versions("spit-edge", *_PACKAGES)
    yield Finding("packages", "fine", ", ".join(map(" ".join, versions.items())))


def _attempt(topic: str, look: Callable[[], _Found], *, needed: bool = False) -> _Found | Finding:
    try:
        return look()
    except (BackendUnavailable, PluginLibraryError) as error:
        return Finding(topic, "missing", str(error), needed)


def _gpu(gpu: Gpu) -> Finding:
    memory = f"{size_text(gpu.free_memory)} of {size_text(gpu.total_memory)} free"
    cuda = f"driver up to CUDA {gpu.driver_cuda}, runtime {gpu.runtime_cuda}"
    return Finding("GPU", "fine", f"{gpu.name}, SM {gpu.sm}, {memory}, {cuda}", needed=True)


def _library(given: Path | None, gpu: object) -> PluginLibrary:
    library = read_library(given or find_library())
    library.check(architecture=gpu.sm if isinstance(gpu, Gpu) else None)
    return library


def _described(library: PluginLibrary) -> Finding:
    code = ", ".join(f"sm_{a}" for a in library.architectures) or "the CPU only, for tests"
    what = f"{library.path}: version {library.version}, CUDA {library.cuda_version}, for {code}"
    return Finding("plugin library", "fine", what, needed=True)


def _build_tools(sm: int | None) -> Finding:
    try:
        build = find_build(architectures=JETSONS if sm is None else (sm,))
    except PluginBuildError as error:
        return Finding("to build plugins", "missing", str(error))
    what = f"TensorRT {build.tensorrt_version} headers in {build.tensorrt}, {build.nvcc}"
    return Finding("to build plugins", "fine", what)


def _trials(plugins: object, flavours: Sequence[Flavour], steps: Steps) -> Iterator[Finding]:
    """Real work; imported here, because it needs CUDA's Python bindings."""
    from spit_edge.runtime.backends.gpu.self_test import check_engine, check_kernels
    from spit_edge.runtime.cuda.kernels import TokenizerLibrary

    if isinstance(plugins, PluginLibrary):
        try:
            with steps.step("running a kernel"):
                number = check_kernels(TokenizerLibrary.load(plugins.path))
            what = f"{number} superpixels, the same as the CPU's to the bit"
            yield Finding("a kernel", "fine", what, needed=True)
        except (BackendUnavailable, ExecutionError) as error:
            yield Finding("a kernel", "broken", str(error), needed=True)
    for flavour in flavours:
        try:
            with steps.step(f"building and running an engine with {flavour}"):
                check_engine(flavour)
            yield Finding("an engine", "fine", f"built and run with {flavour}", needed=True)
        except (BackendUnavailable, ExecutionError) as error:
            yield Finding("an engine", "broken", str(error), needed=True)
