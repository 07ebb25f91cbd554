"""The bundle's graph in ONNX Runtime, on the CPU."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from plugins.onnxruntime_ops import captured_outputs, register_ops
from runtime.backend import Outputs
from runtime.bundle import Bundle
from runtime.errors import BackendUnavailable, BundleError, ExecutionError


class OnnxRuntimeBackend:
    """See :class:`runtime.backend.Backend`."""

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        if bundle.manifest.precision == "bf16":
            raise BackendUnavailable(
                "ONNX Runtime has no bfloat16 kernels for CPUs: use the backend torch, "
                "or export with --precision fp16 or fp32"
            )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # errors come as exceptions
        if threads is not None:
            options.intra_op_num_threads = threads
        # Idle threads must not spin: the ops between the matrix products need the cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        register_ops(options)
        try:
            self._session = onnxruntime.InferenceSession(
                bundle.model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's own errors share no public base class
            raise BundleError(f"ONNX Runtime cannot load {bundle.model}: {error}") from error
        self._names = [output.name for output in self._session.get_outputs()]

    def run(
        self,
        images: NDArray[np.uint8],
        *,
        seeds: NDArray[np.int64] | None = None,
        tokens: bool = False,
    ) -> Outputs:
        feeds: Outputs = {"images": images} if seeds is None else {"images": images, "seeds": seeds}
        with captured_outputs() as captured:
            try:
                values = self._session.run(self._names, feeds)
            except Exception as error:  # as above
                raise ExecutionError(f"ONNX Runtime failed: {error}") from error
        outputs = dict(zip(self._names, values, strict=True))
        if tokens:
            outputs["tokens"] = captured["tokens"]
        return outputs

    def close(self) -> None:
        del self._session
