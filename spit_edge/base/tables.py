"""Tables on a terminal: all of one make."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from spit_edge.base.text import shown


def new_table(title: str | None = None, *, header: bool = True) -> Table:
    """An empty one, with a line below its header, if it has one, and no frame."""
    return Table(
        title=None if title is None else Text(shown(title)),
        title_justify="left",
        show_header=header,
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
