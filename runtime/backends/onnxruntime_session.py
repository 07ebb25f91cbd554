"""ONNX Runtime's sessions: one way to open them, with one set of options, and to run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from spit_edge.runtime.backends.protocol import Outputs
from spit_edge.runtime.errors import BundleError, ExecutionError

CPU = "CPUExecutionProvider"
_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"

Provider = str | tuple[str, dict[str, str]]
"""A provider's name, with or without its options."""


def open_session(
    graph: Path | bytes,
    *,
    weights: Path | None = None,
    threads: int | None = None,
    providers: Sequence[Provider] = (CPU,),
    prepare: Callable[[onnxruntime.SessionOptions], None] = lambda _: None,
) -> onnxruntime.InferenceSession:
    """A session of an ONNX graph.

    graph    a file, or the bytes of a model whose weights lie in the folder ``weights``
    threads  of one run; None: ONNX Runtime chooses
    prepare  may change the options

    Raises BundleError if ONNX Runtime refuses the graph.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors come as exceptions
    if threads is not None:
        options.intra_op_num_threads = threads
    # Idle threads must not spin: what runs between the matrix products needs the cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if weights is not None:
        options.add_session_config_entry(_WEIGHTS_FOLDER, str(weights.resolve()))
    prepare(options)
    try:
        return onnxruntime.InferenceSession(graph, options, providers=list(providers))
    except Exception as error:  # ONNX Runtime's own errors share no public base class
        place = graph if isinstance(graph, Path) else f"a graph of {weights}"
        raise BundleError(f"ONNX Runtime cannot load {place}: {error}") from error


def run_session(
    session: onnxruntime.InferenceSession, names: Sequence[str], feeds: Mapping[str, Any]
) -> Outputs:
    """The outputs ``names``; ExecutionError if the run fails."""
    try:
        return dict(zip(names, session.run(names, dict(feeds)), strict=True))
    except Exception as error:  # as above
        raise ExecutionError(f"ONNX Runtime failed: {error}") from error
