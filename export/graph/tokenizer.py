"""The tokenizer as ONNX nodes: the custom ops, with attributes checked against their contracts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch
from onnx_ir.tape import Tape

from spit_edge.base.contracts import (
    DOMAIN,
    REGION_FEATURES,
    SUPERPIXEL_MERGE,
    VORONOI_TESSELLATION,
    Contract,
    Value,
)
from spit_edge.spit_ref.model import Spit

_TYPES = {"float32": ir.DataType.FLOAT, "int32": ir.DataType.INT32, "int64": ir.DataType.INT64}


@dataclass(frozen=True)
class TokenizerGraph:
    """The nodes from ``images`` (uint8 [B, 3, H, W]), and ``seeds`` (int64 [B]) where they are an
    input, to the other three."""

    nodes: Sequence[ir.Node]
    constants: Sequence[ir.Value]
    images: ir.Value
    seeds: ir.Value | None
    labels: ir.Value
    counts: ir.Value
    tokens: ir.Value


def tokenizer_graph(
    model: Spit, height: int, width: int, max_tokens: int, *, seed_input: bool = False
) -> TokenizerGraph:
    """Nodes of ``model``'s tokenizer for one image size and token budget.

    ``seed_input`` makes the seeds of Voronoi cells an input instead of the model's own seed.
    """
    tape = Tape()
    shape = ir.Shape(["B", 3, height, width])
    images = ir.Value(name="images", type=ir.TensorType(ir.DataType.UINT8), shape=shape)
    # The ops take raw values and normalise inside, where no optimiser can rewrite what must stay
    # exact: this cast is all that stands between the image and them.
    pixels = tape.op("Cast", [images], {"to": ir.DataType.FLOAT})
    _describe(pixels, "pixels", ir.DataType.FLOAT, shape)
    seeds = None
    if model.config.tokenizer == "superpixel":
        attributes = {
            "levels": model.config.levels,
            "compactness": model.config.compactness or 0.0,
            "final_threshold": model.config.final_threshold,
        }
        labels, counts = _regions_op(tape, SUPERPIXEL_MERGE, pixels, attributes, height, width)
    elif model.config.tokenizer == "random" and model.tokenizer.tessellation == "voronoi":
        if seed_input:
            seeds = ir.Value(
                name="seeds", type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape(["B"])
            )
        cells = seeds or _per_image(
            tape, pixels, "seed", np.array([model.tokenizer.seed], np.int64), "seeds"
        )
        attributes = {"height": height, "width": width}
        labels, counts = _regions_op(tape, VORONOI_TESSELLATION, cells, attributes, height, width)
    else:
        labels, counts = _fixed_regions(tape, pixels, model, height, width)
    (tokens,) = custom_op(
        tape,
        REGION_FEATURES,
        [pixels, labels, counts],
        {
            "max_tokens": max_tokens,
            "bins": model.config.bins,
            "sigma": model.config.sigma,
            "gradient": int(model.config.gradient),
            "interpolation": model.config.interpolation,
        },
        {"tokens": "tokens"},
        (height, width),
    )
    return TokenizerGraph(tape.nodes, tape.initializers, images, seeds, labels, counts, tokens)


def _regions_op(
    tape: Tape,
    contract: Contract,
    source: ir.Value,
    attributes: Mapping[str, Value],
    height: int,
    width: int,
) -> tuple[ir.Value, ir.Value]:
    names = {"labels": "labels", "counts": "num_tokens"}
    labels, counts = custom_op(tape, contract, [source], attributes, names, (height, width))
    return labels, counts


def _fixed_regions(
    tape: Tape, pixels: ir.Value, model: Spit, height: int, width: int
) -> tuple[ir.Value, ir.Value]:
    """Regions that never change: constants, repeated for every image."""
    regions, found = model.tokenizer.regions(torch.zeros(1, 3, height, width, dtype=torch.uint8))
    labels = _per_image(tape, pixels, "regions", regions.numpy(), "labels")
    counts = _per_image(tape, pixels, "region_count", found.numpy(), "num_tokens")
    return labels, counts


def _per_image(tape: Tape, pixels: ir.Value, name: str, array: np.ndarray, result: str) -> ir.Value:
    """The constant ``array`` [1, ...], repeated for every image of the batch."""
    batch = tape.op("Shape", [pixels], {"start": 0, "end": 1})
    _describe(batch, f"{name}_batch", ir.DataType.INT64, ir.Shape([1]))
    shape = batch
    if array.ndim > 1:
        size_name = f"{name}_size"
        size = ir.tensor(np.array(array.shape[1:], np.int64), name=size_name)
        shape = tape.op("Concat", [batch, tape.initializer(size, size_name)], {"axis": 0})
        _describe(shape, f"{name}_shape", ir.DataType.INT64, ir.Shape([array.ndim]))
    value = tape.op("Expand", [tape.initializer(ir.tensor(array, name=name), name), shape])
    _describe(value, result, ir.DataType.from_numpy(array.dtype), ir.Shape(["B", *array.shape[1:]]))
    return value


def custom_op(
    tape: Tape,
    contract: Contract,
    inputs: Sequence[ir.Value],
    attributes: Mapping[str, Value],
    names: Mapping[str, str],
    size: tuple[int, int],
) -> Sequence[ir.Value]:
    """A node of a custom op on images of ``size`` (height, width); ``names`` maps the contract's
    outputs to names in the graph."""
    values = contract.attribute_values(attributes)
    outputs = tape.op_multi_out(
        contract.name, inputs, values, domain=DOMAIN, num_outputs=len(contract.outputs)
    )
    symbols: dict[str, int | str] = {"B": "B", "H": size[0], "W": size[1]}
    shapes = contract.output_shapes(symbols, values)
    for value, port, dims in zip(outputs, contract.outputs, shapes, strict=True):
        _describe(value, names[port.name], _TYPES[port.dtype], ir.Shape(dims))
    return outputs


def _describe(value: ir.Value, name: str, dtype: ir.DataType, shape: ir.Shape) -> None:
    value.name, value.dtype, value.shape = name, dtype, shape
