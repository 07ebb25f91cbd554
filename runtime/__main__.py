"""``python -m runtime``: run a bundle on images or a camera, check it, time it, build engines."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from spit_edge.base.command_line import run_command_line
from spit_edge.runtime.commands import COMMANDS


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    about = "Run a bundle on images or a camera, check it, time it, build engines."
    return run_command_line(f"python -m {__package__}", about, COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main())
