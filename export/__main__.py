"""``python -m export``: SPiT from PyTorch to ONNX bundles, and from there to devices."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from spit_edge.base.command_line import run_command_line
from spit_edge.export.commands import COMMANDS
from spit_edge.runtime.commands import DOCTOR


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    about = "SPiT from PyTorch to ONNX bundles, and from there to devices."
    return run_command_line(f"python -m {__package__}", about, (*COMMANDS, DOCTOR), arguments)


if __name__ == "__main__":
    sys.exit(main())
