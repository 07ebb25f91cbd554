"""``bisect``: find the matrix products that must stay in fp32."""

from __future__ import annotations

import argparse
from pathlib import Path

from spit_edge.base.command_line import DONE
from spit_edge.base.progress import Steps, console
from spit_edge.base.ranges import Whole
from spit_edge.export.commands.build import add_weights
from spit_edge.runtime.commands.options import add_bundle

TRIALS = Whole(2)
"""Nothing and everything in fp32 are the least."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``bisect``."""
    add_bundle(parser)
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="images that must pass [the bundle's own]"
    )
    add_weights(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the plan, for build --precision-plan [BUNDLE.plan.json]",
    )
    parser.add_argument(
        "--trials",
        type=TRIALS,
        default=100,
        metavar="N",
        help="try at most N sets of products [%(default)s]",
    )


def run(options: argparse.Namespace) -> int:
    """Print what was found and write the plan."""
    from spit_edge.export.precision.bisect import bisect, plan_table
    from spit_edge.export.precision.plan import check_plan_place, write_plan

    place = options.bundle.resolve()
    out = options.out or place.with_name(f"{place.name}.plan.json")
    check_plan_place(out, chosen=options.out is not None)
    found = bisect(
        options.bundle,
        Steps(),
        images=options.images,
        limit=options.trials,
        weights=options.weights,
    )
    if found.plan is None:
        print(f"{options.bundle} passes: no matrix product has to change")
        return DONE
    write_plan(found.plan, out)
    console().print(plan_table(found.plan, found.errors))
    if not found.minimal:
        advice = ": raise --trials" if found.trials >= options.trials else ""
        print(f"{found.trials} trials were too few to tell whether fewer products would do{advice}")
    print(f"{out}: build again with --precision-plan {out}")
    return DONE
