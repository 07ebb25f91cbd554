"""Batches in flight: a few slots of buffers, filled in order, each emptied before its next use."""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from spit_edge.base.errors import SpitError
from spit_edge.runtime.backends.protocol import Outputs
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.cuda.api import Event, Stream, gpu_index, use_gpu
from spit_edge.runtime.cuda.images import GpuImages, adopt
from spit_edge.runtime.errors import BackendUnavailable

SLOTS = 2
"""Batches in flight: one that the GPU computes and one that waits for it."""

Slot = TypeVar("Slot")


class StageEvents:
    """Timed events around stages, which may lie on several streams that wait for each other."""

    def __init__(self) -> None:
        self._resources = ExitStack()
        self._start: Event | None = None
        self._ends: list[tuple[str, Event]] = []

    def begin(self, stream: Stream) -> None:
        """Mark the beginning of the first stage."""
        self._start = self._mark(stream)

    def end(self, stage: str, stream: Stream) -> None:
        """Mark the end of ``stage``, which is the beginning of the next."""
        self._ends.append((stage, self._mark(stream)))

    def milliseconds(self) -> dict[str, float]:
        """Waits for the last stage.  Raises ExecutionError."""
        assert self._start is not None
        taken, last = {}, self._start
        for stage, event in self._ends:
            event.synchronize()
            taken[stage] = event.milliseconds_since(last)
            last = event
        return taken

    def __enter__(self) -> StageEvents:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._resources.close()

    def _mark(self, stream: Stream) -> Event:
        event = self._resources.enter_context(Event(timed=True))
        event.record(stream)
        return event


@dataclass(frozen=True)
class Batch:
    """What a back end is asked to run; see :class:`Backend`.

    events  what to mark the stages with, if their times are asked for
    """

    images: NDArray[np.uint8] | GpuImages
    seeds: NDArray[np.int64] | None
    tokens: bool
    events: StageEvents | None = None

    def __len__(self) -> int:
        return len(self.images)


class Frame:
    """A batch in flight, then its outputs or the error it ended with."""

    def __init__(self, collect: Callable[[], Outputs]) -> None:
        self._collect: Callable[[], Outputs] | None = collect
        self._outputs: Outputs = {}
        self._error: SpitError | None = None
        self._lock = threading.Lock()

    def finish(self) -> None:
        """Wait for the GPU and take the results out of the slot; errors are kept."""
        with self._lock:
            if self._collect is not None:
                try:
                    self._outputs = self._collect()
                except SpitError as error:
                    self._error = error
                self._collect = None

    def result(self) -> Outputs:
        """The outputs, waited for; raises what went wrong."""
        self.finish()
        if self._error is not None:
            raise self._error
        return self._outputs


class Pipeline(Generic[Slot]):
    """Slots, used in turn, by any number of threads.

    start    gives a batch to the GPU without waiting for it
    collect  waits for it and copies the outputs out of the slot
    drain    waits for everything that was given to the GPU; called after ``start`` failed half-way
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        start: Callable[[Slot, Batch], None],
        collect: Callable[[Slot, Batch], Outputs],
        drain: Callable[[], None],
    ) -> None:
        self.lock = threading.Lock()
        self._slots, self._start, self._collect, self._drain = slots, start, collect, drain
        self._frames: list[Frame | None] = [None] * len(slots)
        self._turn = 0
        self._gpu = gpu_index()
        self._closed = False

    def submit(self, batch: Batch) -> Frame:
        """Give a batch to the GPU.  If all slots are in use, wait for the oldest batch first."""
        with self.lock:
            self.enter()
            place = self._turn % len(self._slots)
            self._turn += 1
            self._empty(place)
            slot = self._slots[place]
            try:
                self._start(slot, batch)
            except SpitError as error:
                frame = Frame(_failing(error))
                self._drain_quietly()
            else:
                frame = Frame(lambda: self._collect(slot, batch))
                self._frames[place] = frame
            return frame

    def enter(self) -> None:
        """What a thread does first, with the lock: BackendUnavailable if the pipeline is closed."""
        if self._closed:
            raise BackendUnavailable("this session is closed: open another one")
        use_gpu(self._gpu)

    def close(self) -> bool:
        """Finish what is in flight: its results stay to be had.  False if it was closed before."""
        with self.lock:
            first, self._closed = not self._closed, True
            if first:
                use_gpu(self._gpu)
                for place in range(len(self._slots)):
                    self._empty(place)
                self._drain_quietly()
            return first

    def _empty(self, place: int) -> None:
        frame = self._frames[place]
        if frame is not None:
            frame.finish()
            self._frames[place] = None

    def _drain_quietly(self) -> None:
        # Each batch in flight meets the same error and reports it.
        with contextlib.suppress(SpitError):
            self._drain()


def _failing(error: SpitError) -> Callable[[], Outputs]:
    def collect() -> Outputs:
        raise error

    return collect


class PipelinedBackend(ABC, Generic[Slot]):
    """See :class:`AsyncBackend`.

    A subclass makes its resources, tells :meth:`_open` of them, and says how a batch starts on the
    GPU and how its outputs are collected.
    """

    def _open(
        self,
        bundle: Bundle,
        slots: Sequence[Slot],
        intake: Stream,
        drain: Callable[[], None],
        resources: ExitStack,
    ) -> None:
        """``intake`` is the stream that reads images, ``drain`` waits for all streams."""
        self._bundle, self._intake, self._resources = bundle, intake, resources
        self._pipeline = Pipeline(slots, self._start, self._collect, drain)

    def run(
        self,
        images: NDArray[np.uint8] | GpuImages,
        *,
        seeds: NDArray[np.int64] | None = None,
        tokens: bool = False,
    ) -> Outputs:
        return self.submit(images, seeds=seeds, tokens=tokens).result()

    def submit(
        self,
        images: NDArray[np.uint8] | GpuImages,
        *,
        seeds: NDArray[np.int64] | None = None,
        tokens: bool = False,
    ) -> Frame:
        return self._pipeline.submit(Batch(images, seeds, tokens))

    def adopt(self, images: Any) -> GpuImages:
        size = self._bundle.manifest.preprocessing
        # With the lock, because a stream must not be made to wait while it is captured.
        with self._pipeline.lock:
            self._pipeline.enter()
            return adopt(images, size.height, size.width, self._intake)

    def close(self) -> None:
        if self._pipeline.close():
            self._resources.close()

    @abstractmethod
    def _start(self, slot: Slot, batch: Batch) -> None:
        """Give a batch to the GPU."""

    @abstractmethod
    def _collect(self, slot: Slot, batch: Batch) -> Outputs:
        """Wait for it and copy its outputs out of the slot."""
