"""A bundle on the CPU: tokenized by the native kernels, the trunk in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from runtime.backend import Outputs
from runtime.bundle import Bundle
from runtime.errors import BackendUnavailable, BundleError, ExecutionError
from runtime.manifest import Manifest
from runtime.native_tokenizer import NativeTokenizer


class OnnxRuntimeBackend:
    """See :class:`runtime.backend.Backend`.

    The trunk runs image by image on as many tokens as the image has, without the padding of the
    token budget: that is less work, and what an image gives does not depend on its batch.  Rows of
    outputs beyond an image's tokens are 0.
    """

    def __init__(self, bundle: Bundle, threads: int | None = None) -> None:
        self._manifest = bundle.manifest
        self._session = cpu_session(self._manifest, bundle.trunk, threads)
        self._tokenizer = NativeTokenizer(bundle, threads)
        self._names = [output.name for output in self._session.get_outputs()]
        self._gives_tokens = any(spec.name == "tokens" for spec in bundle.manifest.outputs)

    def run(
        self,
        images: NDArray[np.uint8],
        *,
        seeds: NDArray[np.int64] | None = None,
        tokens: bool = False,
    ) -> Outputs:
        labels, counts = self._tokenizer.regions(images, seeds)
        parts = [
            self._run_one(images[one], labels[one], counts[one], tokens or self._gives_tokens)
            for one in (slice(i, i + 1) for i in range(len(images)))
        ]
        outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return {"labels": labels, "num_tokens": counts, **outputs}

    def close(self) -> None:
        del self._session

    def _run_one(
        self,
        image: NDArray[np.uint8],
        labels: NDArray[np.int32],
        counts: NDArray[np.int32],
        with_tokens: bool,
    ) -> Outputs:
        budget = self._manifest.token_budget
        rows = min(int(counts[0]), budget)
        tokens = self._tokenizer.tokens(image, labels, counts, rows)
        feeds = {"tokens": tokens, "num_tokens": counts}
        outputs = run_session(self._session, self._names, feeds)
        if with_tokens:
            outputs["tokens"] = tokens
        # The rows of tokens, of embeddings (behind the class token) and of attention.
        return {
            name: value if name == "logits" else _padded(value, budget - rows)
            for name, value in outputs.items()
        }


def _padded(value: NDArray[Any], rows: int) -> NDArray[Any]:
    return np.pad(value, [(0, 0), (0, rows)] + [(0, 0)] * (value.ndim - 2))


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
            "ONNX Runtime has no bfloat16 kernels for CPUs: use the backend torch, "
            "or export with --precision fp16 or fp32"
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
