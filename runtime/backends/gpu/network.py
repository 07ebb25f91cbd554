"""A TensorRT engine run on one stream, by CUDA graphs where they can be had.

A captured graph is tied to the execution context it came from, to its shapes and its addresses.  So
every set of shapes and addresses gets a context of its own, which is never touched again; they
share one block of memory for activations, because one stream runs them one after the other.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from spit_edge.runtime.backends.gpu.engine_file import OpenEngine
from spit_edge.runtime.bundle.manifest import Manifest, TensorSpec
from spit_edge.runtime.cuda.api import Graph, Stream
from spit_edge.runtime.cuda.memory import GpuMemory
from spit_edge.runtime.errors import BackendUnavailable, ExecutionError

ALIGNMENT = 256
"""Of the addresses that TensorRT takes, in bytes."""


class Binding(NamedTuple):
    """Where a tensor lies on the GPU, at a multiple of ALIGNMENT, and its shape."""

    address: int
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Tensor:
    """An input or output; ``shape`` is the largest that the engine serves."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


@dataclass
class _Context:
    """An execution context; ``warm`` when it has run with the shapes and addresses it has."""

    context: Any
    warm: bool = False
    graph: Graph | None = None


class Network:
    """An engine on ``stream``; its first profile is used.

    graphs  whether to launch captured graphs.  If a capture fails, a warning says so once and all
            goes on without them.
    """

    def __init__(self, opened: OpenEngine, stream: Stream, *, graphs: bool) -> None:
        self._opened: OpenEngine | None = opened
        self._stream, self._graphs = stream, graphs
        engine, trt = opened.engine, opened.trt
        self._scratch = GpuMemory(int(engine.device_memory_size_v2))
        self._loose = self._new_context()
        self._fixed: dict[tuple[Binding, ...], _Context] = {}
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        modes = {name: engine.get_tensor_mode(name) for name in names}
        inputs = [name for name in names if modes[name] == trt.TensorIOMode.INPUT]
        self.inputs = {
            name: self._tensor(opened, name, tuple(engine.get_tensor_profile_shape(name, 0)[2]))
            for name in inputs
        }
        for tensor in self.inputs.values():
            self._set_shape(self._loose.context, tensor.name, tensor.shape)
        self.outputs = {
            name: self._tensor(opened, name, tuple(self._loose.context.get_tensor_shape(name)))
            for name in names
            if name not in self.inputs
        }

    def enqueue(self, bindings: Mapping[str, Binding], *, lasting: bool = True) -> None:
        """Give the stream one run of the network on ``bindings``, which name every tensor.

        lasting  whether runs with these very shapes and addresses come again: only then are a
                 context and a graph made for them

        Raises ExecutionError.
        """
        if not lasting:
            self._bind(self._loose.context, bindings)
            self._run(self._loose.context)
            return
        key = tuple(bindings[name] for name in (*self.inputs, *self.outputs))
        fixed = self._fixed.get(key)
        if fixed is None:
            fixed = self._new_context()
            self._bind(fixed.context, bindings)
            self._fixed[key] = fixed
        # TensorRT sets itself up in the first run after a change, which cannot be captured.
        if self._graphs and fixed.warm and fixed.graph is None:
            fixed.graph = self._capture(fixed.context)
        if fixed.graph is not None:
            fixed.graph.launch(self._stream)
        else:
            self._run(fixed.context)
            fixed.warm = True

    def check(
        self, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], manifest: Manifest
    ) -> None:
        """Raise BackendUnavailable unless the engine takes and gives these tensors, dimensions
        that are open ("B", "T") up to the manifest's batch and token budget."""
        largest = {"B": manifest.batch.max, "T": manifest.token_budget}
        for specs, tensors in ((inputs, self.inputs), (outputs, self.outputs)):
            if sorted(tensors) != sorted(spec.name for spec in specs):
                wanted = ", ".join(spec.name for spec in specs)
                raise _unfit(f"it has {', '.join(tensors)} instead of {wanted}")
            for spec in specs:
                _check_tensor(tensors[spec.name], spec, largest)

    def close(self) -> None:
        """Release graphs, contexts, the engine and memory; the stream must be idle."""
        for fixed in self._fixed.values():
            if fixed.graph is not None:
                fixed.graph.close()
        self._fixed.clear()
        self._loose.context = self._opened = None
        self._scratch.close()

    def _new_context(self) -> _Context:
        assert self._opened is not None
        strategy = self._opened.trt.ExecutionContextAllocationStrategy.USER_MANAGED
        context = self._opened.engine.create_execution_context(strategy)
        if context is None:
            raise self._failure("TensorRT made no execution context")
        if self._scratch.size:
            context.set_device_memory(self._scratch.address, self._scratch.size)
        return _Context(context)

    def _tensor(self, opened: OpenEngine, name: str, shape: tuple[int, ...]) -> Tensor:
        if not all(extent > 0 for extent in shape):
            raise _unfit(f"its {name} has the shape {shape}")
        dtype = np.dtype(opened.trt.nptype(opened.engine.get_tensor_dtype(name)))
        return Tensor(name, dtype, shape)

    def _set_shape(self, context: Any, name: str, shape: tuple[int, ...]) -> None:
        if not context.set_input_shape(name, shape):
            raise ExecutionError(f"the engine's profile does not hold {name} of shape {shape}")

    def _bind(self, context: Any, bindings: Mapping[str, Binding]) -> None:
        for name in self.inputs:
            self._set_shape(context, name, bindings[name].shape)
        for name in (*self.inputs, *self.outputs):
            if not context.set_tensor_address(name, bindings[name].address):
                raise self._failure(f"TensorRT refused the address of {name}")

    def _run(self, context: Any) -> None:
        if not context.execute_async_v3(int(self._stream)):
            raise self._failure("TensorRT could not enqueue the engine")

    def _failure(self, what: str) -> ExecutionError:
        said = self._opened.log.errors if self._opened is not None else []
        return ExecutionError("; ".join([what, *said[-3:]]))

    def _capture(self, context: Any) -> Graph | None:
        # TensorRT-RTX compiles kernels as it goes and says when it is done.
        capturable = getattr(context, "is_stream_capturable", None)
        if capturable is not None and not capturable(int(self._stream)):
            return None
        try:
            return Graph(self._stream, lambda: self._run(context))
        except ExecutionError as error:
            self._graphs = False
            warnings.warn(f"running without CUDA graphs: {error}", RuntimeWarning, stacklevel=2)
            return None


def use_graphs(chosen: bool | None) -> bool:
    """``chosen``, or what the environment variable SPIT_CUDA_GRAPHS says: on, unless it is 0."""
    return os.environ.get("SPIT_CUDA_GRAPHS", "1") != "0" if chosen is None else chosen


def _check_tensor(tensor: Tensor, spec: TensorSpec, largest: Mapping[str, int]) -> None:
    if str(tensor.dtype) != spec.dtype:
        raise _unfit(f"its {spec.name} is {tensor.dtype} instead of {spec.dtype}")
    wanted = tuple(dim if isinstance(dim, int) else largest[dim] for dim in spec.shape)
    if tensor.shape != wanted:
        raise _unfit(f"its {spec.name} is at most {tensor.shape} instead of {wanted}")


def _unfit(reason: str) -> BackendUnavailable:
    return BackendUnavailable(
        f"the engine does not fit the bundle ({reason}): build it again with "
        "spit-edge engine BUNDLE"
    )
