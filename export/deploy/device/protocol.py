"""How the device talks: a JSON object per line on stdout, the last one a result or an error."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

TAIL = 12
"""Lines of a failed command that are worth reading."""
FULL = "the device's disk is full: free some space and deploy again"


class Refused(Exception):
    """Why something is not done, as a sentence for the user."""


def say(event: str, **fields: Any) -> None:
    """Send one event."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


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


def sentence(error: OSError) -> str:
    """An error of the operating system, for people."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FULL
    where = f" ({error.filename})" if error.filename else ""
    return f"on the device: {error.strerror or error}{where}"


def die_with_connection() -> None:
    """From now on, the end of stdin kills this process and all that it started.

    A client that was interrupted or lost its network leaves nothing behind.
    """
    if os.getpid() != os.getpgrp():
        os.setpgid(0, 0)

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
