"""Results as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from benchmarks.results import Result
from benchmarks.rows import Figure, Row


def headline(result: Result) -> str:
    """Where, when and how the figures were taken."""
    m, company = result.machine, result.company
    place = f"{m.cpu} ({m.architecture}), {m.cores} cores, {m.gpu or 'no GPU'}"
    others = "an unknown number of" if company.others is None else f"{company.others:.2f}"
    state = "idle machine" if company.quiet else "LOADED MACHINE"
    return (
        f"{result.suite}: {result.title}\n{place}; {result.threads} threads, medians of "
        f"{result.rounds} rounds in turn; {result.date}, commit {result.commit[:12] or 'unknown'}\n"
        f"{state}: load {company.load_before:.2f} to {company.load_after:.2f}, "
        f"others used {others} cores meanwhile"
    )


def tables(result: Result) -> Iterator[Table]:
    """A table for each thing that was measured."""
    for what in dict.fromkeys(row.what for row in result.rows):
        yield _table(what, [row for row in result.rows if row.what == what])


def _table(what: str, rows: Sequence[Row]) -> Table:
    table = Table(title=what, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    extra = list(dict.fromkeys(name for row in rows for name in row.more))
    measured = any(row.median is not None for row in rows)
    noted = any(row.note for row in rows)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("variant", overflow="fold")
    for column in (["ms", "p10", "p90", "ratio"] if measured else []) + extra:
        table.add_column(column, justify="right", overflow="fold")
    if noted:
        table.add_column("", overflow="fold", max_width=40)
    shown: int | str = ""
    for row in rows:
        cells = [str(row.size) if row.size != shown else "", row.variant]
        if measured:
            cells += [shortened(n) for n in (row.median, row.p10, row.p90)]
            cells.append("" if row.ratio is None else f"{row.ratio:.2f}")
        cells += [shortened(row.more.get(name)) for name in extra]
        # As text: brackets in a reason are no markup.
        table.add_row(*(Text(cell) for cell in [*cells, *([row.note] if noted else [])]))
        shown = row.size
    return table


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
