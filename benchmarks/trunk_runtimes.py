"""The trunk of a bundle in several runtimes and types, as functions from tokens to logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spit_edge.runtime.backends.onnxruntime_session import open_session
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.spit_ref import Spit

Trunk = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Token rows [1, T, D], all valid, to logits [1, classes]."""


def torch_trunks(model: Spit) -> Iterator[tuple[str, Trunk]]:
    """The reference in float32, and under autocast to bfloat16."""

    def run(tokens: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = torch.from_numpy(tokens)
        counts = torch.tensor([rows.shape[1]], dtype=torch.int32)
        with torch.no_grad():
            logits: NDArray[np.float32] = model.classify(model.embed(rows, counts)).float().numpy()
        return logits

    def run_bf16(tokens: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.autocast("cpu", torch.bfloat16):
            return run(tokens)

    yield "torch, fp32", run
    yield "torch, bf16", run_bf16


def onnxruntime_trunk(graph: Path, threads: int) -> Trunk:
    """A graph of the trunk in ONNX Runtime on the CPU."""
    session = open_session(graph, threads=threads)

    def run(tokens: NDArray[np.float32]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = session.run(["logits"], _feeds(tokens))[0]
        return logits

    return run


def quantised(bundle: Bundle, folder: Path) -> Path:
    """The trunk with weights in int8 and activations made int8 as they come, in ``folder``."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = folder / "trunk-int8.onnx"
    quantize_dynamic(bundle.trunk, path, weight_type=QuantType.QInt8, per_channel=True)
    return path


def openvino_trunks(bundle: Bundle, threads: int) -> Iterator[tuple[str, Trunk]]:
    """OpenVINO in float32, and allowed to use bfloat16.  Raises ImportError."""
    import openvino

    core = openvino.Core()
    for name, precision in (("fp32", "f32"), ("bf16", "bf16")):
        compiled = core.compile_model(
            core.read_model(bundle.trunk),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": precision,
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": threads,
            },
        )
        yield f"OpenVINO, {name}", _openvino_trunk(compiled.create_infer_request())


def _openvino_trunk(request: Any) -> Trunk:
    def run(tokens: NDArray[np.float32]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = request.infer(_feeds(tokens))["logits"]
        return logits

    return run


def _feeds(tokens: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    return {"tokens": tokens, "num_tokens": np.array([tokens.shape[1]], np.int32)}
