"""``validate``: compare a bundle with the reference."""

from __future__ import annotations

import argparse
from pathlib import Path

from spit_edge.base.command_line import DONE, FAILED
from spit_edge.base.progress import Steps, console
from spit_edge.export.commands.build import add_weights
from spit_edge.runtime.commands.options import add_backend, add_bundle
from spit_edge.runtime.parity.judge import ImageParity, all_passed
from spit_edge.runtime.parity.table import parity_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``validate``."""
    add_bundle(parser)
    add_backend(parser)
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="images to compare on [the bundle's own]"
    )
    add_weights(parser)
    parser.add_argument(
        "--report",
        type=Path,
        metavar="HTML",
        help="write the comparison as a web page, with a JSON file beside it",
    )


def run(options: argparse.Namespace) -> int:
    """Print the table; FAILED if a row of it fails."""
    backend, rows = _judged(options)
    console().print(parity_table(rows, f"{options.bundle} on {backend}"))
    return DONE if all_passed(rows) else FAILED


def _judged(options: argparse.Namespace) -> tuple[str, list[ImageParity]]:
    """What ``validate`` finds; with a report, which needs more packages, if asked for."""
    steps = Steps()
    wanted = {"images": options.images, "backend": options.backend, "weights": options.weights}
    if options.report is None:
        from spit_edge.export.validate import validate

        return validate(options.bundle, steps, **wanted)
    from spit_edge.export.report.writing import write_report

    return write_report(options.bundle, options.report, steps, **wanted)
