"""``completion``: what lets a shell complete the commands, their options and files."""

from __future__ import annotations

import argparse
from pathlib import Path

import shtab

from spit_edge.base.command_line import DONE, command_parser, declare_all
from spit_edge.commands import ABOUT, COMMANDS, PROG

SHELLS = ("bash", "zsh", "tcsh")
"""Of those that shtab knows; tcsh gets the commands without their options."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``shell``."""
    parser.add_argument(
        "shell",
        choices=SHELLS,
        help='put eval "$(spit-edge completion bash)" into ~/.bashrc, for example',
    )


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    parser = command_parser(PROG, ABOUT, COMMANDS)
    for inner in declare_all(parser):
        for action in inner._actions:
            if action.type is Path:
                action.complete = shtab.FILE  # type: ignore[attr-defined]  # as shtab reads it
    print(shtab.complete(parser, options.shell))
    return DONE
