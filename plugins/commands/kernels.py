"""``kernels``: what the CUDA kernels need, as the compiler says it."""

from __future__ import annotations

import argparse
from pathlib import Path

from spit_edge.base.command_line import DONE
from spit_edge.plugins.architectures import JETSONS
from spit_edge.plugins.commands.architectures import add_architectures
from spit_edge.plugins.op_tables import print_kernels, wide_console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``kernels``."""
    parser.add_argument(
        "--nvcc", type=Path, metavar="FILE", help="path of nvcc [found automatically]"
    )
    add_architectures(parser, JETSONS, "87,110")


def run(options: argparse.Namespace) -> int:
    """Compile them and print the tables."""
    print_kernels(wide_console(), options.arch, options.nvcc)
    return DONE
