"""What ``deploy``, ``fleet`` and ``pack`` share: options, and what becomes of them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from spit_edge.base.progress import Steps
from spit_edge.base.ranges import COUNT
from spit_edge.export.deploy.errors import DeployError
from spit_edge.export.deploy.package import Package, make_package
from spit_edge.export.deploy.prebuilt import prebuilt_libraries
from spit_edge.export.deploy.steps import refuse_random
from spit_edge.export.deploy.target import DeployOptions
from spit_edge.plugins.plugin_library import built_folder
from spit_edge.runtime.bundle.folder import Bundle


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Declare what ``deploy`` and ``fleet`` share."""
    parser.add_argument(
        "--name", metavar="SERVICE", help="name of the service [the bundle's folder]"
    )
    engine = parser.add_mutually_exclusive_group()
    engine.add_argument(
        "--engine-now",
        dest="engine",
        action="store_const",
        const="now",
        default="auto",
        help="fail if no engine can be built [build one if possible]",
    )
    engine.add_argument(
        "--no-engine", dest="engine", action="store_const", const="never", help="build no engine"
    )
    parser.add_argument(
        "--backend", help="back end to check on [tensorrt if there is an engine, else onnxruntime]"
    )
    parser.add_argument(
        "--validate", action="store_true", help="first compare with the reference here"
    )
    parser.add_argument("--rollback", action="store_true", help="go back to the previous release")
    parser.add_argument(
        "--allow-random-weights", action="store_true", help="deploy even if the weights are random"
    )
    parser.add_argument(
        "--keep", type=COUNT, default=3, metavar="N", help="releases to keep on the device [3]"
    )
    parser.add_argument(
        "--extra",
        type=_extra,
        action="append",
        default=[],
        metavar="NAME",
        help="extra of spit-edge to install as well, such as camera; may be repeated",
    )
    parser.add_argument(
        "--ignore-memory",
        action="store_true",
        help="go on even if too little memory is free",
    )
    parser.add_argument(
        "--restart",
        type=_unit,
        metavar="UNIT",
        help="systemd user unit, such as spit-edge@door, to restart once the release is in use, if "
        "it is running",
    )
    parser.add_argument(
        "--ssh-config", type=Path, metavar="FILE", help="configuration file for ssh -F"
    )


def add_package_options(parser: argparse.ArgumentParser) -> None:
    """Declare what ``pack`` has, too."""
    parser.add_argument(
        "--wheel",
        type=Path,
        action="append",
        default=[],
        help="wheel of spit-edge for the device [compile the sources there]; may be repeated",
    )
    parser.add_argument(
        "--wheelhouse", type=Path, metavar="DIR", help="wheels for pip to use instead of its index"
    )
    libraries = parser.add_mutually_exclusive_group()
    libraries.add_argument(
        "--plugins",
        type=Path,
        action="append",
        metavar="LIB",
        help="plugin library for devices that it fits; may be repeated [all in "
        f"{built_folder()}, where one for Jetsons is built first if possible]",
    )
    libraries.add_argument(
        "--no-plugins",
        dest="plugins",
        action="store_const",
        const=[],
        help="send none: devices with a GPU build their own",
    )


def deployable(options: argparse.Namespace) -> Bundle:
    """Opened, its hashes compared; random weights are refused before anything else happens."""
    with Steps().step("opening the bundle"):
        bundle = Bundle.open(options.bundle)
    refuse_random(bundle, allowed=options.allow_random_weights)
    return bundle


def valid(bundle: Path) -> bool:
    """Compare with the reference here and print the table: whether all of it passed."""
    from spit_edge.base.progress import console
    from spit_edge.export.validate import validate
    from spit_edge.runtime.parity.judge import all_passed
    from spit_edge.runtime.parity.table import parity_table

    backend, rows = validate(bundle, Steps())
    console().print(parity_table(rows, f"{bundle} on {backend}"))
    return all_passed(rows)


@contextmanager
def packed(bundle: Bundle, options: argparse.Namespace) -> Iterator[Package]:
    """The package that the options ask for, as long as the block lasts."""
    plugins = options.plugins
    if plugins is None:
        plugins = prebuilt_libraries(Steps()) if bundle.manifest.contracts else []
    with ExitStack() as stack:
        with Steps().step("gathering the files"):
            made = make_package(
                bundle, wheels=options.wheel, wheelhouse=options.wheelhouse, plugins=plugins
            )
            package = stack.enter_context(made)
        yield package


def wishes_of(options: argparse.Namespace) -> DeployOptions:
    """How the options want it deployed."""
    return DeployOptions(
        engine=options.engine,
        backend=options.backend,
        keep=options.keep,
        restart=options.restart,
        extras=tuple(dict.fromkeys(options.extra)),
        ignore_memory=options.ignore_memory,
    )


def service_name(options: argparse.Namespace) -> str:
    """The service's name unless another is given: of the bundle's folder."""
    name: str = options.bundle.resolve().name
    if not name:
        raise DeployError(f"{options.bundle} is not a bundle")
    return name


def _unit(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.:@\\-]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a unit")
    return text


def _extra(text: str) -> str:
    if not re.fullmatch(r"[a-z]+(-[a-z]+)*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of an extra")
    return text
