"""``python -m runtime``: run a bundle on images or a camera, check it, time it, build engines."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from spit_edge.base.command_line import DONE, FAILED, guarded
from spit_edge.base.errors import SpitError
from spit_edge.base.progress import Steps, console
from spit_edge.runtime.backends.backend import backend_names
from spit_edge.runtime.classes import class_name
from spit_edge.runtime.commands.bench import add_bench_arguments, bench_command
from spit_edge.runtime.commands.doctor import add_doctor_arguments, doctor_command
from spit_edge.runtime.commands.engine import add_engine_arguments, engine_command, engine_line
from spit_edge.runtime.commands.serve_camera import add_camera_arguments, camera_command
from spit_edge.runtime.parity.judge import all_passed
from spit_edge.runtime.parity.self_check import self_check
from spit_edge.runtime.parity.table import parity_table
from spit_edge.runtime.pictures.images import fit_image, load_image
from spit_edge.runtime.pictures.overlay import check_picture_place, overlay, save_picture
from spit_edge.runtime.session import Output, Session


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    options = _parser().parse_args(arguments)
    return guarded(lambda: int(options.command(options)), (SpitError,))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m runtime", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="classify an image and draw its regions")
    run.add_argument("bundle", type=Path, help="folder of an exported model")
    run.add_argument("image", type=Path, help="image file; scaled and cropped to the model's size")
    run.add_argument("--overlay", type=Path, metavar="PNG", help="write a picture of the regions")
    run.add_argument("--top", type=int, default=5, metavar="N", help="classes to print [5]")
    run.add_argument("--truncate", action="store_true", help="drop regions beyond the token budget")
    run.set_defaults(command=_run)

    check = commands.add_parser(
        "check", help="run the bundle's own images and compare with the reference's answers"
    )
    check.add_argument("bundle", type=Path, help="folder of an exported model")
    check.set_defaults(command=_check)

    engine = commands.add_parser("engine", help="build a TensorRT engine into a bundle")
    add_engine_arguments(engine)
    engine.set_defaults(command=_engine)

    bench = commands.add_parser(
        "bench", help="time a bundle here: latency, throughput, stages, memory, power"
    )
    add_bench_arguments(bench)
    bench.set_defaults(command=bench_command)

    camera = commands.add_parser(
        "serve-camera", help="run the frames of a camera, a video or a folder, for hours"
    )
    add_camera_arguments(camera)
    camera.set_defaults(command=camera_command)

    doctor = commands.add_parser(
        "doctor", help="what engines need, what there is of it here, and what to do"
    )
    add_doctor_arguments(doctor)
    doctor.set_defaults(command=doctor_command)

    for command in (run, check):
        command.add_argument(
            "--backend", default="auto", help=f"auto, {', '.join(backend_names())} [auto]"
        )
        command.add_argument("--threads", type=int, help="threads of one run [all cores]")
    return parser


def _run(options: argparse.Namespace) -> int:
    steps = Steps()
    if options.overlay is not None:
        check_picture_place(options.overlay)
    photograph = load_image(options.image)
    with steps.step("opening the bundle"):
        session = Session.open(options.bundle, options.backend, threads=options.threads)
    with session:
        manifest = session.bundle.manifest
        size = manifest.preprocessing
        image = fit_image(photograph, size.height, size.width)
        with steps.step(f"running on {session.backend}"):
            output = session.run(image, truncate=options.truncate)
        if manifest.weights.source == "random":
            print("warning: random weights, the classes mean nothing", file=sys.stderr)
        _print_classes(output, options.top)
    if options.overlay is not None:
        save_picture(overlay(image, output.labels[0]), options.overlay)
        print(f"picture: {options.overlay}")
    return DONE


def _print_classes(output: Output, top: int) -> None:
    logits = output.logits[0].astype(np.float64)
    shares = np.exp(logits - logits.max())
    shares /= shares.sum()
    for index in np.argsort(-shares, kind="stable")[: max(top, 0)]:
        print(f"{shares[index]:7.2%}  {class_name(int(index), len(shares))}")
    print(f"regions: {output.num_tokens[0]}")


def _check(options: argparse.Namespace) -> int:
    steps = Steps()
    with steps.step("opening the bundle"):
        session = Session.open(options.bundle, options.backend, threads=options.threads)
    with session:
        with steps.step(f"comparing on {session.backend}"):
            rows = self_check(session)
        console().print(parity_table(rows, f"{options.bundle} on {session.backend}"))
    return DONE if all_passed(rows) else FAILED


def _engine(options: argparse.Namespace) -> int:
    steps = Steps()
    stored = engine_command(options, steps)
    steps.console.print(engine_line(stored), markup=False, soft_wrap=True)
    print(stored.path)
    return DONE


if __name__ == "__main__":
    sys.exit(main())
