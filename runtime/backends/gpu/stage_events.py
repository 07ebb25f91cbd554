"""Times of the stages of one batch on the GPU."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

from spit_edge.runtime.cuda.api import Event, Stream


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
