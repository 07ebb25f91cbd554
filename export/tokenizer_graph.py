"""The tokenizer as ONNX nodes: the custom ops, with attributes checked against their contracts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch
from onnx_ir.tape import Tape

from plugins.contracts import (
    DOMAIN,
    REGION_FEATURES,
    SUPERPIXEL_MERGE,
    Contract,
    Value,
)
from spit_ref.model import Spit

_TYPES = {"float32": ir.DataType.FLOAT, "int32": ir.DataType.INT32, "int64": ir.DataType.INT64}


@dataclass(frozen=True)
class TokenizerGraph:
    """The nodes from ``images`` (uint8 [B, 3, H, W]) to the other three."""

    nodes: Sequence[ir.Node]
    constants: Sequence[ir.Value]
    images: ir.Value
    labels: ir.Value
    counts: ir.Value
    tokens: ir.Value


def tokenizer_graph(model: Spit, height: int, width: int, max_tokens: int) -> TokenizerGraph:
    """Nodes of ``model``'s tokenizer for one image size and token budget."""
    tape = Tape()
    shape = ir.Shape(["B", 3, height, width])
    images = ir.Value(name="images", type=ir.TensorType(ir.DataType.UINT8), shape=shape)
    # The ops take raw values and normalise inside, where no optimiser can rewrite what must stay
    # exact: this cast is all that stands between the image and them.
    pixels = tape.op("Cast", [images], {"to": ir.DataType.FLOAT})
    _describe(pixels, "pixels", ir.DataType.FLOAT, shape)
    if model.config.tokenizer == "superpixel":
        labels, counts = _superpixels(tape, pixels, model, (height, width))
    else:
        labels, counts = _fixed_regions(tape, pixels, model, height, width)
    (tokens,) = _custom_op(
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
    return TokenizerGraph(tape.nodes, tape.initializers, images, labels, counts, tokens)


def _superpixels(
    tape: Tape, pixels: ir.Value, model: Spit, size: tuple[int, int]
) -> tuple[ir.Value, ir.Value]:
    config = model.config
    labels, counts = _custom_op(
        tape,
        SUPERPIXEL_MERGE,
        [pixels],
        {"levels": config.levels, "compactness": config.compactness or 0.0},
        {"labels": "labels", "counts": "num_tokens"},
        size,
    )
    return labels, counts


def _fixed_regions(
    tape: Tape, pixels: ir.Value, model: Spit, height: int, width: int
) -> tuple[ir.Value, ir.Value]:
    """Regions that do not depend on the image: constants, repeated for every image."""
    regions, found = model.tokenizer.regions(torch.zeros(1, 3, height, width, dtype=torch.uint8))

    def constant(name: str, array: np.ndarray) -> ir.Value:
        return tape.initializer(ir.tensor(array, name=name), name)

    batch = tape.op("Shape", [pixels], {"start": 0, "end": 1})
    _describe(batch, "batch", ir.DataType.INT64, ir.Shape([1]))
    size = constant("image_size", np.array([height, width], np.int64))
    wanted = tape.op("Concat", [batch, size], {"axis": 0})
    _describe(wanted, "labels_shape", ir.DataType.INT64, ir.Shape([3]))
    labels = tape.op("Expand", [constant("regions", regions.numpy()), wanted])
    _describe(labels, "labels", ir.DataType.INT32, ir.Shape(["B", height, width]))
    counts = tape.op("Expand", [constant("region_count", found.numpy()), batch])
    _describe(counts, "num_tokens", ir.DataType.INT32, ir.Shape(["B"]))
    return labels, counts


def _custom_op(
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
