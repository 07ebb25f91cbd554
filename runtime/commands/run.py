"""``run``: classify an image and draw its regions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from spit_edge.base.command_line import DONE
from spit_edge.base.progress import Steps
from spit_edge.base.ranges import COUNT
from spit_edge.base.text import shown
from spit_edge.runtime.classes import likeliest
from spit_edge.runtime.commands.options import add_session
from spit_edge.runtime.images import fit_image, load_image
from spit_edge.runtime.images.overlay import check_place, overlay, save_picture
from spit_edge.runtime.session import Output, Session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``run``."""
    add_session(parser)
    parser.add_argument(
        "image", type=Path, help="image file; scaled and cropped to the model's size"
    )
    parser.add_argument(
        "--overlay", type=Path, metavar="PNG", help="write a picture of the regions"
    )
    parser.add_argument(
        "--top", type=COUNT, default=5, metavar="N", help="classes to print [%(default)s]"
    )
    parser.add_argument(
        "--truncate", action="store_true", help="drop regions beyond the token budget"
    )


def run(options: argparse.Namespace) -> int:
    """Print the classes of the image; write the picture of its regions."""
    steps = Steps()
    if options.overlay is not None:
        check_place(options.overlay)
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
        print(f"picture: {shown(options.overlay)}")
    return DONE


def _print_classes(output: Output, top: int) -> None:
    for guess in likeliest(output.logits[0], top):
        print(f"{guess.share:7.2%}  {guess.name}")
    print(f"regions: {output.num_tokens[0]}")
