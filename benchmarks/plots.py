"""Results as a drawing: a panel for each thing, lines over sizes or bars."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.result_tables import shortened
from benchmarks.results import Result
from benchmarks.suite import Row
from spit_edge.base.files import whole_file

OURS, PEERS = "#76b900", ("#4c72b0", "#dd8452", "#8172b3", "#937860", "#da8bc3", "#64b5cd",
                          "#c44e52", "#8c8c8c")  # fmt: skip
MARKERS = "osv^D<>ph"


def draw(result: Result, path: Path) -> bool:
    """Write the plot to ``path`` (SVG or PNG); False, and nothing written, without any figure.

    Raises ImportError without matplotlib (extra ``bench``).
    """
    panels = _panels(result)
    if not panels:
        return False
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    # Text as text: small files that can be searched; and no dates or random ids in them.
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": result.suite, "font.size": 8}
    with matplotlib.rc_context(settings):
        columns = min(len(panels), 2)
        lines = -(-len(panels) // columns)
        if result.chart.kind == "lines":
            width, heights = 6.4, [3.6] * lines
        else:
            width, bars = 4.7, [len(rows) for rows in panels.values()]
            heights = [
                0.7 + 0.24 * max(bars[i * columns : (i + 1) * columns]) for i in range(lines)
            ]
        figure, axes = pyplot.subplots(
            lines, columns, figsize=(width * columns, sum(heights)), squeeze=False,
            gridspec_kw={"height_ratios": heights}, layout="constrained",
        )  # fmt: skip
        for axis in axes.flat[len(panels) :]:
            axis.set_axis_off()
        for axis, (title, rows) in zip(axes.flat, panels.items(), strict=False):
            axis.set_title(title, loc="left", fontsize=9, fontweight="bold")
            (_lines if result.chart.kind == "lines" else _bars)(axis, rows, result)
            axis.spines[["top", "right"]].set_visible(False)
        kind = path.suffix.removeprefix(".")
        with whole_file(path) as stream:
            figure.savefig(stream, format=kind, metadata={"Date": None} if kind == "svg" else None)
        pyplot.close(figure)
    return True


def _panels(result: Result) -> dict[str, list[Row]]:
    """Rows that have the plotted figure, by what is written above them."""
    found: dict[str, list[Row]] = {}
    for row in result.rows:
        if _value(row, result) is not None:
            title = row.what if result.chart.kind == "lines" else f"{row.what}, {row.size}"
            found.setdefault(title, []).append(row)
    return found


def _value(row: Row, result: Result) -> float | None:
    key = result.chart.value
    figure = row.median if key == "median" else row.more.get(key)
    return None if figure is None or isinstance(figure, str) else float(figure)


def _lines(axis: Any, rows: Sequence[Row], result: Result) -> None:
    colours = _colours([row.variant for row in rows])
    for number, (variant, colour) in enumerate(colours.items()):
        mine = [row for row in rows if row.variant == variant]
        sizes = [int(row.size) for row in mine]
        values = [_value(row, result) or 0.0 for row in mine]
        ours = variant.startswith("ours")
        axis.plot(
            sizes, values, label=variant, color=colour, marker=MARKERS[number % len(MARKERS)],
            markersize=4, linewidth=2.2 if ours else 1.2, linestyle=_style(variant),
        )  # fmt: skip
        if all(row.p10 is not None and row.p90 is not None for row in mine):
            low, high = [row.p10 or 0.0 for row in mine], [row.p90 or 0.0 for row in mine]
            axis.fill_between(sizes, low, high, color=colour, alpha=0.15, linewidth=0)
    ticks = sorted({int(row.size) for row in rows})
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xticks(ticks, [f"{side}²" for side in ticks])
    axis.set_xticks([], minor=True)
    axis.set_ylabel(result.chart.label)
    axis.grid(alpha=0.25)
    axis.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _bars(axis: Any, rows: Sequence[Row], result: Result) -> None:
    values = [_value(row, result) or 0.0 for row in rows]
    colours = [OURS if row.variant.startswith("ours") else PEERS[0] for row in rows]
    places = range(len(rows))
    spread = None
    if result.chart.value == "median":
        low = [value - (row.p10 or value) for row, value in zip(rows, values, strict=True)]
        high = [(row.p90 or value) - value for row, value in zip(rows, values, strict=True)]
        spread = [low, high]
    bars = axis.barh(
        places, values, xerr=spread, color=colours, height=0.7, ecolor="#444444", capsize=2
    )
    axis.bar_label(bars, fmt=shortened, padding=4, fontsize=7)  # behind the spread
    axis.set_yticks(places, [row.variant for row in rows])
    axis.invert_yaxis()
    axis.margins(x=0.18)
    if result.chart.logarithmic:
        axis.set_xscale("log")
    axis.set_xlabel(result.chart.label)


def _colours(variants: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for variant in variants:
        if variant not in found:
            taken = sum(colour != OURS for colour in found.values())
            found[variant] = OURS if variant.startswith("ours") else PEERS[taken % len(PEERS)]
    return found


def _style(variant: str) -> str:
    return "--" if variant.startswith("ours") and "1 thread" in variant else "-"
