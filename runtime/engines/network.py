"""From an ONNX file to TensorRT's network."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from spit_edge.runtime.bundle.manifest import Manifest
from spit_edge.runtime.engines.callbacks import Log
from spit_edge.runtime.engines.flavour import Flavour
from spit_edge.runtime.errors import EngineError

if TYPE_CHECKING:
    import tensorrt as trt


def parse(
    flavour: Flavour, builder: trt.Builder, graph: Path, log: Log
) -> tuple[trt.INetworkDefinition, trt.OnnxParser]:
    """The network of an ONNX file, whose weights live as long as the parser.

    Types are those that the graph gives: TensorRT 11 knows no others, older ones are told so.
    Raises EngineError with the node, its op and TensorRT's description.
    """
    module = flavour.module
    flags = 1 << int(module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network: trt.INetworkDefinition = builder.create_network(flags)
    parser: trt.OnnxParser = module.OnnxParser(network, log.logger)
    parsed = parser.parse_from_file(str(graph))
    errors = [_described(parser.get_error(index)) for index in range(parser.num_errors)]
    if not parsed or errors:
        # The parser logs its errors too: they are said once.
        log.lines = [(level, text) for level, text in log.lines if level == "WARNING"]
        raise log.failure(
            f"{flavour} cannot read {graph}", "; ".join(errors) or "it does not say why"
        )
    if not network.num_inputs or not network.num_outputs:
        raise EngineError(f"{graph} has no inputs or no outputs: export the bundle again")
    return network, parser


def _described(error: trt.ParserError) -> str:
    node, op = error.node_name(), error.node_operator()
    where = f"node {node or error.node()} ({op}): " if op else ""
    return f"{where}{error.desc()}"


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
