"""Sources, clocks and sinks that do what a test tells them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from spit_edge.runtime.camera.frame_queue import Frame, FrameQueue
from spit_edge.runtime.camera.outputs import Result
from spit_edge.runtime.camera.pacing import Pace
from spit_edge.runtime.camera.reader import FrameReader
from spit_edge.runtime.errors import CameraError


class FakeClock:
    """Time passes by waiting, and by ``now`` moving on."""

    def __init__(self) -> None:
        self.time, self.waits, self.stopped = 0.0, [], False

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds


class ScriptedSource:
    """Gives what ``script`` says: pixels, errors to raise, or calls to make first."""

    file = None

    def __init__(self, script: Iterable[object], *, live: bool) -> None:
        self.live, self._script = live, iter(script)
        self.opened = self.closed = 0

    def open(self) -> None:
        self.opened += 1

    def read(self) -> np.ndarray | None:
        for item in self._script:
            if isinstance(item, Exception):
                raise item
            if isinstance(item, np.ndarray):
                return item
            item()
        return None

    def close(self) -> None:
        self.closed += 1


class Collector:
    """A sink that keeps what ``take`` makes of the results."""

    def __init__(self, take: Callable[[Result], object]) -> None:
        self.taken, self._take, self.closed = [], take, False

    def write(self, result: Result) -> None:
        self.taken.append(self._take(result))

    def close(self) -> None:
        self.closed = True


def lost() -> CameraError:
    return CameraError("the camera gives no more frames")


def read_all(
    source: ScriptedSource,
    clock: FakeClock,
    *,
    fps: float | None = None,
    reconnect: bool = False,
    size: int = 1000,
) -> tuple[list[Frame], FrameReader, list[str]]:
    """Run a reader to its end in this thread: the frames, the reader, and what it said."""
    queue, said = FrameQueue(size, "oldest"), []
    reader = FrameReader(source, queue, clock, Pace(fps), reconnect=reconnect, say=said.append)
    reader.run()
    frames = []
    while (frame := queue.get(0.0)) is not None:
        frames.append(frame)
    queue.check()
    return frames, reader, said
