"""The ONNX model: the traced trunk, with the tokenizer's custom ops put in front."""

from __future__ import annotations

import ast
import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx
import onnx_ir as ir
import torch

from spit_edge.base.contracts import CONTRACTS, DOMAIN
from spit_edge.export.graph.tokenizer import tokenizer_graph
from spit_edge.export.graph.trunk import BLOCK_PRODUCTS, TrunkGraph
from spit_edge.export.options import BuildOptions
from spit_edge.spit_ref.model import Spit

OPSET = 20


def trunk_graph(model: Spit, options: BuildOptions) -> ir.Model:
    """The ONNX model of the trunk alone, batch and number of tokens dynamic.

    Inputs: tokens float32 [B, T, D] and num_tokens int32 [B], of which T is the largest at least.
    Outputs: logits float32 [B, classes], then the extras (but tokens) in float32.  What matrix
    products and blocks give is named after them: ``blocks.0.qkv``, ``blocks.0``.
    """
    extras = tuple(name for name in options.outputs if name != "tokens")
    trunk = TrunkGraph(model, options.precision, extras, options.fp32).eval()
    # Sizes that are neither 1 nor each other, so that the tracer confuses no dimensions.
    example = (torch.zeros(2, 7, model.config.token_size), torch.full((2,), 7, dtype=torch.int32))
    batch, length = torch.export.Dim("B", min=1), torch.export.Dim("T", min=1)
    with _quiet_exporter(), torch.no_grad():
        program = torch.onnx.export(
            trunk,
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=["tokens", "num_tokens"],
            output_names=["logits", *extras],
            dynamic_shapes=({0: batch, 1: length}, {0: batch}),
            verbose=False,
        )
    assert program is not None
    _name_layers(program.model.graph)
    return program.model


def full_graph(trunk: ir.Model, model: Spit, options: BuildOptions) -> ir.Model:
    """``trunk``, a :func:`trunk_graph`, with the tokenizer in place of its inputs; it is changed.

    Input: images uint8 [B, 3, H, W].  Outputs: logits float32 [B, classes], labels int32 [B, H, W],
    num_tokens int32 [B], then the extras in float32.
    """
    graph = trunk.graph
    front = tokenizer_graph(
        model, options.height, options.width, options.budget, seed_input=options.seed_input
    )
    tokens, counts = graph.inputs
    ir.convenience.replace_all_uses_with([tokens, counts], [front.tokens, front.counts])
    graph.inputs[:] = [front.images, *([front.seeds] if front.seeds else [])]
    for value in front.constants:
        graph.register_initializer(value)
    graph.insert_before(graph[0], front.nodes)
    graph.opset_imports[DOMAIN] = max(contract.version for contract in CONTRACTS)
    logits, *extras = graph.outputs
    for value in extras:  # the trunk left the number of tokens open
        rows = options.budget + (value.name == "embeddings")
        value.shape = ir.Shape(["B", rows, *list(value.shape or ())[2:]])
    if "tokens" in options.outputs:
        extras.insert(options.outputs.index("tokens"), front.tokens)
    graph.outputs[:] = [logits, front.labels, front.counts, *extras]
    return trunk


def save_graph(model: ir.Model, path: Path, metadata: Mapping[str, str], weights: str) -> None:
    """Write ``path`` and, beside it, the file ``weights``; then check what was written.

    Weights that lie in a file already, because the model was loaded from one, stay there: several
    graphs share one file of weights.

    Raises onnx.checker.ValidationError or onnx.shape_inference.InferenceError.
    """
    model.metadata_props.update(metadata)
    model.producer_name, model.producer_version = "spit-edge", metadata.get("spit_edge", "")
    stored = any(
        isinstance(value.const_value, ir.ExternalTensor)
        for value in model.graph.initializers.values()
    )
    ir.save(model, path, external_data=None if stored else weights)
    onnx.checker.check_model(str(path))
    graph = onnx.load(str(path), load_external_data=False)
    onnx.shape_inference.infer_shapes(graph, check_type=True, strict_mode=True, data_prop=True)


def _name_layers(graph: ir.Graph) -> None:
    """Give the last value of every matrix product and block the name of its module."""
    last: dict[str, ir.Node] = {}
    for node in graph:
        # From the whole model through modules down to the traced operation.
        scopes = ast.literal_eval(node.metadata_props["pkg.torch.onnx.name_scopes"])
        last[scopes[-2]] = node
    for module, node in last.items():
        if re.fullmatch(r"embedder|blocks\.\d+(\.(" + "|".join(BLOCK_PRODUCTS) + "))?", module):
            node.outputs[0].name = module


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter prints and warns about itself; its exceptions say all that matters."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
