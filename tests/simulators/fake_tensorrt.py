"""A TensorRT engine and a tokenizer library whose kernels run on a simulated GPU's memory.

An engine is an ONNX file, computed by ONNX Runtime; the library's kernels are the CPU's.  Both are
given to a stream as two items, so that others come between: what is read must stay as it was until
the end, and so must the memory for intermediate values.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from spit_edge.plugins import region_features, superpixel_merge, voronoi_tessellation
from spit_edge.plugins.onnxruntime_ops import captured_outputs, register_ops
from spit_edge.runtime.backends.onnxruntime_session import open_session
from spit_edge.runtime.cuda.kernels import (
    SpitFeatures,
    SpitImages,
    SpitMerge,
    SpitVoronoi,
    TokenizerLibrary,
)
from tests.simulators.fake_cuda import FakeCuda, IllegalCuda, Scratch, Work

SCRATCH = 1000
Arrays = dict[str, np.ndarray]
Place = tuple[int, tuple[int, ...], np.dtype]
"""Address, shape and type of an array on the GPU."""


class TensorIOMode(Enum):
    INPUT = 1
    OUTPUT = 2


class ExecutionContextAllocationStrategy(Enum):
    STATIC = 0
    USER_MANAGED = 2


TRT = SimpleNamespace(
    TensorIOMode=TensorIOMode,
    ExecutionContextAllocationStrategy=ExecutionContextAllocationStrategy,
    nptype=lambda dtype: dtype,
)
"""What the runners use of the module."""

_TYPES = {
    "tensor(uint8)": np.uint8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(float)": np.float32,
}


def view(cuda: FakeCuda, place: Place) -> np.ndarray:
    """The array on the GPU."""
    address, shape, dtype = place
    memory = cuda.memory(address, math.prod(shape) * dtype.itemsize, "device")
    return memory.view(dtype).reshape(shape)


def give(
    cuda: FakeCuda,
    stream: int,
    inputs: Mapping[str, Place],
    outputs: Mapping[str, Place],
    scratch: tuple[int, int],
    compute: Callable[[Arrays], Arrays],
    valid: Callable[[], bool] = lambda: True,
) -> None:
    """Enqueue a computation as two items."""
    held: list[tuple[Scratch, Arrays]] = []
    for place in (*inputs.values(), *outputs.values()):
        view(cuda, place)  # memory must be there when it is given, too

    def begin() -> None:
        if not valid():
            raise IllegalCuda("a captured context was changed before its graph ran")
        stamp = Scratch(cuda, *scratch)
        stamp.begin()
        held.append((stamp, {name: view(cuda, p).copy() for name, p in inputs.items()}))

    def end() -> None:
        stamp, before = held.pop()
        stamp.end()
        for name, place in inputs.items():
            if view(cuda, place).tobytes() != before[name].tobytes():
                raise IllegalCuda(f"{name} changed while it was read")
        results = compute(before)
        for name, place in outputs.items():
            assert results[name].shape == place[1] and results[name].dtype == place[2], name
            view(cuda, place)[...] = results[name]

    cuda.enqueue(stream, Work(begin), Work(end))


class FakeEngine:
    """An ONNX file as an engine; ``largest`` gives the largest extent of open dimensions."""

    num_optimization_profiles = 1
    device_memory_size_v2 = SCRATCH

    def __init__(self, cuda: FakeCuda, graph: Path, largest: Mapping[str, int]) -> None:
        self.cuda, self.largest = cuda, largest
        self.session = open_session(graph, threads=1, prepare=register_ops)
        self.inputs = {spec.name: spec for spec in self.session.get_inputs()}
        self.outputs = {spec.name: spec for spec in self.session.get_outputs()}
        self.contexts = 0
        self.before: Callable[[], None] = lambda: None
        """Called whenever the engine computes."""

    @property
    def num_io_tensors(self) -> int:
        return len(self.inputs) + len(self.outputs)

    def get_tensor_name(self, index: int) -> str:
        return [*self.inputs, *self.outputs][index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self.inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> type:
        return _TYPES[{**self.inputs, **self.outputs}[name].type]

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[tuple[int, ...]]:
        shape = self.inputs[name].shape
        smallest = tuple(dim if isinstance(dim, int) else 1 for dim in shape)
        largest = tuple(dim if isinstance(dim, int) else self.largest[dim] for dim in shape)
        return [smallest, largest, largest]

    def create_execution_context(self, strategy: object) -> FakeContext:
        assert strategy is ExecutionContextAllocationStrategy.USER_MANAGED
        self.contexts += 1
        return FakeContext(self)

    def compute(self, feeds: Arrays) -> Arrays:
        self.before()
        with captured_outputs():
            values = self.session.run(list(self.outputs), feeds)
        return dict(zip(self.outputs, values, strict=True))


class FakeContext:
    """An execution context: snapshots its state at every enqueue, as TensorRT does."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.scratch = (0, 0)
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.changes = 0
        self.warm = -1

    def set_device_memory(self, address: int, size: int) -> None:
        assert size >= self.engine.device_memory_size_v2 and address % 256 == 0
        self.scratch = (address, size)
        self.changes += 1

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        low, _, high = self.engine.get_tensor_profile_shape(name, 0)
        if len(shape) != len(low) or any(
            not a <= s <= b for a, s, b in zip(low, shape, high, strict=True)
        ):
            return False
        self.shapes[name] = shape
        self.changes += 1
        return True

    def set_tensor_address(self, name: str, address: int) -> bool:
        if address % 256:
            return False
        self.addresses[name] = address
        self.changes += 1
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self.engine.inputs:
            return self.shapes[name]
        open_dims: dict[str, int] = {}
        for given, spec in self.engine.inputs.items():
            for dim, extent in zip(spec.shape, self.shapes[given], strict=True):
                if isinstance(dim, str):
                    assert open_dims.setdefault(dim, extent) == extent, f"{dim} is ambiguous"
        shape = self.engine.outputs[name].shape
        return tuple(d if isinstance(d, int) else int(eval(d, {}, open_dims)) for d in shape)

    def execute_async_v3(self, stream: int) -> bool:
        cuda, changes = self.engine.cuda, self.changes
        capturing = cuda.streams[stream].captured is not None
        if capturing and self.warm != changes:
            raise IllegalCuda("a capture of a context that has not run since it was changed")
        self.warm = changes

        def place(name: str) -> Place:
            dtype = np.dtype(self.engine.get_tensor_dtype(name))
            return self.addresses[name], self.get_tensor_shape(name), dtype

        give(
            cuda,
            stream,
            {name: place(name) for name in self.engine.inputs},
            {name: place(name) for name in self.engine.outputs},
            self.scratch,
            self.engine.compute,
            valid=lambda: not capturing or self.changes == changes,
        )
        return True


