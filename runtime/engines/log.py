"""What TensorRT says while it works: kept, and shown when something fails."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from runtime.engines.flavour import Flavour
from runtime.errors import EngineError

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
