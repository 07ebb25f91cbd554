"""The custom ops inside ONNX Runtime, registered through onnxruntime-extensions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

import numpy as np
import onnxruntime
import onnxruntime_extensions as ortx

from spit_edge.base.contracts import CONTRACTS, Contract
from spit_edge.plugins.implementation import IMPLEMENTATIONS, Arrays

_DTYPES = {
    "float32": ortx.PyCustomOpDef.dt_float,
    "int32": ortx.PyCustomOpDef.dt_int32,
    "int64": ortx.PyCustomOpDef.dt_int64,
}
_ATTRIBUTES = {
    "int": ortx.PyCustomOpDef.dt_int64,
    "float": ortx.PyCustomOpDef.dt_float,
    "string": ortx.PyCustomOpDef.dt_string,
}


class _Run(threading.local):
    """What the ops of the run on this thread gave, and the first exception among them; and the
    number of threads they may use."""

    def __init__(self) -> None:
        self.threads: int | None = None
        self.outputs: dict[str, np.ndarray] = {}
        self.failure: BaseException | None = None


_run = _Run()


def register_ops(options: onnxruntime.SessionOptions) -> None:
    """Make the ops known to sessions created with ``options``."""
    _define_ops()
    options.register_custom_ops_library(ortx.get_library_path())


@contextmanager
def captured_outputs(threads: int | None = None) -> Iterator[dict[str, np.ndarray]]:
    """Around a session's ``run``: the custom ops' outputs by their contracts' names.

    threads  of the ops; None: one per core

    Raises what an op raised: an exception that leaves a Python op ends the process, so ops keep
    theirs until here.  ONNX Runtime runs them on the thread that called ``run``.
    """
    _run.outputs, _run.failure, _run.threads = {}, None, threads
    captured = _run.outputs
    try:
        yield captured
    except Exception as error:
        # What follows a failed op in the graph fails, too: the op is the one to blame.
        raise (_run.failure or error) from error
    else:
        if _run.failure is not None:
            raise _run.failure
    finally:
        _run.outputs, _run.failure, _run.threads = {}, None, None


@cache
def _define_ops() -> None:
    """Ops are defined once per process: the registry of onnxruntime-extensions is global."""
    for contract in CONTRACTS:
        ortx.onnx_op(
            op_type=contract.op_type,
            inputs=[_DTYPES[port.dtype] for port in contract.inputs],
            outputs=[_DTYPES[port.dtype] for port in contract.outputs],
            attrs={a.name: _ATTRIBUTES[a.type] for a in contract.attributes},
        )(partial(_guarded, contract))


def _guarded(contract: Contract, *inputs: np.ndarray, **attributes: Any) -> Any:
    outputs: Arrays = tuple(np.zeros([1] * len(p.shape), p.dtype) for p in contract.outputs)
    if _run.failure is None:
        try:
            outputs = _compute(contract, inputs, attributes)
        except BaseException as error:  # Ctrl-C included: it must not pass through C++ either
            _run.failure = error
    return outputs if len(outputs) > 1 else outputs[0]


def _compute(contract: Contract, inputs: Arrays, attributes: dict[str, Any]) -> Arrays:
    values = contract.field_values(attributes)
    outputs = IMPLEMENTATIONS[contract.name](*inputs, threads=_run.threads, **values)
    named = zip((port.name for port in contract.outputs), outputs, strict=True)
    _run.outputs.update(named)
    return outputs
