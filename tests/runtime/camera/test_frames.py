"""Frames from a source to the model: queue, pace, losses and returns; nothing here takes time."""

from __future__ import annotations

import re
import threading
import time
from datetime import datetime, timezone

import numpy as np
import pytest

from spit_edge.runtime.camera.frame_queue import Frame, FrameQueue
from spit_edge.runtime.camera.pacing import Clock
from spit_edge.runtime.camera.reader import LONGEST_WAIT
from spit_edge.runtime.camera.statistics import Statistics
from spit_edge.runtime.errors import CameraError
from tests.simulators.camera_rig import FakeClock, ScriptedSource, lost, read_all

PIXELS = np.zeros((4, 6, 3), np.uint8)


def frame(number: int) -> Frame:
    return Frame(number, float(number), datetime.now(timezone.utc), PIXELS)


def drain(queue: FrameQueue) -> list[int]:
    numbers = []
    while (got := queue.get(0.0)) is not None:
        numbers.append(got.number)
    return numbers


@pytest.mark.parametrize(("drop", "left"), [("oldest", [3, 4]), ("newest", [0, 1])])
def test_a_full_queue_drops(drop, left) -> None:
    queue = FrameQueue(2, drop)
    for number in range(5):
        queue.put(frame(number))
    assert drain(queue) == left and queue.dropped == 3
    queue.put(frame(9))
    assert drain(queue) == [9] and queue.dropped == 3


def test_a_queue_that_drops_nothing_makes_the_source_wait() -> None:
    queue, given = FrameQueue(2, "none"), []

    def give() -> None:
        for number in range(6):
            queue.put(frame(number))
            given.append(number)
        queue.end()

    thread = threading.Thread(target=give)
    thread.start()
    numbers = []
    for turn in range(6):
        numbers.append(queue.get(10.0).number)
        assert len(given) <= turn + 4
    thread.join(10)
    assert numbers == list(range(6)) and queue.dropped == 0 and queue.exhausted


def test_the_end_wakes_everybody_and_forgets_what_comes_later() -> None:
    queue = FrameQueue(1, "none")
    queue.put(frame(0))
    waiting = threading.Thread(target=queue.put, args=(frame(1),))
    waiting.start()
    time.sleep(0.02)
    assert waiting.is_alive() and not queue.exhausted
    queue.end()
    waiting.join(10)
    assert not waiting.is_alive() and not queue.exhausted
    assert drain(queue) == [0] and queue.exhausted


def test_the_error_that_the_frames_ended_with() -> None:
    queue = FrameQueue(2, "oldest")
    queue.put(frame(0))
    queue.check()
    queue.end(lost())
    queue.end()
    assert drain(queue) == [0] and queue.exhausted
    for _ in range(2):
        with pytest.raises(CameraError):
            queue.check()


def test_get_waits_no_longer_than_it_is_told() -> None:
    start = time.monotonic()
    assert FrameQueue(1, "oldest").get(0.05) is None
    assert 0.04 < time.monotonic() - start < 5


def camera(clock: FakeClock, fps: float, count: int, jitter: float = 0.0) -> ScriptedSource:
    """A live source with so many frames a second."""

    def script():
        for number in range(count):
            moment = number / fps + jitter * (-1) ** number

            def arrive(moment=moment) -> None:
                clock.time = max(clock.time, moment)

            yield arrive
            yield PIXELS

    return ScriptedSource(script(), live=True)


@pytest.mark.parametrize(
    ("camera_fps", "fps", "taken"),
    [(30, None, 300), (30, 30, 300), (30, 15, 150), (30, 25, 250), (30, 1, 10), (10, 30, 100)],
)
@pytest.mark.parametrize("jitter", [0.0, 0.004])
def test_pace_of_a_camera(camera_fps, fps, taken, jitter) -> None:
    """Ten seconds: everything is read, and as much is taken as was asked for."""
    clock = FakeClock()
    source = camera(clock, camera_fps, 10 * camera_fps, jitter)
    frames, reader, _ = read_all(source, clock, fps=fps)
    assert abs(len(frames) - taken) <= 1 + 0.02 * taken
    assert reader.read == 10 * camera_fps
    assert not clock.waits and source.closed == 1


def test_pace_of_a_file_is_kept_by_waiting() -> None:
    clock = FakeClock()
    frames, *_ = read_all(ScriptedSource([PIXELS] * 21, live=False), clock, fps=10)
    assert [f.moment for f in frames] == pytest.approx([0.1 * n for n in range(21)])
    assert [f.number for f in frames] == list(range(21))


def test_a_file_that_was_late_is_not_hurried_through() -> None:
    clock = FakeClock()

    def stall() -> None:
        clock.time += 5.0

    script = [PIXELS, stall, PIXELS, PIXELS, PIXELS]
    frames, _, _ = read_all(ScriptedSource(script, live=False), clock, fps=10)
    assert [f.moment for f in frames] == pytest.approx([0.0, 5.1, 5.2, 5.3])


def test_a_camera_that_vanishes_comes_back() -> None:
    clock = FakeClock()
    script = [PIXELS, lost(), lost(), lost(), PIXELS, PIXELS, lost(), PIXELS]
    source = ScriptedSource([*script, lambda: setattr(clock, "stopped", True)], live=True)
    frames, _, said = read_all(source, clock, reconnect=True)
    assert [f.number for f in frames][:4] == [0, 1, 2, 3]
    assert clock.waits == [0.5, 1.0, 2.0, 0.5] and source.opened == 5
    assert said[0].endswith("trying again in 0.5 s")
    assert said.count("frames are coming again") == 2


def test_waits_grow_to_a_limit() -> None:
    clock = FakeClock()

    def stop() -> None:
        clock.stopped = True

    script = [*[lost() for _ in range(12)], stop]
    read_all(ScriptedSource(script, live=True), clock, reconnect=True)
    assert clock.waits[-1] == LONGEST_WAIT == max(clock.waits) and len(clock.waits) == 12


def test_a_lost_source_is_an_error_unless_reconnected() -> None:
    with pytest.raises(CameraError, match="no more frames"):
        read_all(ScriptedSource([PIXELS, lost()], live=True), FakeClock())


def test_any_error_of_a_source_ends_the_frames() -> None:
    with pytest.raises(ZeroDivisionError):
        read_all(ScriptedSource([PIXELS, ZeroDivisionError()], live=True), FakeClock())


def test_the_clock_stops_waits() -> None:
    stop = threading.Event()
    clock = Clock(stop)
    threading.Timer(0.05, stop.set).start()
    start = clock.now()
    clock.wait(30.0)
    assert clock.stopped and clock.now() - start < 10
    clock.wait(-1.0)


def test_statistics() -> None:
    statistics = Statistics(100.0)
    for latency in (0.01, 0.02, 0.03):
        statistics.done(latency)
    line = statistics.line(102.0, read=20, dropped=4)
    assert line.startswith("10.0 fps in, 1.5 out, 4 dropped, latency p50 20.0 p90 28.0 ms, ")
    assert re.search(r" [\d.]+ [MG]B$", line)
    assert statistics.elapsed(103.0) == 1.0
    assert statistics.line(104.0, read=30, dropped=4).startswith("5.0 fps in, 0.0 out, 0 dropped, ")
