"""Calls to a device over the user's own OpenSSH.

The first connection stays open for the others (ControlMaster, in a folder of our own).  A call
starts Python on the device, sends it the modules of ``agent/``, what they import of ours and a
request on stdin, and reads events from its stdout until the result; nothing of it is left there.
While a call lasts, its stdin stays open and gets a sign of life now and then: when this side or the
network is gone, the device notices and stops what it was doing.  So does the device: one
that gives no sign of life is given up, and so is one that says what our program never says.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib import util
from pathlib import Path
from typing import Any, TypeVar

from spit_edge.base.drafts import draft_folder
from spit_edge.base.sizes import size_text
from spit_edge.export.deploy import agent
from spit_edge.export.deploy.answers import Alive, Refusal, Result, event_in, quoted, value_of
from spit_edge.export.deploy.child import LINE_BYTES, SPOKEN_BYTES, Child, TooMuch
from spit_edge.export.deploy.errors import DeployError, Unbelievable, silent, unreachable
from spit_edge.export.deploy.reporter import Reporter
from spit_edge.export.deploy.target import Target

CONNECT_SECONDS = 20
BEAT_SECONDS = 10
"""Between signs of life, without which a device stops what it was doing."""
SILENCE = 60
"""Seconds without a sign of life, or without taking what it is sent, after which a device counts
as gone.  While it works, it gives one every ten."""
ANSWER_SECONDS = 600
"""For a user to answer what ssh asks while it logs in."""
_GOODBYE_SECONDS = 5
_DRAFT = "spit-ssh"
_PLACE = re.compile(r"/[A-Za-z0-9_./+@=,:-]{0,47}")
"""A path may have 103 bytes everywhere; the folder's name, and what ssh adds to the socket's until
it listens, take the others.  Other letters mean something in ssh's configuration."""
_SENTENCE = 4000
"""Characters of a device's sentence that are shown."""
_T = TypeVar("_T")
_MODULES = (
    *(f"spit_edge.base.{name}" for name in ("errors", "sizes", "drafts", "files", "install")),
    "spit_edge.base.driver",
    *(f"spit_edge.runtime.jetson.{name}" for name in ("clocks", "software", "board")),
    *(f"{agent.__name__}.{name}" for name in ("protocol", "use", "facts", "releases")),
    *(f"{agent.__name__}.{name}" for name in ("environment", "install", "main")),
)
"""What is sent, in an order in which each finds what it imports."""
_BOOTSTRAP = """
import json, platform, sys, types
print()  # ends what a login has printed
if sys.version_info < (3, 10):
    text = "python3 on the device is %s: at least 3.10 is needed" % platform.python_version()
    sys.exit(print(json.dumps({"event": "error", "text": text})))
for name, text in json.loads(sys.stdin.buffer.readline()):
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
module.main()
"""
_NO_PYTHON = 127
"""Exit status of a shell that does not find a command."""


