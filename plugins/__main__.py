"""``python -m plugins``: the ops' contracts, CUDA kernels and TensorRT plugin library."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from spit_edge.base.command_line import run_command_line
from spit_edge.plugins.commands import COMMANDS


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    about = "The ops' contracts, CUDA kernels and TensorRT plugin library."
    return run_command_line(f"python -m {__package__}", about, COMMANDS, arguments)


if __name__ == "__main__":
    sys.exit(main())
