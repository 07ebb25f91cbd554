"""Opening a bundle's engine: each thing that may be missing, and what is loaded when nothing is."""

from __future__ import annotations

import ast
import json
import platform
from pathlib import Path
from types import SimpleNamespace

import pytest

from spit_edge.base.files import file_sha256
from spit_edge.base.made_here import remember
from spit_edge.runtime import BackendUnavailable
from spit_edge.runtime.backends.gpu import engine_file
from spit_edge.runtime.backends.gpu.engine_file import open_engine
from spit_edge.runtime.backends.gpu.tensorrt import TensorRTBackend
from spit_edge.runtime.backends.gpu.tensorrt_split import TensorRTSplitBackend
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.cuda.gpu import Gpu
from spit_edge.runtime.engines.flavour import Flavour
from spit_edge.runtime.engines.plugin_libraries import library_hashes
from spit_edge.runtime.engines.record import Choices, EngineRecord, Platform, sources_of
from spit_edge.runtime.engines.store import engine_entry, save_engine
from tests.simulators.fake_cuda import FakeCuda
from tests.simulators.fake_tensorrt import FakeLibrary

ORIN = Gpu("Orin", 87, 8 << 30, 4 << 30, "12.6", "12.8")
DATA = memoryview(b"an engine" * 100)
GPU = Path(engine_file.__file__).parent


@pytest.fixture
def bundle(make_bundle, tmp_path) -> Bundle:
    """A bundle in a folder of its own, to put engines and plugins beside."""
    return Bundle(tmp_path, Bundle.open(make_bundle(height=40, width=56).path).manifest)


class FakeRuntime:
    """TensorRT's Runtime: deserialises to the very bytes, unless they are broken."""

    broken = False
    engine_host_code_allowed = False

    def __init__(self, logger: object) -> None:
        self.logger = logger
        self.loaded: list[str] = []

    def get_plugin_registry(self) -> FakeRuntime:
        return self

    def get_creator(self, name: str, version: str, namespace: str) -> str | None:
        return name if self.loaded else None

    def load_library(self, path: str) -> str:
        self.loaded.append(path)
        return path

    def deserialize_cuda_engine(self, data: bytes) -> SimpleNamespace | None:
        if self.broken:
            self.logger.log(SimpleNamespace(name="ERROR"), "magic tag does not match")
            return None
        return SimpleNamespace(data=data, runtime=self)


class FakeLogger:
    def __init__(self) -> None:
        pass


@pytest.fixture
def orin(monkeypatch, bundle) -> SimpleNamespace:
    """An Orin with TensorRT 10.3, on which everything is as it should be but the engine."""
    module = SimpleNamespace(Runtime=FakeRuntime, ILogger=FakeLogger)
    flavours = {"tensorrt": Flavour("tensorrt", "10.3.0", module)}

    def find_flavour(name: str) -> Flavour:
        if name not in flavours:
            raise BackendUnavailable(f"{name} is not installed")
        return flavours[name]

    monkeypatch.setattr(engine_file, "current_gpu", lambda: ORIN)
    monkeypatch.setattr(engine_file, "find_flavour", find_flavour)
    monkeypatch.setattr(FakeRuntime, "broken", False)
    library = FakeLibrary(FakeCuda())
    monkeypatch.setattr("spit_edge.runtime.cuda.kernels.ctypes.CDLL", lambda path: library)
    write_library(bundle, architectures=[87])
    return SimpleNamespace(module=module, flavours=flavours)


def write_library(bundle: Bundle, **changes) -> None:
    facts = {
        "version": "0.1.0",
        "variant": "cuda",
        "machine": platform.machine(),
        "cuda": 12060,
        "tensorrt": "10.3.0",
        "architectures": [87],
        "contracts": bundle.manifest.contracts,
        **changes,
    }
    folder = bundle.path / "plugins"
    folder.mkdir(exist_ok=True)
    text = f"SPIT-PLUGINS-INFO {json.dumps(facts)}".encode() + b"\0"
    (folder / "libspit_plugins.so").write_bytes(b"\x7fELF" + text)
    remember(file_sha256(folder / "libspit_plugins.so")[0])


