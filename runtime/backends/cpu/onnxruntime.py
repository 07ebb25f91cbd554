"""A bundle on the CPU: tokenized by the native kernels, the trunk in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from spit_edge.runtime.backends.backend import Outputs
from spit_edge.runtime.backends.cpu.trunk_backend import CpuBackend
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.bundle.manifest import Manifest
from spit_edge.runtime.errors import BackendUnavailable, BundleError, ExecutionError


class OnnxRuntimeBackend(CpuBackend):
    """The trunk in ONNX Runtime."""

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self._session = cpu_session(bundle.manifest, bundle.trunk, threads)
        super().__init__(bundle, threads)
        self._names = [output.name for output in self._session.get_outputs()]

    def trunk(self, tokens: NDArray[np.float32], num_tokens: NDArray[np.int32]) -> Outputs:
        feeds = {"tokens": tokens, "num_tokens": num_tokens}
        return run_session(self._session, self._names, feeds)

    def close(self) -> None:
        del self._session


def cpu_session(
    manifest: Manifest,
    graph: Path,
    threads: int | None,
    prepare: Callable[[onnxruntime.SessionOptions], None] = lambda _: None,
) -> onnxruntime.InferenceSession:
    """``graph`` opened on the CPU; ``prepare`` may change the options.

    Raises BackendUnavailable for bfloat16, and BundleError if ONNX Runtime refuses the graph.
    """
    if manifest.precision == "bf16":
        raise BackendUnavailable(
            "ONNX Runtime has no bfloat16 kernels for CPUs: use the backend openvino "
            "or torch, or export with --precision fp16 or fp32"
        )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors come as exceptions
    if threads is not None:
        options.intra_op_num_threads = threads
    # Idle threads must not spin: what runs between the matrix products needs the cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    prepare(options)
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own errors share no public base class
        raise BundleError(f"ONNX Runtime cannot load {graph}: {error}") from error


def run_session(
    session: onnxruntime.InferenceSession, names: Sequence[str], feeds: Mapping[str, Any]
) -> Outputs:
    """The outputs ``names``; ExecutionError if the run fails."""
    try:
        return dict(zip(names, session.run(names, dict(feeds)), strict=True))
    except Exception as error:  # as above
        raise ExecutionError(f"ONNX Runtime failed: {error}") from error
