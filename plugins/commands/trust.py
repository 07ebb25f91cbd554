"""``trust``: let this machine run a library that lies in a bundle and was built elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path

from spit_edge.base.command_line import DONE
from spit_edge.base.files import file_sha256
from spit_edge.base.made_here import remember
from spit_edge.plugins.plugin_library import read_library


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``trust``."""
    parser.add_argument("library", type=Path, metavar="FILE", help="a plugin library")


def run(options: argparse.Namespace) -> int:
    """Remember the library by its hash."""
    remember(file_sha256(read_library(options.library).path)[0])
    return DONE
