"""A bundle on the CPU: tokenized by the native kernels, the trunk in OpenVINO.

On processors with bfloat16 (AVX512-BF16, AMX) the fastest back end for bfloat16 bundles, which ONNX
Runtime does not run on CPUs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from spit_edge.runtime.backends.cpu.trunk_backend import CpuBackend
from spit_edge.runtime.backends.protocol import Outputs
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.errors import BundleError, ExecutionError


class OpenVinoBackend(CpuBackend):
    """The trunk in OpenVINO.

    Types are what the graph says: OpenVINO's own reduced precision would take in LayerNorm and
    softmax, which the gates do not allow.  float16 it computes in float32, bfloat16 in bfloat16
    where the processor can.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        core = openvino.Core()
        try:
            self._model = core.compile_model(core.read_model(bundle.trunk), "CPU", options)
        except RuntimeError as error:
            raise BundleError(f"OpenVINO cannot load {bundle.trunk}: {error}") from error
        super().__init__(bundle, threads)

    def trunk(self, tokens: NDArray[np.float32], num_tokens: NDArray[np.int32]) -> Outputs:
        # A request holds buffers, so every run has its own: sessions are shared by threads.
        request = self._model.create_infer_request()
        try:
            results = request.infer({"tokens": tokens, "num_tokens": num_tokens})
        except RuntimeError as error:
            raise ExecutionError(f"OpenVINO failed: {error}") from error
        return {port.any_name: value.copy() for port, value in results.items()}

    def close(self) -> None:
        del self._model
