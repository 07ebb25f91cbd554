"""``engine``: build a TensorRT engine into a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path

from spit_edge.base.command_line import DONE
from spit_edge.base.progress import Steps
from spit_edge.base.sizes import size_text
from spit_edge.base.text import shown
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.bundle.manifest import Part
from spit_edge.runtime.commands.options import add_bundle
from spit_edge.runtime.cuda.gpu import current_gpu
from spit_edge.runtime.engines.build import EngineOrder, build_engine, ensure_engine, target_gpu
from spit_edge.runtime.engines.flavour import FLAVOURS, Flavour, find_flavour
from spit_edge.runtime.engines.plugin_libraries import PluginMissing
from spit_edge.runtime.engines.record import Choices
from spit_edge.runtime.engines.store import StoredEngine
from spit_edge.runtime.errors import BackendUnavailable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``engine``."""
    add_bundle(parser)
    parser.add_argument(
        "--part",
        choices=("full", "trunk"),
        help="full: from images on, with the plugin library; trunk: from tokens on "
        "[full with TensorRT, trunk with TensorRT-RTX]",
    )
    parser.add_argument(
        "--flavour", choices=FLAVOURS, help="which TensorRT [the first of these that is installed]"
    )
    parser.add_argument(
        "--compute-capability",
        type=_capabilities,
        default=(),
        metavar="SM,...",
        help="TensorRT-RTX: one engine for these GPUs, such as 86,89,120, built without a GPU "
        "[this GPU]",
    )
    parser.add_argument(
        "--optimization-level",
        type=int,
        choices=range(6),
        default=Choices().optimization_level,
        metavar="0...5",
        help="how long to look for faster kernels [3]",
    )
    parser.add_argument(
        "--version-compatible",
        action="store_true",
        help="TensorRT: also for later versions with the same major number",
    )
    parser.add_argument(
        "--hardware-compatible",
        action="store_true",
        help="TensorRT: for all GPUs from SM 80 on; not on a Jetson",
    )
    parser.add_argument(
        "--plugins",
        type=Path,
        action="append",
        default=[],
        metavar="LIB",
        help="plugin library to load [BUNDLE/plugins/*.so, or the installed one]",
    )
    parser.add_argument(
        "--rebuild", action="store_true", help="build even if an engine that fits exists"
    )
    parser.add_argument("--verbose", action="store_true", help="show all of TensorRT's messages")


def run(options: argparse.Namespace) -> int:
    """Build the engine, unless there is one that fits; print its path."""
    steps = Steps()
    stored = wanted_engine(options, steps)
    _say(steps, engine_line(stored))
    print(stored.path)
    return DONE


def wanted_engine(options: argparse.Namespace, steps: Steps) -> StoredEngine:
    """The engine asked for, built unless there is one that fits.

    Raises EngineError, BundleError or BackendUnavailable.
    """
    flavour = find_flavour(
        options.flavour or ("tensorrt-rtx" if options.compute_capability else "auto")
    )
    with steps.step("opening the bundle"):
        bundle = Bundle.open(options.bundle)
    order = EngineOrder(
        bundle=bundle,
        part=options.part or _usual_part(bundle, flavour),
        flavour=flavour,
        choices=Choices(
            optimization_level=options.optimization_level,
            version_compatible=options.version_compatible,
            hardware_compatible=options.hardware_compatible,
        ),
        capabilities=options.compute_capability,
        plugins=tuple(options.plugins),
        verbose=options.verbose,
    )
    if options.rebuild:
        return build_engine(order, target_gpu(order), steps)
    return ensure_engine(order, steps)


def engine_if_possible(path: Path, steps: Steps) -> StoredEngine | None:
    """Build the usual engine of a fresh bundle where there is TensorRT and a GPU.

    Elsewhere one line says why there is none, and the command that builds it on the device.
    Raises EngineError where TensorRT fails.
    """
    try:
        flavour, gpu = find_flavour(), current_gpu()
        bundle = Bundle.open(path, verify=False)
        order = EngineOrder(bundle=bundle, part=_usual_part(bundle, flavour), flavour=flavour)
        return build_engine(order, gpu, steps)
    except (BackendUnavailable, PluginMissing) as error:
        _say(steps, f"no engine, because {error}; on the device: spit-edge engine {path}")
        return None


def _usual_part(bundle: Bundle, flavour: Flavour) -> Part:
    """The full graph, unless there is only the trunk or no way to run plugins."""
    return "trunk" if flavour.is_rtx or bundle.manifest.part == "trunk" else "full"


def _say(steps: Steps, line: str) -> None:
    steps.console.print(shown(line), soft_wrap=True)


def engine_line(stored: StoredEngine) -> str:
    """What an engine is, in one line."""
    record = stored.record
    products = ", ".join(f"{count} {kind}" for kind, count in sorted(record.products.items()))
    gpus = ", ".join(f"SM {sm}" for sm in record.platform.sm)
    return (
        f"{record.part} engine for {record.platform.gpu or 'any GPU'} ({gpus}): "
        f"{record.layers} layers, {size_text(record.engine.bytes)}, matrix products {products}, "
        f"{record.build_seconds:.1f} s"
    )


def _capabilities(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list such as 86,89,120")
    return tuple(dict.fromkeys(int(part) for part in parts))
