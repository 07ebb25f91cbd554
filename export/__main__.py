"""``python -m export``: SPiT from PyTorch to ONNX bundles, and what is in them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from spit_edge.base.command_line import DONE, FAILED, NOT_DONE, guarded
from spit_edge.base.errors import SpitError
from spit_edge.base.install import pip_install
from spit_edge.base.progress import Steps, console
from spit_edge.runtime.backends.backend import backend_names
from spit_edge.runtime.commands.doctor import add_doctor_arguments, doctor_command
from spit_edge.runtime.parity.judge import ImageParity

# Before torch loads OpenMP: threads that spin while they wait make a busy machine far slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    try:
        parser = _parser()
    except ModuleNotFoundError as error:
        print(
            f"error: python -m export needs {error.name}: {pip_install('export')} "
            "(python -m runtime needs it not, and has a doctor, too)",
            file=sys.stderr,
        )
        return NOT_DONE
    options = parser.parse_args(arguments)
    from spit_edge.spit_ref import WeightsError

    return guarded(lambda: int(options.command(options)), (SpitError, WeightsError, ValueError))


def _parser() -> argparse.ArgumentParser:
    from spit_edge.export.commands.build import add_build_arguments
    from spit_edge.export.commands.deploy import add_deploy_commands

    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="export a model and check it; prints the folder")
    add_build_arguments(build)
    build.set_defaults(command=_build)

    validate = commands.add_parser("validate", help="compare a bundle with the reference")
    validate.add_argument("bundle", type=Path)
    validate.add_argument(
        "--images", type=Path, metavar="DIR", help="images to compare on [the bundle's own]"
    )
    validate.add_argument(
        "--backend", default="auto", help=f"auto, {', '.join(backend_names())} [auto]"
    )
    validate.add_argument(
        "--report", type=Path, metavar="HTML", help="write a page to look at, and JSON beside it"
    )
    validate.set_defaults(command=_validate)

    bisect = commands.add_parser(
        "bisect", help="find the matrix products that must stay in fp32 for the gates to hold"
    )
    bisect.add_argument("bundle", type=Path)
    for command in (validate, bisect):
        command.add_argument(
            "--weights",
            type=Path,
            metavar="PATH",
            help="the checkpoint that the bundle was built from [where it was at the build]",
        )
    bisect.add_argument(
        "--images", type=Path, metavar="DIR", help="images that must pass [the bundle's own]"
    )
    bisect.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the plan, for build --precision-plan [BUNDLE.plan.json]",
    )
    bisect.add_argument(
        "--trials", type=int, default=100, metavar="N", help="sets of products to try at most [100]"
    )
    bisect.set_defaults(command=_bisect)

    inspect = commands.add_parser("inspect", help="verify a bundle and say what is in it")
    inspect.add_argument("bundle", type=Path)
    inspect.set_defaults(command=_inspect)

    doctor = commands.add_parser(
        "doctor", help="what engines need, what there is of it here, and what to do"
    )
    add_doctor_arguments(doctor)
    doctor.set_defaults(command=doctor_command)

    add_deploy_commands(commands)

    models = commands.add_parser("list", help="the models, their sizes, weights at hand")
    models.set_defaults(command=_list)
    return parser


def _build(options: argparse.Namespace) -> int:
    from spit_edge.export.build import build
    from spit_edge.export.commands.build import build_options
    from spit_edge.runtime.commands.engine import engine_if_possible
    from spit_edge.runtime.parity.table import parity_table

    steps = Steps()
    built = build(build_options(options), steps)
    for backend, rows in built.parity.items():
        steps.console.print(parity_table(rows, f"{built.path} on {backend}"))
    print(built.path, flush=True)
    if options.engine:
        engine_if_possible(built.path, steps)
    return DONE if built.passed else FAILED


def _validate(options: argparse.Namespace) -> int:
    from spit_edge.runtime.parity.judge import all_passed
    from spit_edge.runtime.parity.table import parity_table

    backend, rows = _judged(options)
    console().print(parity_table(rows, f"{options.bundle} on {backend}"))
    return DONE if all_passed(rows) else FAILED


def _judged(options: argparse.Namespace) -> tuple[str, list[ImageParity]]:
    """What ``validate`` finds; with a report, which needs more packages, if asked for."""
    steps = Steps()
    wanted = {"images": options.images, "backend": options.backend, "weights": options.weights}
    if options.report is None:
        from spit_edge.export.validate import validate

        return validate(options.bundle, steps, **wanted)
    from spit_edge.export.report.writing import write_report

    return write_report(options.bundle, options.report, steps, **wanted)


def _bisect(options: argparse.Namespace) -> int:
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
        print(f"the gates hold: no matrix product of {options.bundle} has to change")
        return DONE
    write_plan(found.plan, out)
    console().print(plan_table(found.plan, found.errors))
    if not found.minimal:
        advice = ": raise --trials" if found.trials >= options.trials else ""
        print(f"{found.trials} trials do not tell whether less would do{advice}")
    print(f"{out}: build again with --precision-plan {out}")
    return DONE


def _inspect(options: argparse.Namespace) -> int:
    from spit_edge.export.inspection import inspect_bundle

    inspect_bundle(options.bundle, console())
    return DONE


def _list(_: argparse.Namespace) -> int:
    from spit_edge.export.commands.models import model_table

    console().print(model_table())
    return DONE


if __name__ == "__main__":
    sys.exit(main())
