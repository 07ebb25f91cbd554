"""How the device talks: a JSON object per line on stdout, the last one a result or an error."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from spit_edge.base.errors import SpitError

PATIENCE = 60
"""Seconds without a sign of life after which a client counts as gone."""
ALIVE_SECONDS = 10
"""Between signs of life of our own."""
TAIL = 12
"""Lines of a failed command that are worth reading."""
FULL = "the device's disk is full: free some space and deploy again"

_speaking = threading.Lock()


class Refused(SpitError):
    """Why something is not done, as a sentence for the user."""


def say(event: str, **fields: Any) -> None:
    """Send one event."""
    line = json.dumps({"event": event, **fields}) + "\n"
    with _speaking:
        sys.stdout.write(line)
        sys.stdout.flush()


def keep_saying_alive() -> None:
    """From now on, a sign of life every few seconds, however long the work takes."""

    def beat() -> None:
        with contextlib.suppress(OSError):  # nobody listens
            while True:
                say("alive")
                time.sleep(ALIVE_SECONDS)

    threading.Thread(target=beat, daemon=True).start()


class Impatient:
    """A stream that ends this process when nothing comes for long."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        signal.alarm(PATIENCE)
        try:
            return self._stream.read(size)
        finally:
            signal.alarm(0)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Around a piece of work: its beginning and its seconds."""
    say("step", what=what)
    start = time.monotonic()
    yield
    say("done", what=what, seconds=time.monotonic() - start)


def run(command: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """What a command prints; Refused with the end of it if it fails."""
    done = attempt(command, env)
    refuse_killed(done)
    if done.returncode != 0:
        text = (done.stdout + done.stderr).strip()
        tail = "\n".join(line[:300] for line in text.splitlines()[-TAIL:])
        raise Refused(f"{os.path.basename(command[0])} failed:\n{tail}")
    return done.stdout


def attempt(
    command: Sequence[str], env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A command that has ended.  It may not read: stdin is the lifeline."""
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=None if env is None else {**os.environ, **env},
        check=False,
    )


def refuse_killed(done: subprocess.CompletedProcess[str]) -> None:
    """Refused if a signal ended a command; what it printed last says nothing then."""
    if done.returncode < 0:
        name = os.path.basename(done.args[0])
        why = ", probably for want of memory" if done.returncode == -signal.SIGKILL else ""
        raise Refused(f"{name} was killed by signal {-done.returncode}{why}")


def sentence(error: OSError) -> str:
    """An error of the operating system, for people."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FULL
    where = f" ({error.filename})" if error.filename else ""
    return f"on the device: {error.strerror or error}{where}"


def die_with_connection() -> None:
    """From now on, the end of stdin, or its silence, kills this process and all that it started.

    A client that was interrupted leaves nothing behind; nor does one whose network is gone, of
    which a device hears nothing at all.
    """
    if os.getpid() != os.getpgrp():
        os.setpgid(0, 0)

    def watch() -> None:
        while select.select([0], [], [], PATIENCE)[0] and os.read(0, 4096):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
