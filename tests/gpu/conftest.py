"""A GPU with everything built for it, or the reason why not.

With SPIT_GPU=required (``make test-gpu``) a missing GPU or TensorRT fails instead of skipping.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from spit_edge.base.progress import Steps
from spit_edge.plugins.plugin_build import PluginBuildError, build_plugins, find_build
from spit_edge.plugins.plugin_library import FILE_NAME
from spit_edge.runtime import BackendUnavailable
from spit_edge.runtime.backends.records import RECORDS
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.cuda.gpu import Gpu, current_gpu
from spit_edge.runtime.cuda.kernels import TokenizerLibrary
from spit_edge.runtime.engines.build import EngineOrder, build_engine
from spit_edge.runtime.engines.flavour import FLAVOURS, Flavour, find_flavour

HEIGHT, WIDTH = 96, 128


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.gpu)


def impossible(reason: object) -> NoReturn:
    if os.environ.get("SPIT_GPU") == "required":
        pytest.fail(str(reason))
    pytest.skip(str(reason))


@pytest.fixture(scope="session", autouse=True)
def gpu() -> Gpu:
    try:
        return current_gpu()
    except BackendUnavailable as error:
        impossible(error)


@pytest.fixture(scope="session")
def plugins_file(gpu: Gpu, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plugin library, compiled for this GPU."""
    try:
        build = find_build(architectures=[gpu.sm])
        return build_plugins(build, tmp_path_factory.mktemp("plugins") / FILE_NAME).path
    except PluginBuildError as error:
        impossible(error)


@pytest.fixture(scope="session")
def library(plugins_file: Path) -> TokenizerLibrary:
    return TokenizerLibrary.load(plugins_file)


@pytest.fixture(scope="session")
def engine_bundle(
    make_bundle: Callable[..., Any],
    plugins_file: Path,
    gpu: Gpu,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Bundle]:
    """A bundle of ``spit_tiny`` with the engine of a back end; keywords of BuildOptions."""
    made: dict[str, Bundle] = {}

    def make(backend: str, **wanted: Any) -> Bundle:
        wanted = {"height": HEIGHT, "width": WIDTH, **wanted}
        key = repr((backend, sorted(wanted.items())))
        if key not in made:
            folder = tmp_path_factory.mktemp("engine") / "bundle"
            shutil.copytree(make_bundle(**wanted).path, folder)
            (folder / "plugins").mkdir()
            shutil.copy(plugins_file, folder / "plugins")
            bundle = Bundle.open(folder)
            order = EngineOrder(bundle, RECORDS[backend].part, _flavour(backend))
            build_engine(order, gpu, Steps(quiet=True))
            made[key] = bundle
        return made[key]

    return make


def _flavour(backend: str) -> Flavour:
    """TensorRT; for the trunk TensorRT-RTX will do, too."""
    reasons = []
    for name in FLAVOURS if backend == "tensorrt-split" else FLAVOURS[:1]:
        try:
            return find_flavour(name)
        except BackendUnavailable as error:
            reasons.append(str(error))
    impossible("; ".join(reasons))


@pytest.fixture(scope="session")
def images(photographs: Callable[[int, int], np.ndarray]) -> np.ndarray:
    return np.ascontiguousarray(photographs(HEIGHT, WIDTH).transpose(0, 3, 1, 2))
