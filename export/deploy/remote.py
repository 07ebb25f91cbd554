"""Calls to a device over the user's own OpenSSH.

The first connection stays open for the others (ControlMaster, in a folder of our own).  A call
starts Python on the device, sends it the modules of ``agent/``, what they import of ours and a
request on stdin, and reads events from its stdout until the result; nothing of it is left there.
While a call lasts, its stdin stays open and gets a sign of life now and then: when this side or the
network is gone, the device notices and stops what it was doing.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import util
from pathlib import Path
from typing import IO, Any

from spit_edge.export.deploy import agent
from spit_edge.export.deploy.errors import DeployError, unreachable
from spit_edge.export.deploy.reporter import Reporter
from spit_edge.export.deploy.target import Target

CONNECT_SECONDS = 20
BEAT_SECONDS = 10
"""Between signs of life, without which a device stops what it was doing."""
_MODULES = (
    *(f"spit_edge.base.{name}" for name in ("errors", "sizes", "drafts", "files", "install")),
    "spit_edge.base.driver",
    *(f"spit_edge.runtime.jetson.{name}" for name in ("clocks", "software", "board")),
    *(f"{agent.__name__}.{m}" for m in ("protocol", "facts", "releases", "install", "main")),
)
"""What is sent, in an order in which each finds what it imports."""
_BOOTSTRAP = """
import json, platform, sys, types
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
        self._folder = Path(tempfile.mkdtemp(prefix="spit-ssh-"))
        self._running: set[subprocess.Popen[bytes]] = set()
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
        self, operation: str, *, feed: Callable[[IO[bytes]], None] | None = None, **fields: Any
    ) -> Any:
        """Do an operation of ``agent/main.py``; its result.

        feed  writes what the operation reads from stdin after its request

        Raises DeployError with the device's sentence, or Unreachable.
        """
        request = {"operation": operation, "root": self.target.root, **fields}
        head = json.dumps(_sources()).encode() + b"\n" + json.dumps(request).encode() + b"\n"
        python = f"exec python3 -c {shlex.quote(_BOOTSTRAP)}"
        words = [*self.ssh(), "--", self.target.host, python]
        with tempfile.TemporaryFile() as complaints:
            process = self._start(words, complaints)
            try:
                result = self._converse(process, head, feed)
                code = process.wait()
            finally:
                self._end(process)
            complaints.seek(0)
            told = complaints.read().decode(errors="replace")
        if "result" in result:
            return result["result"]
        raise self._failure(result.get("error"), code, told)

    def run_local(self, words: list[str], on_line: Callable[[str], None]) -> tuple[int, str]:
        """A command here that uses the connection: status and stderr; stdout goes to ``on_line``,
        cut at carriage returns, too."""
        with tempfile.TemporaryFile() as complaints:
            process = self._start(words, complaints)
            try:
                assert process.stdin is not None and process.stdout is not None
                process.stdin.close()
                waiting = b""
                while piece := process.stdout.read1(4096):  # type: ignore[attr-defined]
                    *lines, waiting = (waiting + piece).replace(b"\r", b"\n").split(b"\n")
                    for line in lines:
                        on_line(line.decode(errors="replace"))
                code = process.wait()
            finally:
                self._end(process)
            complaints.seek(0)
            return code, complaints.read().decode(errors="replace")

    def close(self) -> None:
        """End what is running and the connection; may be called from another thread."""
        with self._lock:
            self._closed = True
            for process in self._running:
                process.kill()
        if (self._folder / "socket").exists():
            subprocess.run(
                [*self.ssh(), "-O", "exit", "--", self.target.host],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
        shutil.rmtree(self._folder, ignore_errors=True)

    def _connect(self) -> None:
        """Log in, asking if the user is there to answer."""
        with tempfile.TemporaryFile() as complaints:
            words = [*self.ssh(), "--", self.target.host, "exit 0"]
            process = self._start(words, complaints)
            try:
                assert process.stdin is not None
                process.stdin.close()
                code = process.wait()
            finally:
                self._end(process)
            complaints.seek(0)
            told = complaints.read().decode(errors="replace")
        if code != 0:
            raise unreachable(self.target.host, told)

    def _start(self, words: list[str], complaints: IO[bytes]) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                raise KeyboardInterrupt
            process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints
            )
            self._running.add(process)
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.discard(process)
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what is left in the buffer has no reader
                    continue

    def _converse(
        self,
        process: subprocess.Popen[bytes],
        head: bytes,
        feed: Callable[[IO[bytes]], None] | None,
    ) -> dict[str, Any]:
        """Send, then hand events on until the call's last word."""
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(head)
            process.stdin.flush()
            if feed is not None:
                feed(process.stdin)
                process.stdin.close()
        except BrokenPipeError:  # why it stopped reading comes on stdout, or as its status
            pass
        with _beating(process.stdin):
            return self._last_word(process.stdout)

    def _last_word(self, stream: IO[bytes]) -> dict[str, Any]:
        for line in stream:
            try:
                event = json.loads(line)
            except ValueError:  # what a login script prints
                continue
            if not isinstance(event, dict) or "event" not in event:
                continue
            if event.get("event") == "result":
                return {"result": event["value"]}
            if event.get("event") == "error":
                return {"error": event["text"]}
            self.reporter.event(event)
        return {}

    def _failure(self, text: str | None, code: int, told: str) -> DeployError:
        if text is not None:
            return DeployError(text)
        if code == _NO_PYTHON:
            return DeployError(
                f"there is no python3 on {self.target.host}: install Python 3.10 or newer there"
            )
        if code == 255 or code < 0:
            return unreachable(self.target.host, told)
        last = (told.strip().splitlines() or [f"status {code}"])[-1]
        return DeployError(f"Python on {self.target.host} stopped: {last}")


@contextmanager
def _beating(stream: IO[bytes]) -> Iterator[None]:
    """Meanwhile, a line now and then."""
    over = threading.Event()

    def beat() -> None:
        try:
            while not over.wait(BEAT_SECONDS) and not stream.closed:
                stream.write(b"\n")
                stream.flush()
        except (OSError, ValueError):  # the other side has ended, or this one has closed
            pass

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _sources() -> list[tuple[str, str]]:
    found = []
    for name in _MODULES:
        spec = util.find_spec(name)
        assert spec is not None and spec.origin is not None
        found.append((name, Path(spec.origin).read_text()))
    return found
