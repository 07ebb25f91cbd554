"""The custom ops inside ONNX Runtime: errors come out as exceptions, not as an abort."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from spit_edge.base.contracts import DOMAIN, REGION_FEATURES, SUPERPIXEL_MERGE
from spit_edge.plugins import onnxruntime_ops
from spit_edge.plugins.onnxruntime_ops import captured_outputs, register_ops


def session_of(**attributes) -> onnxruntime.InferenceSession:
    """SuperpixelMerge and RegionFeatures on images [B, 3, H, W] of raw float values."""
    merge = SUPERPIXEL_MERGE.attribute_values({"pixels": "unit", **attributes})
    rows = REGION_FEATURES.attribute_values({"pixels": "unit", "max_tokens": 8})
    nodes = [
        helper.make_node("SuperpixelMerge", ["x"], ["labels", "n"], domain=DOMAIN, **merge),
        helper.make_node("RegionFeatures", ["x", "labels", "n"], ["t"], domain=DOMAIN, **rows),
    ]
    values = [
        helper.make_tensor_value_info("labels", TensorProto.INT32, ["B", "H", "W"]),
        helper.make_tensor_value_info("t", TensorProto.FLOAT, ["B", 8, 1280]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 3, "H", "W"])]
    model = helper.make_model(
        helper.make_graph(nodes, "ops", inputs, values),
        opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid(DOMAIN, 1)],
        ir_version=10,
    )
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    register_ops(options)
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -5.0, 1e30])
def test_values_out_of_range_are_clipped(bad) -> None:
    """A graph cannot refuse its input: NaN counts as 0, the rest as the nearer end."""
    images = np.random.default_rng(0).random((1, 3, 6, 5), np.float32)
    images[0, 1, 2, 3] = bad
    clipped = np.clip(np.nan_to_num(images, nan=0.0), 0.0, 1.0)
    session = session_of()
    for found, wanted in zip(
        session.run(None, {"x": images}), session.run(None, {"x": clipped}), strict=True
    ):
        assert found.tobytes() == wanted.tobytes() and np.isfinite(found).all()


def test_ops_outputs_are_captured() -> None:
    images = np.random.default_rng(0).random((2, 3, 6, 5), np.float32)
    with captured_outputs() as captured:
        labels, tokens = session_of().run(None, {"x": images})
    assert np.array_equal(captured["labels"], labels) and np.array_equal(captured["tokens"], tokens)
    assert captured["counts"].tolist() == (labels.reshape(2, -1).max(axis=1) + 1).tolist()


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, MemoryError])
def test_what_an_op_raises_comes_out_of_run(monkeypatch, kind) -> None:
    def broken(*_, **__):
        raise kind("inside the op")

    monkeypatch.setitem(onnxruntime_ops.IMPLEMENTATIONS, "SuperpixelMerge", broken)
    session = session_of()
    # With two images what the failed op leaves behind does not fit the op after it either.
    images = np.zeros((2, 3, 4, 4), np.float32)
    with pytest.raises(kind, match="inside the op"), captured_outputs():
        session.run(None, {"x": images})
    monkeypatch.undo()
    with captured_outputs() as captured:  # and the session goes on working
        session.run(None, {"x": images})
    assert captured["counts"].tolist() == [1, 1]


def test_attributes_arrive_to_the_last_bit(monkeypatch) -> None:
    seen = {}

    def spy(images, **attributes):
        seen.update(attributes)
        return np.zeros((1, 4, 4), np.int32), np.ones(1, np.int32)

    monkeypatch.setitem(onnxruntime_ops.IMPLEMENTATIONS, "SuperpixelMerge", spy)
    given = {"compactness": 0.123456, "final_threshold": 1.5e-05, "levels": 3}
    session_of(**given).run(None, {"x": np.zeros((1, 3, 4, 4), np.float32)})
    assert {k: np.float32(v) if k != "levels" else v for k, v in seen.items() if k in given} == {
        k: np.float32(v) if k != "levels" else v for k, v in given.items()
    }


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_ops_use_as_many_threads_as_they_may(monkeypatch, threads) -> None:
    seen = []

    def spy(images, *, threads, **_):
        seen.append(threads)
        return np.zeros((1, 4, 4), np.int32), np.ones(1, np.int32)

    monkeypatch.setitem(onnxruntime_ops.IMPLEMENTATIONS, "SuperpixelMerge", spy)
    session = session_of()
    with captured_outputs(threads):
        session.run(None, {"x": np.zeros((1, 3, 4, 4), np.float32)})
    assert seen == [threads]


def test_without_onnxruntime_extensions_the_backend_says_so() -> None:
    program = (
        "import sys; sys.modules['onnxruntime_extensions'] = None\n"
        "from spit_edge.runtime.backends.registry import open_backend\n"
        "from types import SimpleNamespace as Made\n"
        "bundle = Made(manifest=Made(precision='fp32'))\n"
        "try: open_backend('onnxruntime-graph', bundle, None)\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "BackendUnavailable" in done.stdout and "onnxruntime_extensions" in done.stdout
