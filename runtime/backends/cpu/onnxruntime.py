"""ONNX Runtime on the CPU: the trunk behind the native tokenizer, or the whole graph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spit_edge.runtime.backends.cpu.trunk_backend import CpuBackend
from spit_edge.runtime.backends.onnxruntime_session import open_session, run_session
from spit_edge.runtime.backends.protocol import Outputs
from spit_edge.runtime.bundle.folder import Bundle


class OnnxRuntimeBackend(CpuBackend):
    """The trunk in ONNX Runtime."""

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self._session = open_session(bundle.trunk, threads=threads)
        super().__init__(bundle, threads)
        self._names = [output.name for output in self._session.get_outputs()]

    def trunk(self, tokens: NDArray[np.float32], num_tokens: NDArray[np.int32]) -> Outputs:
        feeds = {"tokens": tokens, "num_tokens": num_tokens}
        return run_session(self._session, self._names, feeds)

    def close(self) -> None:
        del self._session


class OnnxRuntimeGraphBackend:
    """The bundle's whole graph, custom ops included: see :class:`Backend`.

    It proves the graph that TensorRT is given; the back end that tokenizes outside of it is faster.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        from spit_edge.plugins.onnxruntime_ops import captured_outputs, register_ops

        self._session = open_session(bundle.model, threads=threads, prepare=register_ops)
        self._threads, self._captured = threads, captured_outputs
        self._names = [output.name for output in self._session.get_outputs()]

    def run(
        self,
        images: NDArray[np.uint8],
        *,
        seeds: NDArray[np.int64] | None = None,
        tokens: bool = False,
    ) -> Outputs:
        feeds: Outputs = {"images": images} if seeds is None else {"images": images, "seeds": seeds}
        with self._captured(self._threads) as captured:
            outputs = run_session(self._session, self._names, feeds)
        if tokens:
            outputs["tokens"] = captured["tokens"]
        return outputs

    def close(self) -> None:
        del self._session
