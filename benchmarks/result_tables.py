"""Results as tables: on a terminal, and in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from benchmarks.results import Result
from benchmarks.suite import Figure, Row
from spit_edge.base.tables import new_table

NOTE_WIDTH = 40
_LEFT = ("variant", "from", "")


@dataclass(frozen=True)
class Cells:
    """A table of text: what it is about, columns, and lines of as many cells."""

    title: str
    columns: list[str]
    lines: list[list[str]]


def headline(result: Result) -> list[str]:
    """Where, when and how the figures were taken."""
    m, company = result.machine, result.company
    place = f"{m.cpu} ({m.architecture}), {m.cores} cores, {m.gpu or 'no GPU'}"
    others = "an unknown number of" if company.others is None else f"{company.others:.2f}"
    state = "idle machine" if company.quiet else "LOADED MACHINE"
    return [
        f"{result.suite}: {result.title}",
        f"{place}; {result.threads} threads, medians of {result.rounds} rounds in turn; "
        f"{result.date}, commit {_short(result.commit)}",
        f"{state}: load {company.load_before:.2f} to {company.load_after:.2f}, others used "
        f"{others} cores meanwhile",
    ]


def _short(commit: str) -> str:
    """The + of sources that differ from it stays."""
    return commit[:12] + "+" * commit.endswith("+") or "unknown"


def cells(result: Result) -> Iterator[Cells]:
    """A table for each thing that was measured."""
    for what in dict.fromkeys(row.what for row in result.rows):
        yield _cells(what, [row for row in result.rows if row.what == what])


def _cells(what: str, rows: Sequence[Row]) -> Cells:
    extra = list(dict.fromkeys(name for row in rows for name in row.more))
    timed = ["ms", "p10", "p90", "ratio"] if any(row.median is not None for row in rows) else []
    noted = [""] if any(row.note for row in rows) else []
    lines = []
    shown: int | str = ""
    for row in rows:
        line = [str(row.size) if row.size != shown else "", row.variant]
        if timed:
            line += [shortened(figure) for figure in (row.median, row.p10, row.p90)]
            line.append("" if row.ratio is None else f"{row.ratio:.2f}")
        line += [shortened(row.more.get(name)) for name in extra]
        lines.append([*line, *([row.note] if noted else [])])
        shown = row.size
    return Cells(what, ["size", "variant", *timed, *extra, *noted], lines)


def tables(result: Result) -> Iterator[Table]:
    """For a terminal."""
    for made in cells(result):
        table = new_table(made.title)
        for column in made.columns:
            table.add_column(
                column,
                justify="left" if column in _LEFT else "right",
                overflow="fold",
                max_width=NOTE_WIDTH if not column else None,
            )
        for line in made.lines:
            # As text: brackets in a reason are no markup.
            table.add_row(*(Text(cell) for cell in line))
        yield table


def markdown(result: Result, plot: str | None) -> str:
    """A section with all tables, and the ``plot`` beside the file if there is one."""
    title, *rest = headline(result)
    parts = [f"## {title.replace('_', ' ')}", ". ".join(rest) + f". `{result.command}`"]
    if plot:
        parts.append(f"![{result.title}]({plot})")
    for made in cells(result):
        rule = [":--" if column in _LEFT else "--:" for column in made.columns]
        lines = [made.columns, rule, *made.lines]
        table = "\n".join("| " + " | ".join(_escaped(line)) + " |" for line in lines)
        parts.append(f"**{made.title}**\n\n{table}")
    return "\n\n".join([*parts, *result.notes]) + "\n"


def _escaped(line: Sequence[str]) -> list[str]:
    return [cell.replace("|", "\\|").replace("<", "&lt;").replace("_", "\\_") for cell in line]


def shortened(figure: Figure | None) -> str:
    """Three digits or more, as people write numbers; nothing for None."""
    if figure is None or isinstance(figure, str):
        return figure or ""
    size = abs(figure)
    if isinstance(figure, int) or size >= 1000:
        return f"{figure:,.0f}"
    if size and size < 0.001:
        return f"{figure:.1e}"
    return f"{figure:.{1 if size >= 100 else 2 if size >= 1 else 3}f}"
