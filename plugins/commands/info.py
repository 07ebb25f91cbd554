"""``info``: what a plugin library is and what it is for."""

from __future__ import annotations

import argparse
from pathlib import Path

from spit_edge.base.command_line import DONE
from spit_edge.plugins.plugin_library import read_library


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``info``."""
    parser.add_argument("library", type=Path, metavar="FILE", help="a plugin library")


def run(options: argparse.Namespace) -> int:
    """Print the library's facts."""
    library = read_library(options.library)
    print(f"version        {library.version}")
    print(f"variant        {library.variant}")
    print(f"machine        {library.machine}")
    print(f"CUDA           {library.cuda_version}")
    print(f"TensorRT       {library.tensorrt} (headers)")
    print(f"architectures  {', '.join(f'sm_{a}' for a in library.architectures)}")
    contracts = ", ".join(f"{op} v{version}" for op, version in library.contracts.items())
    print(f"contracts      {contracts}")
    return DONE
