"""``spit-edge``, or ``python -m spit_edge``: all commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from spit_edge.base.command_line import run_command_line
from spit_edge.commands import ABOUT, COMMANDS, PROG


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return run_command_line(PROG, ABOUT, COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main())
