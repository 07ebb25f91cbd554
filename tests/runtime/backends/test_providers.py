"""ONNX Runtime's providers for NVIDIA GPUs: what of them can be tried without one."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import onnxruntime_extensions as ortx
import pytest

from spit_edge.base.contracts import CONTRACTS, DOMAIN
from spit_edge.plugins.implementation import IMPLEMENTATIONS
from spit_edge.runtime import BackendUnavailable, Session
from spit_edge.runtime.backends.gpu.onnx_domain import with_domain
from spit_edge.runtime.backends.gpu.onnxruntime import (
    PLUGIN_DOMAIN,
    OnnxRuntimeCudaBackend,
    OnnxRuntimeTensorRTBackend,
    _profile,
    plugin_graph,
)
from spit_edge.runtime.backends.onnxruntime_session import open_session
from spit_edge.runtime.bundle.folder import Bundle
from tests.simulators.gpu_rig import bits


@pytest.fixture(scope="module")
def built(make_bundle):
    return Bundle.open(make_bundle(height=40, width=56).path)


@pytest.fixture(scope="module")
def images(photographs):
    return np.ascontiguousarray(photographs(40, 56).transpose(0, 3, 1, 2))


class OnCpu(OnnxRuntimeCudaBackend):
    """The back end with the one provider that is here."""

    PROVIDER = "CPUExecutionProvider"
    OPTIONS = {}  # noqa: RUF012


def test_native_tokenizer_and_trunk_equal_the_whole_graph(built, images) -> None:
    with (
        Session.open(built, "onnxruntime-graph", threads=1) as reference,
        Session(built, "onnxruntime-cuda", OnCpu(built, 1)) as session,
    ):
        wanted, output = reference.run(images, tokens=True), session.run(images, tokens=True)
        assert bits(output)[1:] == bits(wanted)[1:]
        np.testing.assert_allclose(output.logits, wanted.logits, atol=1e-5)
        assert session.run(images).tokens is None


@pytest.mark.parametrize("backend", [OnnxRuntimeCudaBackend, OnnxRuntimeTensorRTBackend])
def test_a_missing_provider_is_named(built, backend) -> None:
    if backend.PROVIDER in onnxruntime.get_available_providers():
        pytest.skip(f"this onnxruntime has the {backend.PROVIDER}")
    with pytest.raises(BackendUnavailable, match=rf"has no {backend.PROVIDER}.*onnxruntime-gpu"):
        backend(built)


def test_a_provider_that_does_not_load_is_noticed(built, monkeypatch) -> None:
    class Silent(OnnxRuntimeCudaBackend):
        OPTIONS = {}  # noqa: RUF012

    known = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: known)
    with pytest.raises(BackendUnavailable, match="CUDAExecutionProvider"):
        Silent(built)


def test_only_the_domain_changes(built) -> None:
    before = onnx.load(built.model, load_external_data=False)
    after = onnx.load_from_string(plugin_graph(built))
    moved = {node.op_type for node in after.graph.node if node.domain == PLUGIN_DOMAIN}
    assert moved == {"SuperpixelMerge", "RegionFeatures"}
    assert not any(node.domain == DOMAIN for node in after.graph.node)
    for message in (*after.graph.node, *after.opset_import):
        if message.domain == PLUGIN_DOMAIN:
            message.domain = DOMAIN
    assert after.SerializeToString(deterministic=True) == before.SerializeToString(
        deterministic=True
    )
    assert with_domain(plugin_graph(built), PLUGIN_DOMAIN, DOMAIN) == built.model.read_bytes()


def test_damaged_models_are_noticed(built) -> None:
    data = built.model.read_bytes()
    cut = [data[:length] for length in range(len(data) - 40, len(data) - 1, 7)]
    for bad in (b"\xff\xff", b"\x3a\x05\x0a", b"\x0b", *cut):
        with pytest.raises(ValueError, match="protocol buffer"):
            with_domain(bad, DOMAIN, PLUGIN_DOMAIN)


def test_renamed_graph_runs_where_the_ops_have_that_domain(built, images) -> None:
    """With the ops offered in TensorRT's domain, by onnxruntime-extensions in its place."""
    kinds = {"float32": "dt_float", "int32": "dt_int32", "int64": "dt_int64"}
    attributes = {"int": "dt_int64", "float": "dt_float", "string": "dt_string"}
    for contract in CONTRACTS:

        def compute(*inputs, contract=contract, **given):
            values = contract.attribute_values(given)
            chosen = {k: v for k, v in values.items() if not k.startswith("plugin_")}
            outputs = IMPLEMENTATIONS[contract.name](*inputs, **chosen)
            return outputs if len(outputs) > 1 else outputs[0]

        ortx.onnx_op(
            op_type=f"{PLUGIN_DOMAIN}::{contract.name}",
            inputs=[getattr(ortx.PyCustomOpDef, kinds[p.dtype]) for p in contract.inputs],
            outputs=[getattr(ortx.PyCustomOpDef, kinds[p.dtype]) for p in contract.outputs],
            attrs={
                a.name: getattr(ortx.PyCustomOpDef, attributes[a.type]) for a in contract.attributes
            },
        )(compute)
    session = open_session(
        plugin_graph(built),
        weights=built.path,
        prepare=lambda options: options.register_custom_ops_library(ortx.get_library_path()),
    )
    logits, labels = session.run(["logits", "labels"], {"images": images})
    with Session.open(built, "onnxruntime", threads=1) as reference:
        wanted = reference.run(images)
    assert labels.tobytes() == wanted.labels.tobytes()
    np.testing.assert_allclose(logits, wanted.logits, atol=1e-5)


def test_profiles_name_every_input(built) -> None:
    batch = built.manifest.batch
    sizes = zip(("min", "opt", "max"), (batch.min, batch.opt, batch.max), strict=True)
    assert _profile(built) == {
        f"trt_profile_{kind}_shapes": f"images:{size}x3x40x56" for kind, size in sizes
    }
