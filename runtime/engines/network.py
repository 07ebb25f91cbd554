"""From an ONNX file to TensorRT's network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runtime.engines.flavour import Flavour
from runtime.engines.log import Log
from runtime.errors import EngineError

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
