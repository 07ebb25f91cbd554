"""``contracts``: inputs, outputs and attributes of the ops."""

from __future__ import annotations

import argparse

from spit_edge.base.command_line import DONE
from spit_edge.base.contracts import CONTRACTS
from spit_edge.plugins.op_tables import contract_table, wide_console


def add_arguments(_: argparse.ArgumentParser) -> None:
    """There is nothing to choose."""


def run(_: argparse.Namespace) -> int:
    """Print a table for each op."""
    for contract in CONTRACTS:
        wide_console().print(contract_table(contract))
    return DONE
