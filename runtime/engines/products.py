"""The types of a network's matrix products: checked, because a wrong one costs speed in silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from runtime.engines.flavour import Flavour
from runtime.errors import EngineError
from runtime.manifest import Manifest

if TYPE_CHECKING:
    import tensorrt as trt

TYPES = {"fp32": "FLOAT", "fp16": "HALF", "bf16": "BF16"}
"""A manifest's precision, and what TensorRT calls it."""


def check_products(
    flavour: Flavour, network: trt.INetworkDefinition, manifest: Manifest
) -> dict[str, int]:
    """How many matrix products there are of each type.

    Raises EngineError unless they are of the manifest's precision, apart from those that the
    exporter leaves in float32: the head, and the products without weights of attention flow.
    """
    wanted = TYPES[manifest.precision]
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    products = [layer for layer in layers if layer.type == flavour.module.LayerType.MATRIX_MULTIPLY]
    maker = _makers(layers)
    head = _head(flavour, network, maker)
    flow = any(spec.name == "attention" for spec in manifest.outputs)
    found: Counter[str] = Counter()
    for product in products:
        types = {product.get_input(side).dtype.name for side in (0, 1)}
        weighted = any(_is_weight(flavour, product.get_input(side), maker) for side in (0, 1))
        excused = types == {"FLOAT"} and (product.name == head or (flow and not weighted))
        if types != {wanted} and not excused:
            raise EngineError(
                f"the matrix product {product.name} is of {' x '.join(sorted(types))}, but the "
                f"bundle says {manifest.precision}: export it again"
            )
        found[product.get_input(0).dtype.name] += 1
    if not found[wanted]:
        raise EngineError(
            f"no matrix product is of {wanted}, but the bundle says {manifest.precision}: "
            "export it again"
        )
    return dict(found)


def _makers(layers: list[trt.ILayer]) -> dict[str, trt.ILayer]:
    """The layer that gives a tensor, by the tensor's name."""
    return {
        layer.get_output(index).name: layer
        for layer in layers
        for index in range(layer.num_outputs)
    }


def _inputs(layer: trt.ILayer, maker: dict[str, trt.ILayer]) -> Iterator[trt.ILayer]:
    """The layers before a layer."""
    for index in range(layer.num_inputs):
        tensor = layer.get_input(index)
        if tensor is not None and tensor.name in maker:
            yield maker[tensor.name]


def _head(
    flavour: Flavour, network: trt.INetworkDefinition, maker: dict[str, trt.ILayer]
) -> str | None:
    """The name of the product that gives the logits, but for what comes behind it."""
    outputs = [network.get_output(index) for index in range(network.num_outputs)]
    waiting = [maker[tensor.name] for tensor in outputs if tensor.name == "logits"]
    while waiting:
        layer = waiting.pop(0)
        if layer.type == flavour.module.LayerType.MATRIX_MULTIPLY:
            return str(layer.name)
        waiting += _inputs(layer, maker)
    return None


def _is_weight(flavour: Flavour, tensor: trt.ITensor, maker: dict[str, trt.ILayer]) -> bool:
    """Whether a tensor is a constant, reshaped or not."""
    kinds = flavour.module.LayerType
    layer = maker.get(tensor.name)
    while layer is not None and layer.type in (kinds.SHUFFLE, kinds.CAST, kinds.IDENTITY):
        layer = next(_inputs(layer, maker), None)
    return layer is not None and layer.type == kinds.CONSTANT
