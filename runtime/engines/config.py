"""The builder's configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spit_edge.runtime.bundle.manifest import Manifest
from spit_edge.runtime.cuda.gpu import Gpu
from spit_edge.runtime.engines.flavour import Flavour
from spit_edge.runtime.engines.record import Choices, ShapeRange
from spit_edge.runtime.errors import EngineError

if TYPE_CHECKING:
    import tensorrt as trt

WORKSPACE_SHARE = 0.5
"""Of the memory that is free: what a layer may ask for to be tried.  The rest is for weights,
activations and, on a Jetson, everything else that runs, because its GPU has the CPU's memory."""


def configure(
    flavour: Flavour,
    config: trt.IBuilderConfig,
    choices: Choices,
    gpu: Gpu | None,
    capabilities: Sequence[int],
    libraries: Sequence[Path],
) -> None:
    """Set everything but profile, timing cache and progress.

    gpu           None: none is at hand
    capabilities  of the GPUs to build for, TensorRT-RTX only; none means ``gpu``

    Raises EngineError for what this TensorRT cannot do.
    """
    module = flavour.module
    # Float32 means float32: TF32 products are off by more than the gates allow.
    config.clear_flag(module.BuilderFlag.TF32)
    config.builder_optimization_level = choices.optimization_level
    if gpu is not None:
        config.set_memory_pool_limit(
            module.MemoryPoolType.WORKSPACE, int(WORKSPACE_SHARE * gpu.free_memory)
        )
    if flavour.is_rtx:
        _choose_gpus(flavour, config, choices, capabilities)
        return
    if capabilities:
        raise EngineError(
            "TensorRT builds for the GPU it runs on: --compute-capability is for TensorRT-RTX, "
            "--flavour tensorrt-rtx"
        )
    if choices.hardware_compatible:
        config.hardware_compatibility_level = module.HardwareCompatibilityLevel.AMPERE_PLUS
    if choices.version_compatible:
        config.set_flag(module.BuilderFlag.VERSION_COMPATIBLE)
        # Such an engine carries its plugins along.
        config.plugins_to_serialize = [str(path) for path in libraries]


def _choose_gpus(
    flavour: Flavour, config: trt.IBuilderConfig, choices: Choices, capabilities: Sequence[int]
) -> None:
    if choices.hardware_compatible or choices.version_compatible:
        raise EngineError(
            "TensorRT-RTX has neither --hardware-compatible nor --version-compatible: "
            "name the GPUs with --compute-capability 86,89,120"
        )
    known = flavour.module.ComputeCapability
    names = [f"SM{capability}" for capability in capabilities] or ["CURRENT"]
    if unknown := [name for name in names if not hasattr(known, name)]:
        every = ", ".join(name[2:] for name in known.__members__ if name.startswith("SM"))
        raise EngineError(f"{flavour} does not build for {unknown[0]}, but for {every}")
    rtx: Any = config  # TensorRT's own stubs do not know these two
    rtx.num_compute_capabilities = len(names)
    for index, name in enumerate(names):
        rtx.set_compute_capability(getattr(known, name), index)


TYPICAL_SHARE = 0.7
"""Of the token budget: the shipped photographs fill 58 to 70 % of the default one at 224 x 224."""


def profile_of(network: trt.INetworkDefinition, manifest: Manifest) -> dict[str, ShapeRange]:
    """The range of every input's shapes: "B" is the batch, "T" the number of tokens.

    Raises EngineError for an input with another open dimension.
    """
    batch, budget = manifest.batch, manifest.token_budget
    ranges = {
        "B": (batch.min, batch.opt, batch.max),
        "T": (1, max(1, round(TYPICAL_SHARE * budget)), budget),
    }
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    return {tensor.name: _shape_range(tensor, ranges) for tensor in inputs}


def add_profile(
    flavour: Flavour,
    builder: trt.Builder,
    config: trt.IBuilderConfig,
    profile: dict[str, ShapeRange],
) -> None:
    """Tell TensorRT; EngineError if it refuses."""
    dims = flavour.module.Dims
    made = builder.create_optimization_profile()
    for name, shapes in profile.items():
        made.set_shape(name, dims(shapes.min), dims(shapes.opt), dims(shapes.max))
    if config.add_optimization_profile(made) < 0:
        raise EngineError(f"{flavour} refuses the shapes {profile}: export the bundle again")


def _shape_range(tensor: trt.ITensor, ranges: dict[str, tuple[int, int, int]]) -> ShapeRange:
    shapes: tuple[list[int], list[int], list[int]] = ([], [], [])
    for index in range(len(tensor.shape)):
        size, name = int(tensor.shape[index]), tensor.get_dimension_name(index)
        if size < 0 and name not in ranges:
            raise EngineError(
                f"dimension {index} of the input {tensor.name} is open and named {name!r}, "
                f"not one of {', '.join(ranges)}: export the bundle again"
            )
        for shape, value in zip(shapes, ranges[name] if size < 0 else [size] * 3, strict=True):
            shape.append(value)
    return ShapeRange(*shapes)
