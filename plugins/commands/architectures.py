"""The option ``--arch``."""

from __future__ import annotations

import argparse

from spit_edge.plugins.cuda_build import ARCHITECTURES


def add_architectures(
    parser: argparse.ArgumentParser, default: tuple[int, ...] | None, shown: str
) -> None:
    """Declare it; ``shown`` tells what the default is."""
    parser.add_argument(
        "--arch",
        type=_architectures,
        default=default,
        metavar="SM,...",
        help=f"compute capabilities times ten, or 'all' [{shown}]",
    )


def _architectures(text: str) -> tuple[int, ...]:
    if text == "all":
        return ARCHITECTURES
    parts = text.split(",")
    if not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"must be a list such as 87,110, not {text!r}")
    return tuple(dict.fromkeys(int(part) for part in parts))
