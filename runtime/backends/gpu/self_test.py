"""One real kernel and one real engine on this GPU: whether what is installed works at all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spit_edge.plugins.native import ops
from spit_edge.runtime.cuda.kernels import SpitMerge, TokenizerLibrary
from spit_edge.runtime.cuda.op_runs import OpRuns, images_on_gpu
from spit_edge.runtime.engines.callbacks import Log, without_collection
from spit_edge.runtime.engines.flavour import Flavour
from spit_edge.runtime.errors import ExecutionError

_SIDE = 96
_LEVELS = 4


def check_kernels(library: TokenizerLibrary) -> int:
    """Merge an image into superpixels on the GPU and on the CPU; the number of superpixels.

    Raises ExecutionError if a kernel fails or the labels differ in one bit.
    """
    image = _blobs()
    with OpRuns() as gpu:
        labels, counts = gpu.array((1, _SIDE, _SIDE), np.int32), gpu.array((1,), np.int32)
        merge = SpitMerge(
            images=images_on_gpu(gpu.given(image)),
            levels=_LEVELS,
            labels=labels.address,
            counts=counts.address,
        )
        gpu.run(library, merge)
        found = gpu.values(labels)
    wanted, number = ops.superpixel_merge(image, levels=_LEVELS)
    if differing := int(np.count_nonzero(found != wanted)):
        raise ExecutionError(
            f"the superpixels of the GPU differ from the CPU's in {differing} pixels: "
            "please report this, with what spit-edge doctor prints"
        )
    return int(number[0])


def check_engine(flavour: Flavour) -> None:
    """Build, load and run the smallest engine, which doubles four numbers.

    Raises ExecutionError with TensorRT's words.
    """
    log = Log.of(flavour)
    with without_collection():
        runtime = flavour.module.Runtime(log.logger)
        engine = runtime.deserialize_cuda_engine(doubling_engine(flavour, log))
        context = engine.create_execution_context() if engine is not None else None
    if context is None:
        raise ExecutionError("; ".join(["an engine cannot be loaded", *log.errors]))
    numbers = np.arange(4, dtype=np.float32)
    with OpRuns() as gpu:
        memory = {"x": gpu.given(numbers), "y": gpu.array((4,), np.float32)}
        for name, array in memory.items():
            context.set_tensor_address(name, array.address)
        if not context.execute_async_v3(int(gpu.stream)):
            raise ExecutionError("; ".join(["an engine does not run", *log.errors]))
        doubled = gpu.values(memory["y"])
    if not np.array_equal(doubled, 2 * numbers):
        raise ExecutionError(f"an engine doubled {numbers.tolist()} to {doubled.tolist()}")


def doubling_engine(flavour: Flavour, log: Log, capability: Any = None) -> Any:
    """The serialised engine of y = x + x on four numbers; for this GPU, or with TensorRT-RTX for
    ``capability``, a ComputeCapability.  Raises ExecutionError."""
    trt = flavour.module
    try:
        with without_collection():
            builder = trt.Builder(log.logger)
    except (TypeError, RuntimeError) as error:  # the bindings' way to say that it gave none
        raise ExecutionError("; ".join([f"{flavour} does not start", *log.errors])) from error
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    x = network.add_input("x", trt.float32, (4,))
    y = network.add_elementwise(x, x, trt.ElementWiseOperation.SUM).get_output(0)
    y.name = "y"
    network.mark_output(y)
    config = builder.create_builder_config()
    if capability is not None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(capability, 0)
    with without_collection():
        engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise ExecutionError("; ".join([f"{flavour} builds no engine", *log.errors]))
    return engine


def _blobs() -> NDArray[np.uint8]:
    """A picture of waves with noise, uint8 [1, 3, 96, 96]; the same everywhere."""
    row, column = np.mgrid[:_SIDE, :_SIDE]
    waves = [(row * (3 + c) // 7) ^ (column * (5 - c) // 4) for c in range(3)]
    noise = np.random.Generator(np.random.Philox(0)).integers(0, 32, (3, _SIDE, _SIDE))
    return (np.stack(waves) + noise).astype(np.uint8)[np.newaxis]
