"""A TensorRT engine run on one stream, by CUDA graphs where they can be had.

A captured graph is tied to the execution context it came from, to its shapes and its addresses.  So
every set of shapes and addresses gets a context of its own, which is never touched again; they
share one block of memory for activations, because one stream runs them one after the other.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from runtime.errors import ExecutionError
from runtime.gpu.cuda import Graph, Stream
from runtime.gpu.memory import DeviceMemory


class Binding(NamedTuple):
    """Where a tensor lies on the GPU, and its shape."""

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
    """``engine`` (an ICudaEngine of the module ``trt``) on ``stream``; one profile is used.

    graphs  whether to launch captured graphs.  If a capture fails, a warning says so once and all
            goes on without them.
    """

    def __init__(self, engine: Any, trt: ModuleType, stream: Stream, *, graphs: bool) -> None:
        self._engine, self._trt, self._stream, self._graphs = engine, trt, stream, graphs
        self._scratch = DeviceMemory(int(engine.device_memory_size_v2))
        self._loose = self._new_context()
        self._fixed: dict[tuple[Binding, ...], _Context] = {}
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        modes = {name: engine.get_tensor_mode(name) for name in names}
        inputs = [name for name in names if modes[name] == trt.TensorIOMode.INPUT]
        self.inputs = {name: self._tensor(name, self._largest_input(name)) for name in inputs}
        for tensor in self.inputs.values():
            self._set_shape(self._loose.context, tensor.name, tensor.shape)
        self.outputs = {
            name: self._tensor(name, tuple(self._loose.context.get_tensor_shape(name)))
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

    def close(self) -> None:
        """Release graphs, contexts, the engine and memory; the stream must be idle."""
        for fixed in self._fixed.values():
            if fixed.graph is not None:
                fixed.graph.close()
        self._fixed.clear()
        self._loose.context = self._engine = None
        self._scratch.close()

    def _new_context(self) -> _Context:
        strategy = self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        context = self._engine.create_execution_context(strategy)
        if context is None:
            raise ExecutionError("TensorRT made no execution context: see its log above")
        context.set_device_memory(self._scratch.address, self._scratch.size)
        return _Context(context)

    def _largest_input(self, name: str) -> tuple[int, ...]:
        _, _, largest = self._engine.get_tensor_profile_shape(name, 0)
        return tuple(largest)

    def _tensor(self, name: str, shape: tuple[int, ...]) -> Tensor:
        if not all(extent > 0 for extent in shape) or math.prod(shape) >= 1 << 40:
            raise ExecutionError(f"the engine's {name} has the shape {shape} in its profile")
        return Tensor(name, np.dtype(self._trt.nptype(self._engine.get_tensor_dtype(name))), shape)

    def _set_shape(self, context: Any, name: str, shape: tuple[int, ...]) -> None:
        if not context.set_input_shape(name, shape):
            raise ExecutionError(f"the engine's profile does not hold {name} of shape {shape}")

    def _bind(self, context: Any, bindings: Mapping[str, Binding]) -> None:
        for name in self.inputs:
            self._set_shape(context, name, bindings[name].shape)
        for name in (*self.inputs, *self.outputs):
            if not context.set_tensor_address(name, bindings[name].address):
                raise ExecutionError(f"TensorRT refused the address of {name}")

    def _run(self, context: Any) -> None:
        if not context.execute_async_v3(int(self._stream)):
            raise ExecutionError("TensorRT could not enqueue the engine: see its log above")

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
