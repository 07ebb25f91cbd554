"""The options that commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

from spit_edge.base.ranges import THREADS
from spit_edge.runtime.backends.registry import backend_names


def add_bundle(parser: argparse.ArgumentParser) -> None:
    """Declare ``bundle``."""
    parser.add_argument("bundle", type=Path, help="folder of an exported model")


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Declare ``--backend``."""
    parser.add_argument(
        "--backend",
        default="auto",
        metavar="NAME",
        help=f"back end: auto, {', '.join(backend_names())} [auto]",
    )


def add_session(parser: argparse.ArgumentParser) -> None:
    """Declare what a session is opened with: ``bundle``, ``--backend`` and ``--threads``."""
    add_bundle(parser)
    add_backend(parser)
    parser.add_argument(
        "--threads", type=THREADS, metavar="N", help="threads for one run, 1...256 [all cores]"
    )
