"""``pack``: write what deploy would send to a tar file."""

from __future__ import annotations

import argparse
from pathlib import Path

from spit_edge.base.command_line import DONE
from spit_edge.base.files import check_writable
from spit_edge.base.progress import Steps
from spit_edge.export.commands.deployment import add_package_options, packed
from spit_edge.export.deploy.package import write_archive
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.commands.options import add_bundle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``pack``."""
    add_bundle(parser)
    parser.add_argument("--out", type=Path, metavar="TAR", help="[BUNDLE.tar]")
    add_package_options(parser)


def run(options: argparse.Namespace) -> int:
    """Write the file and print its path."""
    place = options.bundle.resolve()
    out: Path = options.out or place.with_name(f"{place.name}.tar")
    check_writable(out)
    steps = Steps()
    with steps.step("opening the bundle"):
        bundle = Bundle.open(options.bundle)
    with packed(bundle, options) as package:
        with steps.step(f"writing {out}"):
            write_archive(package, out)
        steps.line(f"release {package.release}, {len(package.files)} files")
    print(out)
    return DONE
