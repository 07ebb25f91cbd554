"""Reads frames in a thread of its own, and finds a lost camera again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timezone

from spit_edge.runtime.camera.frame_queue import Frame, FrameQueue
from spit_edge.runtime.camera.pacing import Clock, Pace
from spit_edge.runtime.camera.sources import Source
from spit_edge.runtime.errors import CameraError
from spit_edge.runtime.images import Pixels

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before the first attempt to reconnect; each further one waits twice as long."""
_PATIENCE = 0.5
"""Seconds that the end waits for the thread, which may be opening or reading what gives nothing."""


class FrameReader:
    """Opens ``source`` and puts its frames into ``queue`` until they end or ``clock`` stops.

    A live source is read as fast as it gives, so that nothing old is left in its buffers, and what
    is not due is skipped; another one is read when a frame is due.

    reconnect  whether a lost source is opened again and again; else it is an error, as it is always
               if it cannot be opened the first time
    say        told of losses and returns
    """

    def __init__(
        self,
        source: Source,
        queue: FrameQueue,
        clock: Clock,
        pace: Pace,
        *,
        reconnect: bool,
        say: Callable[[str], None],
    ) -> None:
        self.read = 0
        self._source, self._queue, self._clock, self._pace = source, queue, clock, pace
        self._reconnect, self._say = reconnect, say
        self._thread = threading.Thread(target=self.run, name="frames", daemon=True)

    def start(self) -> None:
        """Begin reading in the thread."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the thread, but not for a camera that hangs."""
        self._thread.join(_PATIENCE)

    def run(self) -> None:
        """All of the reading; ends the queue, with the error if there is one."""
        try:
            self._source.open()
            while not self._clock.stopped and self._take_one():
                pass
            self._queue.end()
        except Exception as error:
            self._queue.end(error)
        finally:
            self._source.close()

    def _take_one(self) -> bool:
        if not self._source.live:
            self._clock.wait(self._pace.remaining(self._clock.now()))
        pixels = self._next()
        if pixels is None:
            return False
        number, now = self.read, self._clock.now()
        self.read += 1
        if not self._source.live or self._pace.is_due(now):
            self._pace.took(now)
            taken = datetime.now(timezone.utc)
            self._queue.put(Frame(number, now, taken, pixels, self._source.file))
        return True

    def _next(self) -> Pixels | None:
        """The next frame, behind as many reconnections as it takes; None at the end."""
        wait = FIRST_WAIT
        while not self._clock.stopped:
            try:
                if wait > FIRST_WAIT:
                    self._source.open()
                pixels = self._source.read()
            except CameraError as error:
                if not self._reconnect:
                    raise
                self._say(f"{error}; trying again in {wait:g} s")
                self._source.close()
                self._clock.wait(wait)
                wait = min(2 * wait, LONGEST_WAIT)
            else:
                if wait > FIRST_WAIT:
                    self._say("frames are coming again")
                return pixels
        return None
