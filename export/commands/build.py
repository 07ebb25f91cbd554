"""``build``: export a model and check it."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from spit_edge.base.command_line import DONE, FAILED
from spit_edge.base.contracts import ContractError
from spit_edge.base.progress import Steps
from spit_edge.base.ranges import BATCH, CLASSES, SEED, TOKENS, image_size
from spit_edge.export.options import (
    EXTRA_OUTPUTS,
    PARTS,
    TESSELLATIONS,
    BuildOptions,
    checked_threshold,
)
from spit_edge.runtime.bundle.manifest import PRECISIONS, BatchProfile, PrecisionPlan
from spit_edge.spit_ref.zoo import MODEL_NAMES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``build``; those that are not given are not set."""
    usual = BuildOptions(MODEL_NAMES[0])
    add = parser.add_argument
    add(
        "--model",
        required=True,
        choices=MODEL_NAMES,
        metavar="NAME",
        help="model to export; list shows them all",
    )
    # --fp16 is a word for one of its values, so that there is nothing to be said twice.
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument(
        "--precision", choices=PRECISIONS, help=f"precision of the trunk [{usual.precision}]"
    )
    precision.add_argument(
        "--fp16",
        dest="precision",
        action="store_const",
        const="fp16",
        help="same as --precision fp16",
    )
    add(
        "--precision-plan",
        dest="plan",
        type=_plan,
        metavar="FILE",
        help="plan written by bisect: the matrix products that stay in fp32",
    )
    add(
        "--no-gradient",
        dest="gradient",
        action="store_false",
        help="leave out gradient features: 1024 values per token, not 1280",
    )
    add(
        "--weights",
        help="path of a checkpoint, official, random, or auto: official if available, else random "
        f"[{usual.weights}]",
    )
    add(
        "--seed", type=SEED, metavar="N", help=f"seed for random weights and regions [{usual.seed}]"
    )
    add("--classes", type=CLASSES, metavar="N", help="number of classes [the model's]")
    add(
        "--image-size",
        type=image_size,
        metavar="HxW",
        help=f"size of images, fixed in the graph [{usual.size}]",
    )
    add(
        "--batch",
        type=batch_profile,
        metavar="MIN:OPT:MAX",
        help="batch sizes to serve, and the one to tune for "
        f"[{usual.batch.min}:{usual.batch.opt}:{usual.batch.max}]",
    )
    add(
        "--max-tokens",
        type=TOKENS,
        metavar="T",
        help="token budget [1.6 per 16x16 pixels, rounded up to a multiple of 64]",
    )
    add(
        "--outputs",
        type=_outputs,
        metavar="LIST",
        help=f"extra outputs, separated by commas: {','.join(EXTRA_OUTPUTS)}",
    )
    add("--part", choices=PARTS, help=f"trunk: without the tokenizer [{usual.part}]")
    _add_region_arguments(parser, usual)
    add(
        "--no-engine",
        dest="engine",
        action="store_false",
        help="do not build a TensorRT engine, even where that is possible",
    )
    add("--out", type=Path, metavar="DIR", help="folder of the bundle [build/MODEL-PRECISION]")
    parser.set_defaults(**dict.fromkeys((field.name for field in fields(BuildOptions)), None))


def _add_region_arguments(parser: argparse.ArgumentParser, usual: BuildOptions) -> None:
    parser.add_argument(
        "--tessellation",
        choices=TESSELLATIONS,
        help=f"regions of the rvit models [{usual.tessellation}]",
    )
    parser.add_argument(
        "--seed-input",
        action="store_true",
        help="make the seeds of random regions an input, so that every image can have its own",
    )
    parser.add_argument(
        "--final-threshold",
        type=_threshold,
        metavar="X",
        help="finally join neighbouring superpixels whose features differ by less than X, up to 8 "
        f"[{usual.final_threshold:g}: join none]",
    )


def run(options: argparse.Namespace) -> int:
    """Build, print the tables and the folder, and build an engine where that is possible."""
    from spit_edge.export.build import build
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


def build_options(parsed: argparse.Namespace) -> BuildOptions:
    """What a parsed command line asks for; the rest is as BuildOptions has it."""
    given = vars(parsed)
    if parsed.image_size is not None:
        given = given | dict(zip(("height", "width"), parsed.image_size, strict=True))
    names = [field.name for field in fields(BuildOptions) if given[field.name] is not None]
    return BuildOptions(**{name: given[name] for name in names})


def batch_profile(text: str) -> BatchProfile:
    """ "1:4:8" (min:opt:max) or "4"."""
    parts = text.split(":")
    if len(parts) not in (1, 3):
        raise argparse.ArgumentTypeError(f"must be MIN:OPT:MAX, as in 1:4:8, not {text!r}")
    low, best, high = (BATCH(part) for part in (parts if len(parts) == 3 else parts * 3))
    if not low <= best <= high:
        raise argparse.ArgumentTypeError(
            f"must be MIN:OPT:MAX in rising order, as in 1:4:8, not {text!r}"
        )
    return BatchProfile(min=low, opt=best, max=high)


def _threshold(text: str) -> float:
    try:
        return checked_threshold(float(text))
    except ContractError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, not {text!r}") from None


def _plan(text: str) -> PrecisionPlan:
    from spit_edge.export.precision.plan import PlanError, read_plan

    try:
        return read_plan(Path(text))
    except PlanError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _outputs(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if unknown := [name for name in names if name not in EXTRA_OUTPUTS]:
        raise argparse.ArgumentTypeError(
            f"there is no output {', '.join(unknown)}: choose from {', '.join(EXTRA_OUTPUTS)}"
        )
    return names


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Declare ``--weights`` of the commands that need what a bundle was built from."""
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="PATH",
        help="checkpoint that the bundle was built from [the one in its manifest, if you built "
        "from it on this machine]",
    )
