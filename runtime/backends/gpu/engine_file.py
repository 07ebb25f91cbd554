"""The bundle's engine for this GPU, opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.bundle.manifest import Part
from spit_edge.runtime.cuda.gpu import Gpu, current_gpu
from spit_edge.runtime.cuda.kernels import TokenizerLibrary
from spit_edge.runtime.engines.callbacks import Log, without_collection
from spit_edge.runtime.engines.flavour import FLAVOURS, Flavour, find_flavour
from spit_edge.runtime.engines.plugin_libraries import (
    LIBRARY,
    check_libraries,
    library_hashes,
    load_plugins,
    plugin_libraries,
)
from spit_edge.runtime.engines.record import Platform
from spit_edge.runtime.engines.store import StoredEngine, find_engine
from spit_edge.runtime.errors import BackendUnavailable, EngineError


@dataclass(frozen=True)
class OpenEngine:
    """An ICudaEngine, the module it comes from, and the library with the tokenizer's kernels.

    log      what TensorRT says; must live as long as the engine, like ``runtime``
    """

    engine: Any
    trt: Any
    library: TokenizerLibrary
    log: Log
    runtime: Any = None


def open_engine(bundle: Bundle, part: Part) -> OpenEngine:
    """The engine of the bundle's ``part`` that fits this GPU and a TensorRT that is installed.

    Raises BackendUnavailable with the reason and the command that builds one.
    """
    gpu = current_gpu()
    try:
        libraries = plugin_libraries(bundle)
        tokenizer = [path for path in libraries if path.name == LIBRARY]
        if not tokenizer:
            raise EngineError(f"there is no {LIBRARY}: make it with spit-edge plugins build")
        check_libraries(libraries, bundle.manifest.contracts, gpu.sm)
        hashes = library_hashes(libraries) if part == "full" else {}
        flavour, stored = _find(bundle, part, gpu, hashes)
        log = Log.of(flavour)
        with without_collection():
            runtime = flavour.module.Runtime(log.logger)
            if part == "full":
                registry = runtime.get_plugin_registry()
                load_plugins(flavour, registry, libraries, bundle.manifest.contracts, log)
            # A version-compatible engine brings code of its own; its hash is that of the record.
            runtime.engine_host_code_allowed = stored.record.choices.version_compatible
            engine = runtime.deserialize_cuda_engine(stored.path.read_bytes())
        if engine is None:
            raise log.failure(f"{flavour} cannot read {stored.path}", "build it again")
    except EngineError as error:
        raise BackendUnavailable(str(error)) from error
    library = TokenizerLibrary.load(tokenizer[0])
    return OpenEngine(engine, flavour.module, library, log, runtime)


def _find(
    bundle: Bundle, part: Part, gpu: Gpu, plugins: dict[str, str]
) -> tuple[Flavour, StoredEngine]:
    """An engine and its TensorRT: of either kind for the trunk, which needs no plugins."""
    reasons = []
    for name in FLAVOURS if part == "trunk" else FLAVOURS[:1]:
        try:
            flavour = find_flavour(name)
            return flavour, find_engine(bundle, part, Platform.of(flavour, gpu, plugins))
        except (BackendUnavailable, EngineError) as error:
            reasons.append(str(error))
    raise BackendUnavailable("; ".join(reasons))
