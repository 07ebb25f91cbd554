"""Tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from spit_edge.base.tables import new_table
from spit_edge.base.text import shown
from spit_edge.runtime.parity.judge import ImageParity


def parity_table(rows: Sequence[ImageParity], title: str) -> Table:
    """One line per image: what was compared, and which gates failed."""
    table = new_table(title)
    table.add_column("image", overflow="fold", min_width=8)
    for column in ("regions", "labels", "tokens", "1-cos", "error", "limit", "top-1"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("result", overflow="fold", min_width=6)
    for row in rows:
        table.add_row(
            Text(shown(row.image)),
            str(row.num_tokens),
            "equal" if row.differing_labels == 0 else f"{row.differing_labels} differ",
            "equal" if row.tokens_equal else "differ",
            f"{1.0 - row.cosine:.1e}",
            f"{row.error:.1e}",
            f"{row.error_limit:.1e}",
            _class(row),
            _verdict(row),
        )
    return table


def _class(row: ImageParity) -> str:
    return f"{row.top1}" if row.top1 == row.expected_top1 else f"{row.top1}!={row.expected_top1}"


def _verdict(row: ImageParity) -> Text:
    if row.passed:
        return Text("pass", style="green")
    return Text.assemble(("FAIL", "red"), f": {', '.join(row.failures)}")
