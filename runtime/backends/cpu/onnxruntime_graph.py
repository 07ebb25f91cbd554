"""The bundle's whole graph in ONNX Runtime on the CPU, custom ops included.

It proves the graph that TensorRT is given; the back end that tokenizes outside of it is faster.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spit_edge.plugins.onnxruntime_ops import captured_outputs, register_ops
from spit_edge.runtime.backends.backend import Outputs
from spit_edge.runtime.backends.cpu.onnxruntime import cpu_session, run_session
from spit_edge.runtime.bundle.folder import Bundle


class OnnxRuntimeGraphBackend:
    """See :class:`Backend`."""

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self._session = cpu_session(bundle.manifest, bundle.model, threads, register_ops)
        self._threads = threads
        self._names = [output.name for output in self._session.get_outputs()]

    def run(
        self,
        images: NDArray[np.uint8],
        *,
        seeds: NDArray[np.int64] | None = None,
        tokens: bool = False,
    ) -> Outputs:
        feeds: Outputs = {"images": images} if seeds is None else {"images": images, "seeds": seeds}
        with captured_outputs(self._threads) as captured:
            outputs = run_session(self._session, self._names, feeds)
        if tokens:
            outputs["tokens"] = captured["tokens"]
        return outputs

    def close(self) -> None:
        del self._session
