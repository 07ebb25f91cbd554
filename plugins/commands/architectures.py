"""The option ``--arch``."""

from __future__ import annotations

import argparse

from spit_edge.plugins.cuda_build import ARCHITECTURES
from spit_edge.plugins.plugin_build import JETSONS


def add_architectures(parser: argparse.ArgumentParser) -> None:
    """Declare it."""
    parser.add_argument(
        "--arch",
        type=_architectures,
        default=JETSONS,
        metavar="SM,...",
        help="compute capabilities times ten, or 'all' [87,110]",
    )


def _architectures(text: str) -> tuple[int, ...]:
    if text == "all":
        return ARCHITECTURES
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"must be a list such as 87,110, not {text!r}")
    return tuple(dict.fromkeys(int(part) for part in parts))
