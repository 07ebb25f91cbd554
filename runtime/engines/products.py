"""The types of a network's matrix products: checked, because a wrong one costs speed in silence."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from runtime.engines.flavour import Flavour
from runtime.errors import EngineError
from runtime.manifest import Manifest

if TYPE_CHECKING:
    import tensorrt as trt

TYPES = {"fp32": "FLOAT", "fp16": "HALF", "bf16": "BF16"}
"""A manifest's precision, and what TensorRT calls it."""

_NAMED = re.compile(r"embedder|blocks\.\d+\.\w+")
"""Values of the exported graph that end a matrix product with its bias."""


def check_products(
    flavour: Flavour, network: trt.INetworkDefinition, manifest: Manifest
) -> dict[str, int]:
    """How many matrix products there are of each type.

    Those of the embedder and the blocks must be of the manifest's precision, unless its plan
    leaves them in float32; all others, of the head and of attention flow, in float32.  Raises
    EngineError with the first that is not.
    """
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    names = _product_names(flavour, layers)
    if not names:
        raise EngineError("the graph has no named matrix products: export the bundle again")
    found: Counter[str] = Counter()
    for layer in layers:
        if layer.type != flavour.module.LayerType.MATRIX_MULTIPLY:
            continue
        name = names.get(layer.name)
        reduced = name is not None and name not in manifest.fp32_products
        wanted = TYPES[manifest.precision if reduced else "fp32"]
        types = {layer.get_input(side).dtype.name for side in (0, 1)}
        if types != {wanted}:
            raise EngineError(
                f"the matrix product {name or layer.name} is of {' x '.join(sorted(types))} "
                f"instead of {wanted}: export the bundle again"
            )
        found[wanted] += 1
    return dict(found)


def _product_names(flavour: Flavour, layers: list[trt.ILayer]) -> dict[str, str]:
    """What the graph calls the matrix product of a layer, by the layer's name."""
    maker = {
        layer.get_output(index).name: layer
        for layer in layers
        for index in range(layer.num_outputs)
    }
    names = {}
    for value in filter(_NAMED.fullmatch, maker):
        waiting = [maker[value]]
        while waiting:
            layer = waiting.pop(0)
            if layer.type == flavour.module.LayerType.MATRIX_MULTIPLY:
                names[str(layer.name)] = value
                break
            tensors = [layer.get_input(index) for index in range(layer.num_inputs)]
            waiting += [maker[t.name] for t in tensors if t is not None and t.name in maker]
    return names
