"""The exported graph: structure, types, metadata, and what it computes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from spit_edge.base.contracts import DOMAIN, REGION_FEATURES, SUPERPIXEL_MERGE
from spit_edge.base.progress import Steps
from spit_edge.export.build import build
from spit_edge.export.graph.model import save_graph
from spit_edge.export.graph.trunk import TrunkGraph
from spit_edge.export.options import BuildOptions, default_budget
from spit_edge.runtime.session import Session
from spit_edge.spit_ref import load_model
from tests.conftest import GOLDENS

FLOATS = {"fp32": "FLOAT", "fp16": "FLOAT16", "bf16": "BFLOAT16"}


def graph_of(built) -> onnx.ModelProto:
    return onnx.load(str(built.path / "model.onnx"), load_external_data=False)


def attributes_of(graph: onnx.ModelProto, op: str) -> dict:
    (node,) = [n for n in graph.graph.node if n.op_type == op]
    assert node.domain == DOMAIN
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_matrix_products_and_weights_are_in_the_precision(make_bundle, precision) -> None:
    model = onnx.shape_inference.infer_shapes(graph_of(make_bundle(precision=precision)))
    wanted = onnx.TensorProto.DataType.Value(FLOATS[precision])
    types = {v.name: v.type.tensor_type.elem_type for v in model.graph.value_info}
    types |= {t.name: t.data_type for t in model.graph.initializer}
    products = [n for n in model.graph.node if n.op_type == "MatMul"]
    assert len(products) == 13  # embedder, and qkv, scores, mix, proj, up, down of two blocks
    assert all(types[name] == wanted for n in products for name in n.input)
    for node in model.graph.node:
        if node.op_type in ("LayerNormalization", "Softmax"):
            assert types[node.output[0]] == onnx.TensorProto.FLOAT, node.op_type


def test_custom_ops_carry_every_attribute_of_their_contract(make_bundle) -> None:
    graph = graph_of(make_bundle())
    for contract in (SUPERPIXEL_MERGE, REGION_FEATURES):
        found = attributes_of(graph, contract.name)
        assert set(found) == {a.name for a in contract.attributes}
        assert found["plugin_version"] == b"1" and found["plugin_namespace"] == b""
    assert attributes_of(graph, "RegionFeatures")["max_tokens"] == 320
    assert attributes_of(graph, "RegionFeatures")["sigma"] == pytest.approx(0.05)


def test_nothing_but_a_cast_stands_before_the_ops(make_bundle) -> None:
    nodes = graph_of(make_bundle()).graph.node
    assert [n.op_type for n in nodes[:3]] == ["Cast", "SuperpixelMerge", "RegionFeatures"]
    assert nodes[1].input == nodes[0].output and nodes[2].input[0] == nodes[0].output[0]


def test_inputs_outputs_and_metadata(make_bundle) -> None:
    built = make_bundle()
    model = graph_of(built)
    assert model.opset_import[0].version >= 20
    described = [
        (v.name, [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim])
        for v in [*model.graph.input, *model.graph.output]
    ]
    assert described == [
        ("images", ["B", 3, 224, 224]),
        ("logits", ["B", 10]),
        ("labels", ["B", 224, 224]),
        ("num_tokens", ["B"]),
    ]
    metadata = {p.key: p.value for p in model.metadata_props}
    assert metadata["model"] == "spit_tiny" and metadata["precision"] == "fp32"
    assert len(metadata["weights_sha256"]) == 64 and metadata["spit_edge"]


def test_extra_outputs(make_bundle, photographs) -> None:
    built = make_bundle(outputs=("attention", "tokens", "embeddings"))
    images = photographs(224, 224)
    with Session.open(built.path) as session:
        output = session.run(images)
    model = load_model("spit_tiny", weights=GOLDENS / "tiny_gradient.pth")
    with torch.no_grad():
        batch = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        wanted = model(batch, embeddings=True, flow=True)
    longest = int(output.num_tokens.max())
    assert output.tokens.shape == (3, 320, 1280) and output.embeddings.shape == (3, 321, 64)
    np.testing.assert_allclose(output.attention[:, :longest], wanted.attention_flow, atol=1e-4)
    assert output.attention[:, longest:].max() == 0.0
    for index, count in enumerate(output.num_tokens):
        np.testing.assert_allclose(
            output.embeddings[index, : count + 1], wanted.embeddings[index, : count + 1], atol=1e-4
        )


@pytest.mark.parametrize("tokens", [1, 40, 333])
def test_trunk_takes_any_batch_and_number_of_tokens(traces, tmp_path, tokens) -> None:
    import onnxruntime

    model = load_model("spit_tiny", weights=GOLDENS / "tiny_gradient.pth")
    options = BuildOptions("spit_tiny")
    save_graph(traces(model, options), tmp_path / "trunk.onnx", {}, "weights")
    rows = torch.randn(3, tokens, 1280, generator=torch.Generator().manual_seed(0))
    counts = torch.tensor([1, tokens, max(1, tokens // 2)], dtype=torch.int32)
    session = onnxruntime.InferenceSession(tmp_path / "trunk.onnx")
    assert [i.shape for i in session.get_inputs()] == [["B", "T", 1280], ["B"]]
    (logits,) = session.run(None, {"tokens": rows.numpy(), "num_tokens": counts.numpy()})
    with torch.no_grad():
        wanted = model.classify(model.embed(rows, counts))
    np.testing.assert_allclose(logits, wanted, atol=1e-4)


def test_trunk_bundle(make_bundle) -> None:
    built = make_bundle(part="trunk", precision="fp16")
    assert built.passed and list(built.parity) == ["onnxruntime"]
    graph = graph_of(built)
    assert not [n for n in graph.graph.node if n.domain == DOMAIN]


def test_a_full_bundle_has_the_trunk_too_and_the_weights_once(make_bundle) -> None:
    folder = make_bundle(precision="fp16", outputs=("attention", "tokens")).path
    trunk = onnx.load(str(folder / "trunk.onnx"), load_external_data=False)
    assert [v.name for v in trunk.graph.input] == ["tokens", "num_tokens"]
    assert [v.name for v in trunk.graph.output] == ["logits", "attention"]
    assert not [n for n in trunk.graph.node if n.domain == DOMAIN]
    stored = [
        {t.name: [(e.key, e.value) for e in t.external_data] for t in model.graph.initializer}
        for model in (
            trunk,
            graph_of(make_bundle(precision="fp16", outputs=("attention", "tokens"))),
        )
    ]
    assert any(stored[0].values()) and stored[0].items() <= stored[1].items()
    small = sum(p.stat().st_size for p in folder.glob("*.onnx"))
    assert small < (folder / "model.onnx.data").stat().st_size


def test_regions_that_never_change_lie_beside_the_graph(make_bundle) -> None:
    built = make_bundle(model="vit_s16", weights="random", height=48, width=64)
    regions = np.load(built.path / "regions.npy")
    assert regions.dtype == np.int32 and regions.shape == (48, 64) and regions.max() == 11
    assert not (make_bundle().path / "regions.npy").exists()


def test_bfloat16_graph_computes_what_its_torch_twin_does(traces, tmp_path) -> None:
    """ONNX Runtime has no bfloat16 on CPUs; ONNX's own evaluator has."""
    model = load_model("spit_tiny", weights=GOLDENS / "tiny_gradient.pth")
    options = BuildOptions("spit_tiny", precision="bf16")
    save_graph(traces(model, options), tmp_path / "trunk.onnx", {}, "weights")
    rows = torch.randn(2, 9, 1280, generator=torch.Generator().manual_seed(0))
    counts = torch.tensor([9, 4], dtype=torch.int32)
    evaluator = ReferenceEvaluator(str(tmp_path / "trunk.onnx"))
    (logits,) = evaluator.run(None, {"tokens": rows.numpy(), "num_tokens": counts.numpy()})
    with torch.no_grad():
        (twin,) = TrunkGraph(model, "bf16")(rows, counts)
        exact = model.classify(model.embed(rows, counts))
    assert np.abs(logits - twin.numpy()).max() < np.abs(exact.numpy() - twin.numpy()).max() + 2e-2
    np.testing.assert_allclose(logits, exact, atol=6e-2)


def test_default_budget() -> None:
    assert default_budget(224, 224) == 320
    assert default_budget(384, 384) == 960
    assert default_budget(1, 1) == 64


def test_fixed_regions_must_fit_the_budget(tmp_path) -> None:
    options = BuildOptions("vit_s16", weights="random", max_tokens=100, out=tmp_path / "x")
    with pytest.raises(Exception, match=r"196 regions at 224x224.*--max-tokens"):
        build(options, Steps(quiet=True))
    assert list(tmp_path.iterdir()) == []
