"""The builder's progress on the terminal, and the way to stop it."""

from __future__ import annotations

import threading
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from runtime.engines.flavour import Flavour


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
