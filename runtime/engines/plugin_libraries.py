"""The libraries that hold the custom ops for TensorRT: which there are, and loading them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from spit_edge.base.files import file_sha256
from spit_edge.base.made_here import made_here
from spit_edge.plugins.plugin_library import (
    FILE_NAME,
    VARIABLE,
    PluginLibraryError,
    find_library,
    read_library,
)
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.engines.callbacks import Log
from spit_edge.runtime.engines.flavour import Flavour
from spit_edge.runtime.errors import EngineError

if TYPE_CHECKING:
    import tensorrt as trt

LIBRARY = FILE_NAME
PLUGIN_VERSION, NAMESPACE = "1", ""
"""What a graph's nodes ask TensorRT's registry for."""


class PluginMissing(EngineError):
    """An op of the graph has no plugin that serves it here."""


def plugin_libraries(bundle: Bundle, given: Sequence[Path] = ()) -> list[Path]:
    """The libraries to load: ``given``, or the one of the bundle or of this installation.

    One that nobody named runs only if it was built or installed on this machine by this user: a
    bundle may come from anybody.  Raises PluginMissing for others, and if one that was given does
    not exist.
    """
    for path in given:
        if not path.is_file():
            raise PluginMissing(
                f"there is no plugin library {path}: make one with spit-edge plugins build"
            )
    if given:
        return [path.resolve() for path in given]
    refused = []
    for folders in ((bundle.path / "plugins",), ()):
        try:
            library = find_library(*folders).resolve()
        except PluginLibraryError:
            continue
        if os.environ.get(VARIABLE) or made_here(file_sha256(library)[0]):
            return [library]
        refused.append(library)
    if refused:
        raise PluginMissing(
            f"{refused[0]} was not built on this machine by you, and a library is code that would "
            f"run: build one with spit-edge plugins build, or, if you trust this one, say so with "
            f"spit-edge plugins trust {refused[0]}"
        )
    return []  # whether one is needed shows when the ops are looked up


def check_libraries(
    libraries: Iterable[Path], contracts: Mapping[str, int], architecture: int | None
) -> None:
    """Raise PluginMissing unless ours is for this machine, these contracts and this SM."""
    for path in libraries:
        if path.name == LIBRARY:
            try:
                read_library(path).check(contracts=contracts, architecture=architecture)
            except PluginLibraryError as error:
                raise PluginMissing(str(error)) from error


def library_hashes(libraries: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of the libraries by file name."""
    return {path.name: file_sha256(path)[0] for path in libraries}


def load_plugins(
    flavour: Flavour,
    registry: trt.IPluginRegistry,
    libraries: Sequence[Path],
    ops: Iterable[str],
    log: Log,
) -> None:
    """Load ``libraries`` unless TensorRT knows all ``ops`` already.

    Raises PluginMissing where an op has no plugin then, and EngineError where a library cannot be
    loaded.
    """
    wanted = sorted(ops)
    if not _unknown(registry, wanted):
        return
    if flavour.is_rtx:
        raise PluginMissing(
            "TensorRT-RTX takes no plugins, which the full graph needs: build with --part trunk"
        )
    for library in libraries:
        if registry.load_library(str(library)) is None:
            raise log.failure(
                f"{flavour} cannot load {library}",
                "build it for this machine with spit-edge plugins build",
            )
    if missing := _unknown(registry, wanted):
        named = ", ".join(str(path) for path in libraries) or "no library"
        raise PluginMissing(
            f"{flavour} has no plugin {', '.join(missing)} (loaded: {named}): build them with "
            "spit-edge plugins build and give the library with --plugins"
        )


def _unknown(registry: trt.IPluginRegistry, ops: Sequence[str]) -> list[str]:
    return [op for op in ops if registry.get_creator(op, PLUGIN_VERSION, NAMESPACE) is None]