def save(bundle: Bundle, part: str, flavour: str = "tensorrt", version: str = "10.3.0") -> None:
    libraries = [bundle.path / "plugins" / "libspit_plugins.so"]
    hashes = library_hashes(libraries) if part == "full" else {}
    here = Platform.of(Flavour(flavour, version, None), ORIN, hashes)
    record = EngineRecord(
        part=part,
        platform=here,
        choices=Choices(),
        sources=sources_of(bundle, part),
        engine=engine_entry(DATA),
        profile={},
        products={"FLOAT": 1},
        layers=1,
        build_seconds=1.0,
    )
    save_engine(bundle.path / "engines", f"{flavour}-{part}", DATA, record)


@pytest.mark.parametrize("part", ["full", "trunk"])
def test_the_engine_that_fits_is_opened(orin, bundle, part) -> None:
    save(bundle, "full")
    save(bundle, "trunk")
    opened = open_engine(bundle, part)
    assert opened.engine.data == bytes(DATA) and opened.trt is orin.module
    plugins = [str(bundle.path / "plugins" / "libspit_plugins.so")]
    assert opened.runtime.loaded == (plugins if part == "full" else [])
    assert opened.runtime.logger is opened.log.logger


def test_a_trunk_of_either_tensorrt_will_do(orin, bundle) -> None:
    other = SimpleNamespace(Runtime=FakeRuntime, ILogger=FakeLogger)
    orin.flavours["tensorrt-rtx"] = Flavour("tensorrt-rtx", "1.7.1", other)
    save(bundle, "trunk", "tensorrt-rtx", "1.7.1")
    assert open_engine(bundle, "trunk").trt is other
    del orin.flavours["tensorrt"]
    assert open_engine(bundle, "trunk").trt is other
    with pytest.raises(BackendUnavailable, match="tensorrt is not installed"):
        open_engine(bundle, "full")


@pytest.mark.parametrize("part", ["full", "trunk"])
def test_what_is_missing_is_said(orin, bundle, part, monkeypatch) -> None:
    with pytest.raises(
        BackendUnavailable, match=rf"no engine of the {part}.*spit-edge engine .*{part}"
    ):
        open_engine(bundle, part)
    save(bundle, part)
    monkeypatch.setattr(FakeRuntime, "broken", True)
    with pytest.raises(BackendUnavailable, match=r"build it again[\s\S]*magic tag does not match"):
        open_engine(bundle, part)
    monkeypatch.setattr(FakeRuntime, "broken", False)
    (bundle.path / "engines" / f"tensorrt-{part}.engine").write_bytes(b"cut")
    with pytest.raises(BackendUnavailable, match="damaged"):
        open_engine(bundle, part)
    write_library(bundle, architectures=[86])
    with pytest.raises(BackendUnavailable, match="sm_86, not for this GPU's sm_87"):
        open_engine(bundle, part)
    (bundle.path / "plugins" / "libspit_plugins.so").unlink()
    monkeypatch.chdir(bundle.path)
    monkeypatch.delenv("SPIT_PLUGINS", raising=False)
    with pytest.raises(BackendUnavailable, match="spit-edge plugins build"):
        open_engine(bundle, part)


@pytest.mark.parametrize("backend", [TensorRTBackend, TensorRTSplitBackend])
def test_without_a_gpu_the_reason_is_the_gpu(bundle, backend, monkeypatch) -> None:
    def none() -> Gpu:
        raise BackendUnavailable("CUDA sees no GPU")

    monkeypatch.setattr(engine_file, "current_gpu", none)
    with pytest.raises(BackendUnavailable, match="CUDA sees no GPU"):
        backend(bundle)


def test_tensorrt_has_what_the_runners_call() -> None:
    """Attributes of TensorRT's objects that the code names, against a real module."""
    trt = pytest.importorskip("tensorrt_rtx")
    kinds = {
        "engine": trt.ICudaEngine,
        "context": trt.IExecutionContext,
        "runtime": trt.Runtime,
        "trt": trt,
        "registry": trt.IPluginRegistry,
    }
    seen = set()
    for path in (GPU / "network.py", GPU / "engine_file.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                owner = getattr(node.value, "id", getattr(node.value, "attr", None))
                if owner in kinds and node.attr != "context":
                    assert hasattr(kinds[owner], node.attr), f"{path.name}: {owner}.{node.attr}"
                    seen.add(node.attr)
    assert {"execute_async_v3", "set_tensor_address", "deserialize_cuda_engine"} <= seen
