"""``serve-camera``: a bundle on the frames of a camera, a video or a folder, for hours."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from spit_edge.base.command_line import DONE
from spit_edge.base.progress import Steps
from spit_edge.base.ranges import COUNT, Above
from spit_edge.base.text import shown
from spit_edge.runtime.camera.frame_queue import DROPS, Drop, FrameQueue
from spit_edge.runtime.camera.outputs import JsonLines, LabelFolder, OverlayFolder, Sink
from spit_edge.runtime.camera.pacing import Clock, Pace
from spit_edge.runtime.camera.reader import FrameReader
from spit_edge.runtime.camera.service import CameraService
from spit_edge.runtime.camera.sources import find_source
from spit_edge.runtime.commands.options import add_session
from spit_edge.runtime.session import Session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``serve-camera``."""
    add_session(parser)
    parser.add_argument(
        "source",
        help="camera (0 or /dev/video0), video file, address (rtsp://...), GStreamer pipeline "
        '("... ! appsink"), or folder of images',
    )
    _add_frame_arguments(parser)
    _add_output_arguments(parser)


def _add_frame_arguments(parser: argparse.ArgumentParser) -> None:
    frames = parser.add_argument_group("frames")
    frames.add_argument(
        "--fps", type=Above(0), metavar="N", help="take at most N a second [all that come]"
    )
    frames.add_argument(
        "--drop",
        choices=DROPS,
        help="if frames come too fast, drop the oldest or the newest of those that wait, or none "
        "and make the source wait [cameras: oldest, files: none]",
    )
    frames.add_argument(
        "--queue", type=COUNT, default=2, metavar="N", help="frames that may wait [2]"
    )
    frames.add_argument("--frames", type=COUNT, metavar="N", help="stop after N results")
    frames.add_argument(
        "--reconnect",
        action=argparse.BooleanOptionalAction,
        help="keep trying to reopen a source that is lost [cameras only]",
    )


def _add_output_arguments(parser: argparse.ArgumentParser) -> None:
    results = parser.add_argument_group("results")
    results.add_argument(
        "--overlay-dir",
        type=Path,
        metavar="DIR",
        help="keep DIR/latest.jpg, a picture of the regions",
    )
    results.add_argument(
        "--overlay-every", type=COUNT, default=1, metavar="N", help="draw every N-th result [1]"
    )
    results.add_argument(
        "--keep-overlays", type=COUNT, metavar="N", help="also keep the last N pictures [none]"
    )
    results.add_argument(
        "--labels-dir", type=Path, metavar="DIR", help="write DIR/ID.npz: labels, logits"
    )
    results.add_argument(
        "--keep-labels", type=COUNT, metavar="N", help="keep only the last N of them [all]"
    )
    results.add_argument(
        "--json-lines", metavar="FILE", help="add a line of JSON for each result; - prints it"
    )
    results.add_argument(
        "--statistics",
        type=Above(0),
        default=10.0,
        metavar="S",
        help="seconds between lines on stderr with rates, latency and memory [10]",
    )


def run(options: argparse.Namespace) -> int:
    """Serve until the frames end, SIGTERM (both DONE) or Ctrl-C (KeyboardInterrupt).

    Raises SpitError, and OSError where a result cannot be written.
    """
    steps = Steps()
    stop = threading.Event()
    source = find_source(options.source)
    drop: Drop = options.drop or ("oldest" if source.live else "none")
    reconnect = source.live if options.reconnect is None else options.reconnect
    with ExitStack() as stack:
        stack.enter_context(_stopped_by_sigterm(stop))
        sinks = [stack.enter_context(closing(sink)) for sink in _sinks(options)]
        with steps.step("opening the bundle"):
            session = stack.enter_context(
                Session.open(options.bundle, options.backend, threads=options.threads)
            )
        clock, queue = Clock(stop), FrameQueue(options.queue, drop)
        reader = FrameReader(source, queue, clock, Pace(options.fps), reconnect=reconnect, say=_say)
        stack.callback(reader.join)
        stack.callback(queue.end)
        stack.callback(stop.set)
        service = CameraService(
            session, reader, queue, sinks, clock, period=options.statistics, say=_say
        )
        _say(f"running on {session.backend}")
        reader.start()
        service.run(options.frames)
    return DONE


def _sinks(options: argparse.Namespace) -> Iterator[Sink]:
    if options.overlay_dir is not None:
        keep, every = options.keep_overlays or 0, options.overlay_every
        yield OverlayFolder(options.overlay_dir, keep=keep, every=every)
    if options.labels_dir is not None:
        yield LabelFolder(options.labels_dir, keep=options.keep_labels)
    if options.json_lines is not None:
        yield JsonLines(options.json_lines)


@contextmanager
def _stopped_by_sigterm(stop: threading.Event) -> Iterator[None]:
    """Within the block SIGTERM sets ``stop``; only the main thread may ask for that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(line: str) -> None:
    print(shown(line), file=sys.stderr, flush=True)
