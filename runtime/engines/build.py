"""Build an engine from a bundle's graph and keep it in the bundle."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from spit_edge.base.progress import Steps
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.bundle.manifest import Part
from spit_edge.runtime.cuda.gpu import Gpu, current_gpu
from spit_edge.runtime.engines.callbacks import (
    BuildPhases,
    Log,
    progress_monitor,
    without_collection,
)
from spit_edge.runtime.engines.config import add_profile, configure, profile_of
from spit_edge.runtime.engines.flavour import Flavour, find_flavour
from spit_edge.runtime.engines.network import check_products, parse
from spit_edge.runtime.engines.plugin_libraries import (
    check_libraries,
    library_hashes,
    load_plugins,
    plugin_libraries,
)
from spit_edge.runtime.engines.record import (
    Choices,
    EngineRecord,
    Platform,
    ShapeRange,
    key,
    sources_of,
)
from spit_edge.runtime.engines.store import (
    FOLDER,
    StoredEngine,
    build_command,
    cache_path,
    engine_entry,
    find_engine,
    load_cache,
    save_cache,
    save_engine,
)
from spit_edge.runtime.errors import EngineError

if TYPE_CHECKING:
    import tensorrt as trt

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class EngineOrder:
    """What engine is wanted.

    capabilities  of GPUs that are not at hand, as 86; TensorRT-RTX only.  None: this GPU
    plugins       libraries to load instead of those in the bundle or the installation
    verbose       show all that TensorRT says
    """

    bundle: Bundle
    part: Part
    flavour: Flavour
    choices: Choices = field(default_factory=Choices)
    capabilities: tuple[int, ...] = ()
    plugins: tuple[Path, ...] = ()
    verbose: bool = False

    def libraries(self) -> list[Path]:
        """The plugin libraries that the engine needs."""
        return plugin_libraries(self.bundle, self.plugins) if self.part == "full" else []

    def platform(self, gpu: Gpu | None) -> Platform:
        """What the engine is to run on; ``gpu`` None: the capabilities asked for."""
        plugins = library_hashes(self.libraries())
        if gpu is not None:
            return Platform.of(self.flavour, gpu, plugins)
        return Platform(
            flavour=self.flavour.name,
            tensorrt=self.flavour.version,
            gpu=None,
            sm=sorted(set(self.capabilities)),
            cuda=None,
            plugins=plugins,
        )


def target_gpu(order: EngineOrder) -> Gpu | None:
    """The GPU to build for, None if others were asked for; BackendUnavailable if there is none."""
    return None if order.capabilities else current_gpu()


def build_engine(order: EngineOrder, gpu: Gpu | None, steps: Steps) -> StoredEngine:
    """Build an engine and write it into the bundle.

    gpu     the GPU it is for, or None with ``order.capabilities``

    Raises EngineError, BundleError, or KeyboardInterrupt; then the bundle is as it was.
    """
    platform = order.platform(gpu)
    sources = sources_of(order.bundle, order.part)
    start = time.perf_counter()
    phases = BuildPhases(steps.console)
    what = f"building the {order.part} engine with {order.flavour}"
    with steps.step(what, phases.bars), without_collection():
        built = _interruptible(lambda: _build(order, gpu, phases), phases)
    record = EngineRecord(
        part=order.part,
        platform=platform,
        choices=order.choices,
        sources=sources,
        engine=engine_entry(built.data),
        profile=built.profile,
        products=built.products,
        layers=built.layers,
        build_seconds=round(time.perf_counter() - start, 1),
    )
    name = key(platform, order.part)
    return save_engine(order.bundle.path / FOLDER, name, built.data, record)


def ensure_engine(order: EngineOrder, steps: Steps) -> StoredEngine:
    """The engine that is wanted, built unless there is one that fits.

    Raises EngineError, BundleError or BackendUnavailable.
    """
    gpu = target_gpu(order)
    try:
        stored = find_engine(order.bundle, order.part, order.platform(gpu))
    except EngineError as error:
        reason = str(error).partition(f": {build_command(order.bundle.path, order.part)}")[0]
        steps.console.print(reason, markup=False, soft_wrap=True)
    else:
        if stored.record.choices == order.choices:
            return stored
    return build_engine(order, gpu, steps)


def make_full_engine(bundle: Bundle, steps: Steps) -> Path:
    """:func:`ensure_engine` of the full graph, with the first TensorRT that there is."""
    return ensure_engine(EngineOrder(bundle, "full", find_flavour()), steps).path


def make_trunk_engine(bundle: Bundle, steps: Steps) -> Path:
    """:func:`ensure_engine` of the trunk, with the first TensorRT that there is."""
    return ensure_engine(EngineOrder(bundle, "trunk", find_flavour()), steps).path


@dataclass(frozen=True)
class _Built:
    data: memoryview
    profile: dict[str, ShapeRange]
    products: dict[str, int]
    layers: int


def _interruptible(work: Callable[[], _Result], phases: BuildPhases) -> _Result:
    """Run ``work`` in a thread: TensorRT does not return for Ctrl-C, but asks its monitor."""
    with ThreadPoolExecutor(1, "engine") as worker:
        running = worker.submit(work)
        try:
            return running.result()
        except BaseException:
            phases.cancelled.set()
            raise


def _build(order: EngineOrder, gpu: Gpu | None, phases: BuildPhases) -> _Built:
    flavour, manifest, libraries = order.flavour, order.bundle.manifest, order.libraries()
    log = Log.of(flavour, verbose=order.verbose)
    builder: trt.Builder = _builder(flavour, log)
    if order.part == "full":
        check_libraries(libraries, manifest.contracts, gpu.sm if gpu else None)
        load_plugins(flavour, builder.get_plugin_registry(), libraries, manifest.contracts, log)
    graph = order.bundle.trunk if order.part == "trunk" else order.bundle.model
    # The parser holds the weights, so it has to live until the engine is built.
    network, _parser = parse(flavour, builder, graph, log)
    config = builder.create_builder_config()
    configure(flavour, config, order.choices, gpu, order.capabilities, libraries)
    profile = profile_of(network, manifest)
    add_profile(flavour, builder, config, profile)
    cache = cache_path(key(order.platform(gpu), "trunk")) if gpu else None
    _held = load_cache(flavour, config, cache) if cache else None
    config.progress_monitor = progress_monitor(flavour, phases)
    # IHostMemory, which offers its bytes as a buffer.
    data: Any = builder.build_serialized_network(network, config)
    if data is None:
        raise log.failure(f"{flavour} built no engine of {graph}", "its messages say why")
    if cache:
        save_cache(flavour, config, cache)
    return _Built(
        data=memoryview(data).cast("B"),
        profile=profile,
        products=check_products(flavour, network, manifest),
        layers=network.num_layers,
    )


def _builder(flavour: Flavour, log: Log) -> trt.Builder:
    try:
        builder: trt.Builder = flavour.module.Builder(log.logger)
    except (TypeError, RuntimeError) as error:  # the bindings' way to say that it gave none
        raise log.failure(f"{flavour} does not start ({error})", "its messages say why") from error
    return builder
