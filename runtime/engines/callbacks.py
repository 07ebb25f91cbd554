"""What TensorRT says while it works: kept, and shown when something fails."""

from __future__ import annotations

import gc
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from spit_edge.runtime.engines.flavour import Flavour
from spit_edge.runtime.errors import EngineError

_OUT_OF_MEMORY = re.compile(
    r"out ?of ?memory|memoryallocation|memory\b.*\bcould not be allocated|insufficient memory", re.I
)
_LEVELS = ("INTERNAL_ERROR", "ERROR", "WARNING")


@contextmanager
def without_collection() -> Iterator[None]:
    """Around calls of TensorRT that may log.

    TensorRT calls its logger while it holds a lock.  A garbage collection in there may free some
    older object of TensorRT's, whose end takes the same lock: the thread waits for itself.
    """
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass
class Log:
    """Lines of level warning and above as (level, text); ``logger`` is what TensorRT is given.

    TensorRT does not keep the logger alive: whoever calls it holds on to this.
    """

    verbose: bool = False
    lines: list[tuple[str, str]] = field(default_factory=list)
    logger: Any = None

    @classmethod
    def of(cls, flavour: Flavour, *, verbose: bool = False) -> Log:
        """A log with a logger for ``flavour``.  ``verbose`` prints every line to stderr."""
        log = cls(verbose)
        base: Any = flavour.module.ILogger

        class Logger(base):  # type: ignore[misc]
            def __init__(self) -> None:
                base.__init__(self)  # pybind11 wants it called by the class

            def log(self, severity: Any, message: str) -> None:
                log.add(severity.name, message)

        log.logger = Logger()
        return log

    def add(self, level: str, message: str) -> None:
        if level in _LEVELS:
            self.lines.append((level, message))
        if self.verbose:
            print(f"[{level.lower()}] {message}", file=sys.stderr)

    @property
    def errors(self) -> list[str]:
        return [text for level, text in self.lines if level != "WARNING"]

    def failure(self, what: str, advice: str) -> EngineError:
        """An error of one sentence, followed by TensorRT's warnings and errors.

        what    failed, as "TensorRT built no engine"
        advice  what to do, unless memory ran out
        """
        if any(_OUT_OF_MEMORY.search(text) for text in self.errors):
            what, advice = (
                f"{what}: out of memory",
                "close other programs, or export with a smaller --batch or --max-tokens",
            )
        said = "" if self.verbose else "".join(f"\n  [{k.lower()}] {t}" for k, t in self.lines)
        return EngineError(f"{what}: {advice}{said}")


class BuildPhases:
    """The builder's phases as nested progress bars; TensorRT calls from any of its threads."""

    def __init__(self, console: Console) -> None:
        self.steps = 0
        self.cancelled = threading.Event()
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._lock = threading.Lock()
        self._tasks: dict[str, tuple[TaskID, int]] = {}

    def start(self, name: str, parent: str | None, steps: int) -> None:
        with self._lock:
            depth = self._tasks[parent][1] + 1 if parent in self._tasks else 0
            task = self.bars.add_task("  " * depth + name, total=steps)
            self._tasks[name] = (task, depth)

    def advance(self, name: str) -> bool:
        """Whether the builder is to go on."""
        with self._lock:
            self.steps += 1
            if name in self._tasks:
                self.bars.advance(self._tasks[name][0])
        return not self.cancelled.is_set()

    def finish(self, name: str) -> None:
        with self._lock:
            if name in self._tasks:
                self.bars.remove_task(self._tasks.pop(name)[0])


def progress_monitor(flavour: Flavour, phases: BuildPhases) -> Any:
    """An IProgressMonitor that tells ``phases`` and stops the build when they are cancelled."""
    base: Any = flavour.module.IProgressMonitor

    class Monitor(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)  # pybind11 wants it called by the class

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            phases.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return phases.advance(phase_name)

        def phase_finish(self, phase_name: str) -> None:
            phases.finish(phase_name)

    return Monitor()
