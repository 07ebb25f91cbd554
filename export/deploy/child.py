"""Programs here that talk to a device: they end with this process, and nobody waits for ever."""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import IO

from spit_edge.base.errors import SpitError

LINE_BYTES = 1 << 20
"""The most that a line may have."""
SPOKEN_BYTES = 16 << 20
"""The most that all lines of one program may have."""
_KEPT = 1 << 16
"""Bytes of the end of stderr that are kept."""
_CHUNK = 1 << 16
_SLICE = 0.25
"""Seconds after which an end is seen that no pipe tells of, because others hold it open."""
_TIED = """
import os, signal, sys
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
parent = os.getppid()
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == parent:
    os.execvp(sys.argv[1], sys.argv[1:])
"""


class TooMuch(SpitError):
    """A line, or all of them, are longer than anything that is meant."""


def tied(words: Sequence[str]) -> list[str]:
    """The command, which Linux kills when its parent ends, however that happens.

    Python sets this up and becomes the program: between fork and exec of a process with threads
    nothing may be done.
    """
    return [sys.executable, "-I", "-S", "-c", _TIED, *words]


class Child:
    """A program, its three streams, and patience with it.

    patience  seconds that may pass before it takes what it is sent, or before :meth:`heard` is
              called for what it says; then TimeoutError is raised
    beat      seconds between empty lines, signs of life, that it is sent while it is listened to
    """

    def __init__(self, words: Sequence[str], patience: float, beat: float | None = None) -> None:
        self._process = subprocess.Popen(
            tied(words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self._patience, self._beat = patience, beat
        self._told = b""
        for stream in self._streams():
            os.set_blocking(stream.fileno(), False)
        self.heard()

    def heard(self) -> None:
        """It has given a sign of life that counts."""
        self._deadline = time.monotonic() + self._patience

    def send(self, data: bytes) -> None:
        """Raises BrokenPipeError, and TimeoutError if it takes nothing for long."""
        assert self._process.stdin is not None
        rest = memoryview(data)
        while rest:
            taken = self._write(rest)
            rest = rest[taken:]
            if taken:
                self.heard()
            else:
                self._wait(writing=True)

    def end_input(self) -> None:
        """There is no more to read for it."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def lines(self) -> Iterator[bytes]:
        """What it prints until it ends, cut at carriage returns, too.

        Raises TooMuch, and TimeoutError if nothing calls :meth:`heard` for long.
        """
        assert self._process.stdout is not None
        waiting, spoken = b"", 0
        next_beat = time.monotonic() + (self._beat or 0)
        while True:
            if self._beat is not None and time.monotonic() >= next_beat:
                next_beat = time.monotonic() + self._beat
                with contextlib.suppress(OSError):
                    self._write(b"\n")
            ended = self._process.poll() is not None
            self._hear_complaints()
            piece = self._process.stdout.read(_CHUNK)
            if piece == b"" or (piece is None and ended):
                break
            if piece is None:
                self._wait(writing=False, until=next_beat if self._beat else None)
                continue
            spoken += len(piece)
            *lines, waiting = re.split(rb"[\r\n]", waiting + piece)
            if len(waiting) > LINE_BYTES or spoken > SPOKEN_BYTES:
                raise TooMuch
            yield from lines
            self._refuse_late()
        if waiting:
            yield waiting

    def end(self) -> int:
        """Its status, once it has ended by itself within the patience with it."""
        while (code := self._process.poll()) is None:
            self._refuse_late()
            self._hear_complaints()
            time.sleep(0.01)
        self._hear_complaints()
        return code

    @property
    def told(self) -> str:
        """The end of what it has printed on stderr."""
        return self._told.decode(errors="replace")

    def kill(self) -> None:
        """At once; may be called from another thread."""
        self._process.kill()

    def close(self) -> None:
        """Kill it, if it still runs, and let go of its streams."""
        self._process.kill()
        self._process.wait()
        for stream in self._streams():
            with contextlib.suppress(OSError):
                stream.close()

    def _streams(self) -> list[IO[bytes]]:
        given = (self._process.stdin, self._process.stdout, self._process.stderr)
        return [stream for stream in given if stream is not None]

    def _write(self, data: bytes | memoryview) -> int:
        """Bytes that it took, perhaps none."""
        stdin = self._process.stdin
        assert stdin is not None
        if stdin.closed:
            return 0
        try:
            return os.write(stdin.fileno(), data[:_CHUNK])
        except BlockingIOError:
            return 0

    def _wait(self, *, writing: bool, until: float | None = None) -> None:
        """Until something can be done, or a moment has passed."""
        self._refuse_late()
        now = time.monotonic()
        seconds = min(_SLICE, self._deadline - now, *([] if until is None else [until - now]))
        poll = select.poll()
        assert self._process.stdin is not None and self._process.stdout is not None
        if writing:
            poll.register(self._process.stdin, select.POLLOUT)
        else:
            poll.register(self._process.stdout, select.POLLIN)
        poll.poll(max(0.0, seconds) * 1000)
        self._hear_complaints()

    def _refuse_late(self) -> None:
        if time.monotonic() > self._deadline:
            raise TimeoutError

    def _hear_complaints(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        # Not until there are no more: that may never be.
        if piece := stderr.read(_CHUNK):
            self._told = (self._told + piece)[-_KEPT:]