class FakeLibrary:
    """The C functions of the plugin library, deferred.

    host  the library's variant for the CPU, which then computes; None: the Python package's kernels
    """

    def __init__(self, cuda: FakeCuda, host: ctypes.CDLL | None = None) -> None:
        self.cuda, self.status = cuda, 0
        self.host = TokenizerLibrary(host) if host else None
        for op in ("superpixel_merge", "region_features", "voronoi_tessellation"):
            setattr(self, f"spit_{op}", _Function(self._enqueue))
            setattr(self, f"spit_{op}_workspace", _Function(self._workspace))
        self.spit_status_text = _Function(lambda status: f"simulated {status}".encode())
        self.spit_fault_text = _Function(lambda: b"simulated fault")

    def _workspace(self, reference: Any) -> int:
        return self.host.workspace(reference._obj) if self.host else SCRATCH

    def _enqueue(self, reference: Any, stream: int) -> int:
        if self.status:
            return self.status
        arguments = type(reference._obj).from_buffer_copy(reference._obj)
        inputs, outputs = _places(arguments)

        def compute(given: Arrays) -> Arrays:
            if self.host is None:
                return _KERNELS[type(arguments)](arguments, given)
            self.host.enqueue(arguments, 0)
            return {name: view(self.cuda, place) for name, place in outputs.items()}

        # The library writes all of its workspace, so a stamp there would not last.
        scratch = (0, 0) if self.host else (arguments.workspace, SCRATCH)
        give(self.cuda, stream, inputs, outputs, scratch, compute)
        return 0


class _Function:
    """A ctypes function as far as its callers look."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.argtypes: Any = None
        self.restype: Any = None

    def __call__(self, *arguments: Any) -> Any:
        assert len(arguments) == len(self.argtypes)
        return self.function(*arguments)


def _places(a: Any) -> tuple[dict[str, Place], dict[str, Place]]:
    """Where the arguments of an op lie."""
    images: SpitImages | Any = getattr(a, "images", a)
    size = (images.batch, images.height, images.width)
    labels = (a.labels, size, np.dtype(np.int32))
    counts = (a.counts, size[:1], np.dtype(np.int32))
    if images is a:
        return {"seeds": (a.seeds, size[:1], np.dtype(np.int64))}, {
            "labels": labels,
            "counts": counts,
        }
    dtype = np.dtype((np.uint8, np.float32)[images.type])
    pixels = {"images": (images.data, (size[0], 3, *size[1:]), dtype)}
    if isinstance(a, SpitMerge):
        return pixels, {"labels": labels, "counts": counts}
    assert a.token_type == 0
    shape = (size[0], a.max_tokens, a.bins * a.bins * (5 if a.gradient else 4))
    return {**pixels, "labels": labels, "counts": counts}, {
        "tokens": (a.tokens, shape, np.dtype(np.float32))
    }


def _merge(a: SpitMerge, given: Arrays) -> Arrays:
    labels, counts = superpixel_merge(
        given["images"],
        levels=a.levels,
        compactness=a.compactness,
        final_threshold=a.final_threshold,
        pixels=("uint8", "unit", "imagenet")[a.images.pixels],
        threads=1,
    )
    return {"labels": labels, "counts": counts}


def _features(a: SpitFeatures, given: Arrays) -> Arrays:
    tokens = region_features(
        given["images"],
        given["labels"],
        given["counts"],
        max_tokens=a.max_tokens,
        bins=a.bins,
        sigma=a.sigma,
        gradient=bool(a.gradient),
        interpolation=("bilinear", "nearest")[a.interpolation],
        threads=1,
    )
    return {"tokens": tokens}


def _voronoi(a: SpitVoronoi, given: Arrays) -> Arrays:
    labels, counts = voronoi_tessellation(given["seeds"].tolist(), a.height, a.width, threads=1)
    return {"labels": labels, "counts": counts}


_KERNELS: dict[type, Callable[[Any, Arrays], Arrays]] = {
    SpitMerge: _merge,
    SpitFeatures: _features,
    SpitVoronoi: _voronoi,
}
