"""``inspect``: verify a bundle and say what is in it."""

from __future__ import annotations

import argparse

from spit_edge.base.command_line import DONE
from spit_edge.base.progress import console
from spit_edge.export.inspection import inspect_bundle
from spit_edge.runtime.commands.options import add_bundle

add_arguments = add_bundle


def run(options: argparse.Namespace) -> int:
    """Print the table."""
    inspect_bundle(options.bundle, console())
    return DONE
