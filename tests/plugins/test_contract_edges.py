"""Reference, native kernels, exporter and ONNX Runtime refuse what the contracts refuse, in the
same words, and take the rest; ``tensorrt/test_plugin_edges.py`` has C functions and plugins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper
from onnx_ir.tape import Tape

from spit_edge import plugins, spit_ref
from spit_edge.base.contracts import DOMAIN, ContractError
from spit_edge.export.graph.tokenizer import custom_op
from spit_edge.plugins import torch_ops
from spit_edge.plugins.generate import snake
from spit_edge.plugins.native import ops
from spit_edge.plugins.onnxruntime_ops import captured_outputs, register_ops
from tests.plugins.contract_edges import EDGES, Edge, name_of

IMAGES = np.full((1, 3, 4, 5), 0.5, np.float32)
INPUTS = {
    "images": IMAGES,
    "labels": np.zeros((1, 4, 5), np.int32),
    "counts": np.ones(1, np.int32),
    "seeds": np.array([7], np.int64),
}
KINDS = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32, "int64": TensorProto.INT64}


def inputs_of(edge: Edge) -> list[np.ndarray]:
    return [INPUTS[port.name] for port in edge.contract.inputs]


def without_token_type(edge: Edge) -> dict[str, Any]:
    return {name: v for name, v in edge.attributes.items() if name != "token_type"}


def by_reference(edge: Edge) -> None:
    given = [torch.from_numpy(array) for array in inputs_of(edge)]
    first = [7] if edge.contract.name == "VoronoiTessellation" else given
    getattr(spit_ref, snake(edge.contract.name))(*first, **without_token_type(edge))


def by_native(edge: Edge) -> None:
    first = [7] if edge.contract.name == "VoronoiTessellation" else inputs_of(edge)
    getattr(plugins, snake(edge.contract.name))(*first, **without_token_type(edge))


def by_native_call(edge: Edge) -> None:
    ops.call(edge.contract, *inputs_of(edge), **edge.attributes)


def by_torch_op(edge: Edge) -> None:
    given = [torch.from_numpy(array) for array in inputs_of(edge)]
    getattr(torch_ops, snake(edge.contract.name))(*given, **without_token_type(edge))


def by_exporter(edge: Edge) -> None:
    tape, contract = Tape(), edge.contract
    given = [ir.Value(name=port.name) for port in contract.inputs]
    names = {port.name: port.name for port in contract.outputs}
    custom_op(tape, contract, given, edge.attributes, names, (4, 5))


def by_onnxruntime(edge: Edge) -> None:
    """A graph that no exporter of ours has written."""
    contract = edge.contract
    defaults = {a.name: a.default for a in contract.attributes if a.default is not None}
    values = defaults | edge.attributes
    names = [[port.name for port in ports] for ports in (contract.inputs, contract.outputs)]
    node = helper.make_node(contract.name, *names, domain=DOMAIN, **values)
    ports = [
        [helper.make_tensor_value_info(p.name, KINDS[p.dtype], [None] * len(p.shape)) for p in of]
        for of in (contract.inputs, contract.outputs)
    ]
    model = helper.make_model(
        helper.make_graph([node], "op", *ports),
        opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid(DOMAIN, 1)],
        ir_version=10,
    )
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    register_ops(options)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    with captured_outputs(1):
        session.run(None, {port.name: INPUTS[port.name] for port in contract.inputs})


Layer = Callable[[Edge], None]


def assert_agrees(edge: Edge, layer: Layer) -> None:
    if edge.says is None:
        layer(edge)
        return
    with pytest.raises(ContractError) as refused:
        layer(edge)
    assert str(refused.value) == edge.says


@pytest.mark.parametrize("edge", EDGES, ids=name_of)
def test_python_layers_agree(edge: Edge) -> None:
    if edge.is_costly:
        by_exporter(edge)
        return
    assert_agrees(edge, by_exporter)
    if edge.field.name == "token_type" and edge.says is None and edge.value != "float32":
        with pytest.raises(ContractError, match=f"RegionFeatures gives {edge.value} tokens on GPU"):
            by_native_call(edge)
        return
    assert_agrees(edge, by_native_call)
    if edge.field.name == "token_type" or edge.value is None:
        return  # no argument, or one that means the default
    assert_agrees(edge, by_reference)
    assert_agrees(edge, by_native)
    # PyTorch itself refuses other types before its ops are called.
    if edge.is_typed and edge.field.name not in ("pixels", "gradient", "height", "width"):
        assert_agrees(edge, by_torch_op)


@pytest.mark.parametrize("edge", [e for e in EDGES if e.is_typed and not e.is_costly], ids=name_of)
def test_onnxruntime_agrees(edge: Edge) -> None:
    """Reals arrive there with six digits, so that an edge's next neighbour is the edge itself."""
    if isinstance(edge.value, float) and float(f"{edge.value:.6g}") != edge.value:
        return
    if edge.field.name == "token_type" and edge.value in ("float16", "bfloat16"):
        with pytest.raises(ContractError, match="tokens on GPUs only"):
            by_onnxruntime(edge)
        return
    assert_agrees(edge, by_onnxruntime)
