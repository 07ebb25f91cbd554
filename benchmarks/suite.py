"""What a suite is: a name, and a function that gives rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks.rows import Row


@dataclass(frozen=True)
class Settings:
    """What to measure and how.

    sizes       sides of square images, in pixels
    models      names from the zoo
    precisions  of exported models
    rounds      measured calls of each variant
    threads     of everything that takes a number of threads
    bundles     folder to keep exported models in; None: a temporary one
    """

    sizes: tuple[int, ...]
    models: tuple[str, ...]
    precisions: tuple[Literal["fp32", "fp16", "bf16"], ...]
    rounds: int
    threads: int
    bundles: Path | None = None


class Chart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How rows are drawn: lines over sizes or bars, of ``value``: "median" or one of ``more``."""

    kind: Literal["lines", "bars"]
    value: str = "median"
    label: str = "ms"
    logarithmic: bool = False


@dataclass(frozen=True)
class Suite:
    """One subject.

    title   what is measured, in a sentence
    notes   what has to be known to read the figures
    sizes   (and ``models``, ``rounds``) what is measured unless a user says otherwise
    """

    name: str
    title: str
    measure: Callable[[Settings], Iterator[Row]]
    chart: Chart
    notes: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    models: tuple[str, ...] = ()
    rounds: int = 7
    least_rounds: int = 5


NAMES = ("tokenizer", "features", "end_to_end", "trunk", "export", "roofline")
QUICK = ("tokenizer", "features")
QUICK_SIZES = (224, 512)


def load_suite(name: str) -> Suite:
    """The suite of the module of that name: imported here, as each needs packages of its own."""
    suite: Suite = import_module(f"benchmarks.{name}").SUITE
    return suite
