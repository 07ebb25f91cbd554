"""What a suite is: a name, and a function that gives rows, of which all else is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks.timing import Timing

Figure = float | int | str
MIB = 2**20


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One variant of one thing at one size.

    what         the thing that all its variants do; a table and a panel of the plot
    size         what it was done to: the side of an image, a file, ...
    variant      who did it
    median       milliseconds, with the 10th and 90th percentile of the rounds; None: not measured
    ratio        ``median`` by that of ours: above 1, ours is faster
    more         further figures by name (and unit)
    note         how this variant is not quite the same, or why it was not measured
    """

    what: str
    size: int | str
    variant: str
    median: float | None = None
    p10: float | None = None
    p90: float | None = None
    ratio: float | None = None
    more: dict[str, Figure] = {}
    note: str = ""


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


def timed_rows(
    what: str,
    size: int | str,
    timings: Mapping[str, Timing],
    ours: str,
    *,
    more: Mapping[str, Mapping[str, Figure]] | None = None,
    notes: Mapping[str, str] | None = None,
) -> Iterable[Row]:
    """A row for each variant in ``timings``; ``ours`` is the one that ratios are taken with."""
    for variant, timing in timings.items():
        yield Row(
            what=what,
            size=size,
            variant=variant,
            median=timing.median,
            p10=timing.p10,
            p90=timing.p90,
            ratio=timing.median / timings[ours].median,
            more=dict((more or {}).get(variant, {})),
            note=(notes or {}).get(variant, ""),
        )
