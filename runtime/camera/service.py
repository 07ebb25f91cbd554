"""Runs frames through a session and hands the results on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from spit_edge.runtime.camera.frame_queue import Frame, FrameQueue
from spit_edge.runtime.camera.outputs import Result, Sink
from spit_edge.runtime.camera.pacing import Clock
from spit_edge.runtime.camera.reader import FrameReader
from spit_edge.runtime.camera.statistics import Statistics
from spit_edge.runtime.images import Pixels, fit_image
from spit_edge.runtime.session import Session, Ticket

_TICK = 0.1
"""Seconds after which a wait for frames looks whether to stop."""


class CameraService:
    """The loop of a service.

    While the model works on a frame, the next one is fitted to the model's size and handed over;
    when none waits, the result is fetched at once.

    period  seconds between two lines of statistics, told to ``say``; None: no lines
    """

    def __init__(
        self,
        session: Session,
        reader: FrameReader,
        queue: FrameQueue,
        sinks: Sequence[Sink],
        clock: Clock,
        *,
        period: float | None,
        say: Callable[[str], None],
    ) -> None:
        self._session, self._reader, self._queue, self._sinks = session, reader, queue, sinks
        self._clock, self._period, self._say = clock, period, say
        self._pending: deque[tuple[Frame, Pixels, Ticket]] = deque()
        self._statistics = Statistics(clock.now())

    def run(self, frames: int | None = None) -> None:
        """Until the frames end, the clock is stopped or so many ``frames`` are done.

        Raises what reading, the model or a sink raises.
        """
        given = 0
        while not self._clock.stopped and (frames is None or given < frames):
            frame = self._queue.get(0.0 if self._pending else _TICK)
            if frame is not None:
                self._begin(frame)
                given += 1
            if self._pending and (frame is None or len(self._pending) > 1):
                self._finish_oldest()
            elif frame is None and self._queue.exhausted:
                break
            self._tell()
        while self._pending:
            self._finish_oldest()
        self._tell(last=True)
        if self._queue.exhausted:
            self._queue.check()

    def _begin(self, frame: Frame) -> None:
        size = self._session.bundle.manifest.preprocessing
        image = fit_image(frame.pixels, size.height, size.width)
        # A service does not end because of one picture with many regions.
        self._pending.append((frame, image, self._session.submit(image, truncate=True)))

    def _finish_oldest(self) -> None:
        frame, image, ticket = self._pending.popleft()
        output = ticket.result()
        latency = self._clock.now() - frame.moment
        budget = self._session.bundle.manifest.token_budget
        result = Result(frame, image, output, latency, budget)
        for sink in self._sinks:
            sink.write(result)
        self._statistics.done(latency)

    def _tell(self, *, last: bool = False) -> None:
        now = self._clock.now()
        if self._period is None or (not last and self._statistics.elapsed(now) < self._period):
            return
        read, dropped = self._reader.read, self._queue.dropped
        self._say(self._statistics.line(now, read=read, dropped=dropped))
