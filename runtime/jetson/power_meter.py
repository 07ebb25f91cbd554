"""Power measured while something else runs, by tegrastats or jetson-stats."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, TypeVar

from spit_edge.runtime.jetson.tegrastats import parse_line

INTERVAL_MS = 100
"""Time between two lines of tegrastats."""
_JTOP_SECONDS = 0.5
_PATIENCE = 2.0

_Self = TypeVar("_Self", bound="PowerMeter")


@dataclass(frozen=True)
class Sample:
    """Watts at a moment of ``time.monotonic``, and the rails that were counted."""

    moment: float
    watts: float
    rails: tuple[str, ...]


@dataclass(frozen=True)
class Power:
    """Mean watts of a while, from so many samples; ``rails`` are those counted."""

    source: str
    watts: float
    samples: int
    rails: tuple[str, ...]


class PowerMeter(ABC):
    """A context manager that takes ``samples`` until its end."""

    source: str

    def __init__(self) -> None:
        self.samples: list[Sample] = []

    @abstractmethod
    def start(self) -> None:
        """Begin."""

    @abstractmethod
    def stop(self) -> None:
        """End."""

    def __enter__(self: _Self) -> _Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class TegrastatsMeter(PowerMeter):
    """Runs ``tegrastats`` and reads along; lines that are none of its are passed over."""

    source = "tegrastats"

    def __init__(self, command: Sequence[str] = ("tegrastats",)) -> None:
        super().__init__()
        self._command = (*command, "--interval", str(INTERVAL_MS))
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Raises OSError if the command cannot be run."""
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            # Ctrl-C is for the measurement, which then stops the meter.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._thread = threading.Thread(
            target=self._read, args=(self._process.stdout,), name="tegrastats", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the process and wait for it; more than once does no harm."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # Somebody else may have inherited the pipe, so its end is not waited for forever.
        self._thread.join(_PATIENCE)
        if not self._thread.is_alive() and process.stdout is not None:
            process.stdout.close()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            reading = parse_line(line)
            if reading is not None and reading.watts is not None:
                self.samples.append(Sample(time.monotonic(), reading.watts, reading.counted))


class JtopMeter(PowerMeter):
    """Asks the service of jetson-stats, through its package ``jtop``."""

    source = "jetson-stats"

    def start(self) -> None:
        """Raises what the package raises if its service does not run."""
        self._jtop = importlib.import_module("jtop").jtop(interval=_JTOP_SECONDS)
        self._jtop.attach(self._take)
        self._jtop.start()

    def stop(self) -> None:
        """Leave the service."""
        self._jtop.close()

    def _take(self, jtop: Any) -> None:
        # "tot" is the rail that feeds all, or the sum of the rails, in milliwatts.
        with contextlib.suppress(KeyError, TypeError, ValueError):
            total = jtop.power["tot"]
            watts = float(total["power"]) / 1e3
            self.samples.append(Sample(time.monotonic(), watts, (str(total.get("name", "sum")),)))


@contextlib.contextmanager
def power_meter() -> Iterator[PowerMeter | None]:
    """A running PowerMeter for a ``with`` block; None where there is nothing to measure with."""
    with contextlib.ExitStack() as stack:
        meter: PowerMeter | None = None
        # tegrastats first: it is there on every Jetson, and five times as fast.
        if shutil.which("tegrastats"):
            with contextlib.suppress(OSError):
                meter = stack.enter_context(TegrastatsMeter())
        if meter is None:
            # The package may be missing, or raise errors of its own where its service is off.
            with contextlib.suppress(Exception):
                meter = stack.enter_context(JtopMeter())
        yield meter


def mean_power(meter: PowerMeter | None, start: float, end: float) -> Power | None:
    """The mean between two moments of ``time.monotonic``; None without samples."""
    if meter is None:
        return None
    taken = [sample for sample in meter.samples if start <= sample.moment <= end]
    if not taken:
        return None
    watts = sum(sample.watts for sample in taken) / len(taken)
    return Power(meter.source, watts, len(taken), taken[-1].rails)
