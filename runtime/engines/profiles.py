"""The shapes that an engine serves, from the manifest and the network's open dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.engines.flavour import Flavour
from runtime.engines.record import ShapeRange
from runtime.errors import EngineError
from runtime.manifest import Manifest

if TYPE_CHECKING:
    import tensorrt as trt

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
