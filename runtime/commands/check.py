"""``check``: a bundle's own images against the reference's answers that came along."""

from __future__ import annotations

import argparse

from spit_edge.base.command_line import DONE, FAILED
from spit_edge.base.progress import Steps, console
from spit_edge.runtime.commands.options import add_session
from spit_edge.runtime.parity.judge import all_passed
from spit_edge.runtime.parity.self_check import self_check
from spit_edge.runtime.parity.table import parity_table
from spit_edge.runtime.session import Session

add_arguments = add_session


def run(options: argparse.Namespace) -> int:
    """Print the table; FAILED if a row of it fails."""
    steps = Steps()
    with steps.step("opening the bundle"):
        session = Session.open(options.bundle, options.backend, threads=options.threads)
    with session:
        with steps.step(f"comparing on {session.backend}"):
            rows = self_check(session)
        console().print(parity_table(rows, f"{options.bundle} on {session.backend}"))
    return DONE if all_passed(rows) else FAILED
