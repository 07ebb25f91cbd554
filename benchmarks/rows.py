"""What a suite measures, row by row: tables, JSON and plots are made of nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from benchmarks.timing import Timing

Figure = float | int | str


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
