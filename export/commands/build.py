"""The command line of ``python -m export build``, as an argparse parser."""

from __future__ import annotations

import argparse
from pathlib import Path

from spit_edge.export.graph.model import EXTRA_OUTPUTS
from spit_edge.export.options import BuildOptions
from spit_edge.export.precision.plan import PlanError, read_plan
from spit_edge.runtime.bundle.manifest import PRECISIONS, BatchProfile, PrecisionPlan
from spit_edge.spit_ref import MODEL_NAMES


def add_build_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``build``."""
    parser.add_argument("--model", required=True, choices=MODEL_NAMES, metavar="NAME")
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument("--precision", choices=PRECISIONS, help="[fp32]")
    precision.add_argument(
        "--fp16", dest="precision", action="store_const", const="fp16", help="= --precision fp16"
    )
    parser.add_argument(
        "--precision-plan",
        type=_plan,
        metavar="FILE",
        help="what bisect wrote: matrix products that stay in fp32",
    )
    parser.add_argument(
        "--no-gradient", dest="gradient", action="store_false", help="1024 values per token"
    )
    parser.add_argument(
        "--weights",
        default="auto",
        help="a checkpoint's path, official, random, or auto: official if it can be had [auto]",
    )
    parser.add_argument("--seed", type=int, default=0, help="of random weights and regions [0]")
    parser.add_argument("--classes", type=int, help="outputs of the head [the model's]")
    parser.add_argument(
        "--image-size",
        type=image_size,
        default="224x224",
        metavar="HxW",
        help="static image size [224x224]",
    )
    parser.add_argument(
        "--batch",
        type=batch_profile,
        default="1:1:8",
        metavar="MIN:OPT:MAX",
        help="batch sizes to serve, and the one to tune for [1:1:8]",
    )
    parser.add_argument(
        "--max-tokens",
        type=_positive,
        metavar="T",
        help="token budget [1.6 per 16x16 pixels, rounded up to 64]",
    )
    parser.add_argument(
        "--outputs",
        type=_outputs,
        default=(),
        metavar="LIST",
        help=f"more outputs, of {','.join(EXTRA_OUTPUTS)}",
    )
    parser.add_argument(
        "--part", choices=("full", "trunk"), default="full", help="trunk: no tokenizer [full]"
    )
    parser.add_argument(
        "--tessellation",
        choices=("voronoi", "pca_tree"),
        default="voronoi",
        help="regions of the rvit models [voronoi]",
    )
    parser.add_argument(
        "--seed-input",
        action="store_true",
        help="take the seeds of random regions as an input: fresh ones for every image",
    )
    parser.add_argument(
        "--no-engine",
        dest="engine",
        action="store_false",
        help="build no TensorRT engine even where there is TensorRT and a GPU",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the bundle [build/MODEL-PRECISION]"
    )


def build_options(parsed: argparse.Namespace) -> BuildOptions:
    """The options a parsed command line stands for."""
    height, width = parsed.image_size
    return BuildOptions(
        model=parsed.model,
        gradient=parsed.gradient,
        precision=parsed.precision or "fp32",
        weights=parsed.weights,
        seed=parsed.seed,
        classes=parsed.classes,
        height=height,
        width=width,
        batch=parsed.batch,
        max_tokens=parsed.max_tokens,
        outputs=parsed.outputs,
        part=parsed.part,
        tessellation=parsed.tessellation,
        seed_input=parsed.seed_input,
        plan=parsed.precision_plan,
        out=parsed.out,
    )


def image_size(text: str) -> tuple[int, int]:
    """ "384x512" (height x width) or "384"."""
    parts = text.lower().split("x")
    if len(parts) not in (1, 2) or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write HxW, as in 384x512")
    return int(parts[0]), int(parts[-1])


def batch_profile(text: str) -> BatchProfile:
    """ "1:4:8" (min:opt:max) or "4"."""
    parts = text.split(":")
    if len(parts) not in (1, 3) or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is no batch: write MIN:OPT:MAX, as in 1:4:8")
    low, best, high = (int(part) for part in (parts if len(parts) == 3 else parts * 3))
    if not low <= best <= high:
        raise argparse.ArgumentTypeError(f"{text!r} does not rise: write MIN:OPT:MAX, as in 1:4:8")
    return BatchProfile(min=low, opt=best, max=high)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def _plan(text: str) -> PrecisionPlan:
    try:
        return read_plan(Path(text))
    except PlanError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _outputs(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if unknown := [name for name in names if name not in EXTRA_OUTPUTS]:
        raise argparse.ArgumentTypeError(
            f"there is no output {', '.join(unknown)}: choose of {', '.join(EXTRA_OUTPUTS)}"
        )
    return names
