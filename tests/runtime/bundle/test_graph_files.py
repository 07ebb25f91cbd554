"""All external data of a graph is found wherever ONNX lets tensors stand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto

from spit_edge.runtime.bundle import Bundle
from spit_edge.runtime.bundle.folder import hash_files
from spit_edge.runtime.bundle.graph_files import check_graph
from spit_edge.runtime.bundle.manifest import FileEntry
from spit_edge.runtime.bundle.protobuf import delimited
from spit_edge.runtime.errors import BundleError
from tests.conftest import MakeBundle

FILES = {"model.onnx.data": FileEntry(sha256="0" * 64, bytes=100)}


def tensor(**entries: object) -> TensorProto:
    made = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
    made.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        made.external_data.add(key=key, value=str(value))
    return made


def sparse(inner: TensorProto) -> SparseTensorProto:
    return SparseTensorProto(values=inner)


def attribute(**fields: object) -> GraphProto:
    node = NodeProto(op_type="If", attribute=[AttributeProto(name="a", **fields)])
    return GraphProto(node=[node])


PLACES: dict[str, Callable[[TensorProto], ModelProto]] = {
    "initializer": lambda t: ModelProto(graph=GraphProto(initializer=[t])),
    "sparse initializer": lambda t: ModelProto(graph=GraphProto(sparse_initializer=[sparse(t)])),
    "sparse indices": lambda t: ModelProto(
        graph=GraphProto(sparse_initializer=[SparseTensorProto(indices=t)])
    ),
    "attribute": lambda t: ModelProto(graph=attribute(t=t)),
    "attribute's list": lambda t: ModelProto(graph=attribute(tensors=[t])),
    "attribute's sparse": lambda t: ModelProto(graph=attribute(sparse_tensor=sparse(t))),
    "sparse list": lambda t: ModelProto(graph=attribute(sparse_tensors=[sparse(t)])),
    "sub-graph": lambda t: ModelProto(graph=attribute(g=GraphProto(initializer=[t]))),
    "list of sub-graphs": lambda t: ModelProto(
        graph=attribute(graphs=[attribute(g=GraphProto(initializer=[t]))])
    ),
    "function": lambda t: ModelProto(functions=[onnx.FunctionProto(node=attribute(t=t).node)]),
    "function's default": lambda t: ModelProto(
        functions=[
            onnx.FunctionProto(attribute_proto=[AttributeProto(name="a", t=t)]),
        ]
    ),
    "training": lambda t: ModelProto(
        training_info=[onnx.TrainingInfoProto(algorithm=GraphProto(initializer=[t]))]
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_external_data_is_found_everywhere(place: str) -> None:
    check_graph(PLACES[place](tensor(location="model.onnx.data")).SerializeToString(), FILES)
    bad = PLACES[place](tensor(location="../../etc/passwd")).SerializeToString()
    with pytest.raises(ValueError, match=r"'\.\./\.\./etc/passwd', which the"):
        check_graph(bad, FILES)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"location": "/etc/passwd"}, "does not list"),
        ({"location": "./model.onnx.data"}, "does not list"),
        ({"location": "other.data"}, "does not list"),
        ({"location": ""}, "does not list"),
        ({"offset": 0}, "has no location"),
        ({"location": "model.onnx.data", "offset": 101}, "beyond the end"),
        ({"location": "model.onnx.data", "offset": 90, "length": 11}, "beyond the end"),
        ({"location": "model.onnx.data", "length": 10**18}, "beyond the end"),
        ({"location": "model.onnx.data", "offset": -1}, "is not an offset"),
        ({"location": "model.onnx.data", "length": "1e3"}, "is not an offset"),
        ({"location": "model.onnx.data", "length": "9" * 5000}, "is not an offset"),
    ],
)
def test_locations_and_extents(entries: dict[str, object], words: str) -> None:
    bad = PLACES["initializer"](tensor(**entries)).SerializeToString()
    with pytest.raises(ValueError, match=words):
        check_graph(bad, FILES)


def test_keys_that_come_twice_are_all_checked() -> None:
    made = tensor(location="/etc/passwd")
    made.external_data.add(key="location", value="model.onnx.data")
    with pytest.raises(ValueError, match="/etc/passwd"):
        check_graph(PLACES["initializer"](made).SerializeToString(), FILES)
    half = PLACES["initializer"](tensor(location="model.onnx.data")).SerializeToString()
    more = PLACES["initializer"](tensor(location="/etc/passwd")).SerializeToString()
    with pytest.raises(ValueError, match="/etc/passwd"):  # two graphs that readers merge
        check_graph(half + more, FILES)


def test_ops_of_others_are_refused() -> None:
    """Those of com.microsoft may open files: EPContext reads engines by their paths."""
    node = NodeProto(op_type="EPContext", domain="com.microsoft")
    with pytest.raises(ValueError, match=r"a node of the domain 'com\.microsoft'"):
        check_graph(ModelProto(graph=GraphProto(node=[node])).SerializeToString(), {})


def test_what_is_no_protocol_buffer() -> None:
    whole = PLACES["sub-graph"](tensor(location="model.onnx.data")).SerializeToString()
    for cut in range(1, len(whole)):
        with pytest.raises(
            ValueError, match=r"ends within|no field of a protocol buffer begins|lie in|no location"
        ):
            check_graph(whole[:cut], FILES)
    for bad in (b"\xff" * 11, b"\x3b", b"\x00", b"\xff\xff\xff\xff\x7f\x00", b"ORTM"):
        with pytest.raises(ValueError, match=r"protocol buffer"):
            check_graph(bad, FILES)
    graph = b""
    for _ in range(40):
        graph = delimited(1, delimited(5, delimited(6, graph)))  # node, attribute, its graph
    with pytest.raises(ValueError, match="nested more than"):
        check_graph(delimited(7, graph), FILES)


@pytest.fixture
def bundle(make_bundle: MakeBundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(make_bundle(height=48, width=64).path, tmp_path / "bundle"))


def relist(bundle: Path, without: str = "") -> None:
    path = bundle / "manifest.json"
    files = {
        name: {"sha256": entry.sha256, "bytes": entry.bytes}
        for name, entry in hash_files(bundle).items()
        if name != without
    }
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"files": files}))


def test_weights_that_the_manifest_does_not_list(bundle: Path) -> None:
    relist(bundle, without="model.onnx.data")
    with pytest.raises(BundleError, match=r"model\.onnx is not .*'model\.onnx\.data', which the"):
        Bundle.open(bundle)


def test_a_cut_graph_is_named_and_inspected_in_words(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from spit_edge.export.__main__ import main

    data = (bundle / "trunk.onnx").read_bytes()
    (bundle / "trunk.onnx").write_bytes(data[: len(data) // 2])
    relist(bundle)
    with pytest.raises(BundleError, match=r"trunk\.onnx is not a graph to be run: the protocol"):
        Bundle.open(bundle)
    assert main(["inspect", str(bundle)]) == 2
    assert "trunk.onnx is not a graph" in capsys.readouterr().err
