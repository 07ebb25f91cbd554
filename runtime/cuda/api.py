"""The CUDA runtime, as far as the runners need it: streams, events, graphs, GPUs.

Every call's status is checked.  An object owns one handle, released once: by ``close``, at the end
of a ``with`` block, or with the object.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import Any, TypeVar

from spit_edge.base.install import pip_install
from spit_edge.runtime.errors import BackendUnavailable, ExecutionError

_Self = TypeVar("_Self", bound="Owned")

NO_CUDA = {
    "cudaErrorInsufficientDriver",
    "cudaErrorNoDevice",
    "cudaErrorInitializationError",
    "cudaErrorStubLibrary",
    "cudaErrorSystemDriverMismatch",
    "cudaErrorSystemNotReady",
    "cudaErrorCompatNotSupportedOnDevice",
}
"""What CUDA answers where it cannot run at all."""


@cache
def runtime_api() -> Any:
    """The module ``cuda.bindings.runtime``; BackendUnavailable if it cannot be loaded."""
    try:
        from cuda.bindings import runtime
    # A library that the bindings load may be missing, which is no ImportError.
    except Exception as error:
        raise BackendUnavailable(
            f"CUDA's Python bindings cannot be loaded ({error}): {pip_install('tensorrt')}"
        ) from error
    return runtime


def call(name: str, *arguments: Any) -> Any:
    """What the function ``name`` of CUDA's runtime gives.

    Raises BackendUnavailable if there is no usable GPU here, else ExecutionError; both with CUDA's
    name of the error.
    """
    api = runtime_api()
    try:
        status, *values = getattr(api, name)(*arguments)
    except RuntimeError as error:  # the bindings' own, where a library or a symbol is missing
        raise BackendUnavailable(f"{name}: {error}") from error
    check(status, name)
    return values[0] if len(values) == 1 else tuple(values)


def check(status: Any, what: str) -> None:
    """Raise as :func:`call` does unless ``status``, a cudaError_t, is success."""
    if int(status) == 0:
        return
    api = runtime_api()
    # A failed launch or capture stays the thread's "last error", and whoever asks for that next
    # would take it for his own.
    api.cudaGetLastError()
    kind = BackendUnavailable if status.name in NO_CUDA else ExecutionError
    raise kind(f"{what}: {status.name} ({_text(api, status)})")


def _text(api: Any, status: Any) -> str:
    failed, text = api.cudaGetErrorString(status)
    return "no description" if int(failed) else text.decode(errors="replace")


class Owned:
    """A handle of CUDA's, and the name of the function that releases it."""

    def __init__(self, handle: Any, release: str) -> None:
        self._handle = handle
        self._release = weakref.finalize(self, getattr(runtime_api(), release), handle)

    @property
    def handle(self) -> Any:
        """The handle; ExecutionError if it was released."""
        if not self._release.alive:
            raise ExecutionError(f"this {type(self).__name__} is closed")
        return self._handle

    def close(self) -> None:
        """Release the handle; more than once does no harm.

        A status here belongs to earlier work, and was raised where its result was asked for.
        """
        self._release()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Event(Owned):
    """A point in a stream's work; with ``timed``, which costs a little, also in time."""

    def __init__(self, *, timed: bool = False) -> None:
        api = runtime_api()
        flags = api.cudaEventDefault if timed else api.cudaEventDisableTiming
        super().__init__(call("cudaEventCreateWithFlags", flags), "cudaEventDestroy")

    def record(self, stream: Stream | int) -> None:
        """Mark the end of what ``stream`` has been given so far."""
        handle = stream.handle if isinstance(stream, Stream) else stream
        call("cudaEventRecord", self.handle, handle)

    def synchronize(self) -> None:
        """Wait until the marked point is reached; raises what went wrong before it."""
        call("cudaEventSynchronize", self.handle)

    def milliseconds_since(self, earlier: Event) -> float:
        """Time between two timed events that have happened, on whatever streams."""
        return float(call("cudaEventElapsedTime", earlier.handle, self.handle))


class Stream(Owned):
    """A queue of work that does not wait for the legacy default stream."""

    def __init__(self) -> None:
        flags = runtime_api().cudaStreamNonBlocking
        super().__init__(call("cudaStreamCreateWithFlags", flags), "cudaStreamDestroy")

    def __int__(self) -> int:
        return int(self.handle)

    def wait(self, event: Event) -> None:
        """Begin what is given from now on only when ``event`` has happened."""
        call("cudaStreamWaitEvent", self.handle, event.handle, 0)

    def synchronize(self) -> None:
        """Wait until the stream is empty; raises what went wrong in it."""
        call("cudaStreamSynchronize", self.handle)


class Graph(Owned):
    """Work of one stream, recorded to be launched at once."""

    def __init__(self, stream: Stream, work: Callable[[], None]) -> None:
        """Record what ``work`` gives to ``stream``, without running it.

        Raises what ``work`` raises, or ExecutionError if something in it cannot be recorded; the
        stream can be used as before.
        """
        super().__init__(_captured(stream, work), "cudaGraphExecDestroy")

    def launch(self, stream: Stream) -> None:
        """Run the recorded work on ``stream``."""
        call("cudaGraphLaunch", self.handle, stream.handle)


def _captured(stream: Stream, work: Callable[[], None]) -> Any:
    api = runtime_api()
    # Of this thread only: other sessions may allocate meanwhile.
    mode = api.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
    call("cudaStreamBeginCapture", stream.handle, mode)
    try:
        work()
    except BaseException:
        # The capture must end for the stream to be usable; whether it was valid is of no interest.
        status, graph = api.cudaStreamEndCapture(stream.handle)
        if int(status) == 0:
            api.cudaGraphDestroy(graph)
        api.cudaGetLastError()
        raise
    graph = call("cudaStreamEndCapture", stream.handle)
    try:
        return call("cudaGraphInstantiate", graph, 0)
    finally:
        api.cudaGraphDestroy(graph)


def gpu_index() -> int:
    """Number of the GPU that this thread works on."""
    return int(call("cudaGetDevice"))


def use_gpu(index: int) -> None:
    """Let this thread work on GPU number ``index``: every thread chooses for itself."""
    call("cudaSetDevice", index)
