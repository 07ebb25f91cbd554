"""``contracts``: inputs, outputs and attributes of the ops."""

from __future__ import annotations

import argparse

from spit_edge.base.command_line import DONE
from spit_edge.plugins.contract_tables import cpp_tables
from spit_edge.plugins.contracts import CONTRACTS
from spit_edge.plugins.op_tables import contract_table, wide_console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``contracts``."""
    parser.add_argument(
        "--cpp", action="store_true", help="as the header that the TensorRT plugins include"
    )


def run(options: argparse.Namespace) -> int:
    """Print a table for each op, or the header."""
    if options.cpp:
        print(cpp_tables(), end="")
        return DONE
    for contract in CONTRACTS:
        wide_console().print(contract_table(contract))
    return DONE
