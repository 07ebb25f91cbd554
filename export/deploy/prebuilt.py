"""Plugin libraries that travel along, so that devices need not compile: what was built here, and
one for Jetsons, which is built where that is possible."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from spit_edge.base.progress import Steps
from spit_edge.base.text import shown
from spit_edge.plugins.architectures import JETSONS
from spit_edge.plugins.cuda_build import KERNELS, CudaBuildError
from spit_edge.plugins.plugin_build import SOURCE, build_plugins, find_build
from spit_edge.plugins.plugin_library import (
    FILE_NAME,
    PluginLibraryError,
    built_folder,
    read_library,
)

MACHINE = "aarch64"
"""Of every Jetson."""


def prebuilt_libraries(steps: Steps) -> list[Path]:
    """All that were built here and have code for GPUs, after the one for Orin and Thor was built.

    It is built again when its sources are newer.  What prevents that is said; it fails nothing,
    because devices can compile.
    """
    built = built_folder()
    jetsons = built / MACHINE / FILE_NAME
    if not _is_fresh(jetsons):
        _build(jetsons, steps)
    found = [path for path in sorted(built.glob(f"*/{FILE_NAME}")) if _for_gpus(path)]
    return [path for path in found if path != jetsons or _is_fresh(path)]


def _build(library: Path, steps: Steps) -> None:
    try:
        build = find_build(machine=MACHINE, architectures=JETSONS)
        gpus = " and ".join(f"sm_{gpu}" for gpu in build.architectures)
        with steps.step(f"building the plugin library for {MACHINE}, {gpus}"):
            build_plugins(build, library)
    except (CudaBuildError, PluginLibraryError, OSError) as error:
        reason = str(error).splitlines()[0]
        text = f"no plugin library for Jetsons travels along, so each builds its own: {reason}"
        steps.console.print(shown(text, lines=True), soft_wrap=True)


def _is_fresh(library: Path) -> bool:
    """Whether it is there and at least as new as what it is made of."""
    return library.is_file() and library.stat().st_mtime >= max(
        path.stat().st_mtime for path in _sources()
    )


def _sources() -> Iterator[Path]:
    return (path for folder in (KERNELS, SOURCE) for path in folder.rglob("*") if path.is_file())


def _for_gpus(library: Path) -> bool:
    try:
        return read_library(library).variant == "cuda"
    except PluginLibraryError:
        return False