class Remote:
    """A connection to a device; use it as a context manager.

    batch  never ask for passwords or confirmations, for devices that are deployed to in parallel
    """

    def __init__(self, target: Target, reporter: Reporter, *, batch: bool = False) -> None:
        self.target = target
        self.reporter = reporter
        self._batch = batch
        self._stack = ExitStack()
        self._folder = self._stack.enter_context(draft_folder(_short_place(), _DRAFT))
        self._running: set[Child] = set()
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Remote:
        try:
            self._connect()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ssh(self) -> list[str]:
        """The command up to the host; the user's configuration decides the rest."""
        if (program := shutil.which("ssh")) is None:
            raise DeployError("there is no ssh here: install the OpenSSH client")
        options = {
            "ControlMaster": "auto",
            "ControlPath": str(self._folder / "socket"),
            # Should this process die, the shared connection ends by itself.
            "ControlPersist": "20",
            "ConnectTimeout": str(CONNECT_SECONDS),
            "ServerAliveInterval": "15",
            "BatchMode": "yes" if self._batch else "no",
            "RequestTTY": "no",
            "RemoteCommand": "none",
            "ForwardX11": "no",
            "ForwardAgent": "no",
            "ClearAllForwardings": "yes",
            "LogLevel": "ERROR",
        }
        words = [program]
        if self.target.ssh_config is not None:
            words += ["-F", str(self.target.ssh_config)]
        for name, value in options.items():
            words += ["-o", f"{name}={value}"]
        return words

    def call(
        self,
        operation: str,
        kind: type[_T],
        *,
        feed: Callable[[Callable[[bytes], None]], None] | None = None,
        **fields: Any,
    ) -> _T:
        """Do an operation of ``agent/main.py``; its result, checked to be of ``kind``.

        feed  is called with what writes to the operation's stdin after its request

        Raises DeployError with the device's sentence, Unbelievable, or Unreachable.
        """
        request = {"operation": operation, "root": self.target.root, **fields}
        head = json.dumps(_sources()).encode() + b"\n" + json.dumps(request).encode() + b"\n"
        python = f"exec python3 -c {shlex.quote(_BOOTSTRAP)}"
        words = [*self.ssh(), "--", self.target.host, python]
        with self._child(words, SILENCE, BEAT_SECONDS) as child:
            with suppress(BrokenPipeError):  # why it stopped reading comes on stdout, or as status
                child.send(head)
                if feed is not None:
                    feed(child.send)
                    child.end_input()
            last, noise = self._last_word(child)
            if isinstance(last, Result):
                return value_of(self.target.host, operation, last, kind)
            if last is not None:
                raise DeployError(last.text[:_SENTENCE])
            raise self._failure(child.end(), child.told, noise)

    def run_local(self, words: list[str], on_line: Callable[[str], None]) -> tuple[int, str]:
        """A command here that uses the connection: status and stderr; stdout goes to ``on_line``,
        cut at carriage returns, too."""
        with self._child(words, 2 * SILENCE) as child:
            child.end_input()
            for line in child.lines():
                child.heard()
                on_line(line.decode(errors="replace"))
            return child.end(), child.told

    def close(self) -> None:
        """End what is running and the connection; may be called from another thread."""
        with self._lock:
            self._closed = True
            for child in self._running:
                child.kill()
        if (self._folder / "socket").exists():
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    [*self.ssh(), "-O", "exit", "--", self.target.host],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    check=False,
                    timeout=_GOODBYE_SECONDS,
                )
        with suppress(OSError):  # the connection takes its socket away itself, perhaps now
            self._stack.close()

    def _connect(self) -> None:
        """Log in, asking if the user is there to answer."""
        asks = not self._batch and sys.stdin is not None and sys.stdin.isatty()
        words = [*self.ssh(), "--", self.target.host, "exit 0"]
        with self._child(words, ANSWER_SECONDS if asks else SILENCE) as child:
            child.end_input()
            for _ in child.lines():
                pass
            code = child.end()
            if code != 0:
                raise unreachable(self.target.host, child.told)

    @contextmanager
    def _child(
        self, words: Sequence[str], patience: float, beat: float | None = None
    ) -> Iterator[Child]:
        """A program that uses the connection, until the end of the block.

        In the block, what is wrong with what it says becomes a DeployError.
        """
        with self._lock:
            if self._closed:
                raise KeyboardInterrupt
            child = Child(words, patience, beat)
            self._running.add(child)
        try:
            yield child
        except TimeoutError as error:
            raise silent(self.target.host, patience) from error
        except TooMuch as error:
            raise Unbelievable(
                f"{self.target.host} says more than spit-edge does: over {size_text(LINE_BYTES)} "
                f"in a line, or {size_text(SPOKEN_BYTES)} in all"
            ) from error
        finally:
            with self._lock:
                self._running.discard(child)
            child.close()

    def _last_word(self, child: Child) -> tuple[Result | Refusal | None, bytes]:
        """None if there is none; and the last line that was none of ours."""
        noise = b""
        for line in child.lines():
            event = event_in(self.target.host, line)
            if event is None:
                noise = line if line.strip() else noise
                continue
            child.heard()
            if isinstance(event, Result | Refusal):
                return event, noise
            if not isinstance(event, Alive):
                self.reporter.event(event)
        return None, noise

    def _failure(self, code: int, told: str, noise: bytes) -> DeployError:
        host = self.target.host
        if code == _NO_PYTHON:
            return DeployError(f"there is no python3 on {host}: install Python 3.10 or newer there")
        if code == 255 or code < 0:
            return unreachable(host, told)
        said = f"; it said {quoted(noise)}" if noise else ""
        if code == 0:
            return Unbelievable(f"{host} did not answer{said}: does ssh run commands there?")
        last = (told.strip().splitlines() or [f"status {code}"])[-1]
        return DeployError(f"Python on {host} stopped: {last[:_SENTENCE]}{said}")


def _short_place() -> Path:
    """A folder for temporary files whose path ssh takes for a socket.

    Raises DeployError.
    """
    named = (tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR"), "/tmp")
    for place in filter(None, named):
        if _PLACE.fullmatch(place) and os.access(place, os.W_OK | os.X_OK):
            return Path(place)
    raise DeployError(
        "ssh needs a folder for its socket, with a path of at most 48 plain letters, and neither "
        "TMPDIR nor XDG_RUNTIME_DIR nor /tmp is one that can be written: set TMPDIR to one"
    )


def _sources() -> list[tuple[str, str]]:
    found = []
    for name in _MODULES:
        spec = util.find_spec(name)
        assert spec is not None and spec.origin is not None
        found.append((name, Path(spec.origin).read_text()))
    return found
