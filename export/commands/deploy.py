"""The command lines of ``deploy``, ``fleet`` and ``pack``: their options, and what they do."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spit_edge.base.command_line import DONE, FAILED
from spit_edge.base.files import check_writable
from spit_edge.base.progress import Steps
from spit_edge.export.deploy.errors import CheckFailed, DeployError
from spit_edge.export.deploy.fleet import run_fleet
from spit_edge.export.deploy.fleet_file import Device, read_devices
from spit_edge.export.deploy.options import DeployOptions
from spit_edge.export.deploy.package import Package, make_package, write_archive
from spit_edge.export.deploy.prebuilt import prebuilt_libraries
from spit_edge.export.deploy.remote import Remote
from spit_edge.export.deploy.reporter import PersonalReporter
from spit_edge.export.deploy.steps import deploy, refuse_random, rollback
from spit_edge.export.deploy.target import parse_target
from spit_edge.plugins.plugin_library import BUILT
from spit_edge.runtime.bundle.folder import Bundle

PARALLEL = 8


def add_deploy_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the three."""
    one = commands.add_parser("deploy", help="bring a bundle to a device over ssh, checked there")
    one.add_argument("bundle", type=Path)
    one.add_argument("device", metavar="[USER@]HOST[:DIR]", help="as ssh knows it")
    one.set_defaults(command=_deploy)

    fleet = commands.add_parser("fleet", help="the same for many devices at a time")
    fleet.add_argument("devices", type=Path, metavar="DEVICES.toml")
    fleet.add_argument("bundle", type=Path)
    fleet.add_argument(
        "--parallel", type=_positive, default=PARALLEL, metavar="N", help=f"[{PARALLEL}]"
    )
    fleet.set_defaults(command=_fleet)

    pack = commands.add_parser("pack", help="write what deploy would send to a tar file")
    pack.add_argument("bundle", type=Path)
    pack.add_argument("--out", type=Path, metavar="TAR", help="[BUNDLE.tar]")
    pack.set_defaults(command=_pack)

    for command in (one, fleet):
        _add_device_options(command)
    for command in (one, fleet, pack):
        _add_package_options(command)


def _add_device_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--name", metavar="SERVICE", help="of the service [the bundle's folder]")
    engine = command.add_mutually_exclusive_group()
    engine.add_argument(
        "--engine-now",
        dest="engine",
        action="store_const",
        const="now",
        default="auto",
        help="fail where no engine can be built [build one where that is possible]",
    )
    engine.add_argument("--no-engine", dest="engine", action="store_const", const="never")
    command.add_argument("--backend", help="to check on [tensorrt with an engine, or onnxruntime]")
    command.add_argument(
        "--validate", action="store_true", help="compare with the reference here before it goes"
    )
    command.add_argument("--rollback", action="store_true", help="go back to the release before")
    command.add_argument("--allow-random-weights", action="store_true")
    command.add_argument(
        "--keep", type=_positive, default=3, metavar="N", help="releases to keep there [3]"
    )
    command.add_argument(
        "--extra",
        type=_extra,
        action="append",
        default=[],
        metavar="NAME",
        help="of spit-edge to install there, too, such as camera; may be repeated",
    )
    command.add_argument(
        "--ignore-memory",
        action="store_true",
        help="go on where less memory is free than is computed",
    )
    command.add_argument(
        "--restart",
        type=_unit,
        metavar="UNIT",
        help="of the user's systemd, such as spit-edge@door: restart it, if it runs, when the "
        "release is in use",
    )
    command.add_argument("--ssh-config", type=Path, metavar="FILE", help="for ssh -F")


def _add_package_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--wheel",
        type=Path,
        action="append",
        default=[],
        help="of spit-edge for the device; else it compiles the sources. May be repeated",
    )
    command.add_argument(
        "--wheelhouse", type=Path, metavar="DIR", help="wheels for pip instead of its index"
    )
    libraries = command.add_mutually_exclusive_group()
    libraries.add_argument(
        "--plugins",
        type=Path,
        action="append",
        metavar="LIB",
        help="plugin library for devices that it fits; may be repeated [all in "
        f"{BUILT}, where one for Jetsons is built first if that is possible]",
    )
    libraries.add_argument(
        "--no-plugins",
        dest="plugins",
        action="store_const",
        const=[],
        help="send none: devices with a GPU build theirs",
    )


def _deploy(options: argparse.Namespace) -> int:
    reporter = PersonalReporter()
    target = parse_target(options.device, options.name, _service(options), options.ssh_config)
    if options.rollback:
        with Remote(target, reporter) as remote:
            print(rollback(remote, _wishes(options)))
        return DONE
    wishes = _wishes(options)
    bundle = _bundle(options)
    if options.validate and not _valid(options.bundle):
        return FAILED
    with _packed(bundle, options) as package, Remote(target, reporter) as remote:
        return _reported(lambda: print(deploy(remote, package, wishes).release), reporter)


def _fleet(options: argparse.Namespace) -> int:
    devices = read_devices(
        options.devices,
        _wishes(options),
        service=options.name,
        default_service=_service(options),
        ssh_config=options.ssh_config,
    )
    if options.rollback:
        return run_fleet(devices, _rolled_back, parallel=options.parallel)
    bundle = _bundle(options)
    if options.validate and not _valid(options.bundle):
        return FAILED
    with _packed(bundle, options) as package:

        def work(remote: Remote, device: Device) -> str:
            done = deploy(remote, package, device.options)
            return f"uses {done.release} on {done.backend}"

        return run_fleet(devices, work, parallel=options.parallel)


def _pack(options: argparse.Namespace) -> int:
    place = options.bundle.resolve()
    out: Path = options.out or place.with_name(f"{place.name}.tar")
    check_writable(out)
    with _packed(Bundle.open(options.bundle), options) as package:
        write_archive(package, out)
        Steps().console.print(f"release {package.release}, {len(package.files)} files")
    print(out)
    return DONE


def _rolled_back(remote: Remote, device: Device) -> str:
    return f"uses {rollback(remote, device.options)} again"


def _reported(work: Callable[[], None], reporter: PersonalReporter) -> int:
    try:
        work()
    except CheckFailed as error:
        reporter.line(f"failed: {error}")
        return FAILED
    return DONE


def _bundle(options: argparse.Namespace) -> Bundle:
    """Opened, its hashes compared; random weights are refused before anything else happens."""
    bundle = Bundle.open(options.bundle)
    refuse_random(bundle, allowed=options.allow_random_weights)
    return bundle


def _valid(bundle: Path) -> bool:
    from spit_edge.base.progress import console
    from spit_edge.export.validate import validate
    from spit_edge.runtime.parity.table import parity_table

    backend, rows = validate(bundle, Steps())
    console().print(parity_table(rows, f"{bundle} on {backend}"))
    return all(row.passed for row in rows)


@contextmanager
def _packed(bundle: Bundle, options: argparse.Namespace) -> Iterator[Package]:
    plugins = options.plugins
    if plugins is None:
        plugins = prebuilt_libraries(Steps()) if bundle.manifest.contracts else []
    with make_package(
        bundle, wheels=options.wheel, wheelhouse=options.wheelhouse, plugins=plugins
    ) as package:
        yield package


def _wishes(options: argparse.Namespace) -> DeployOptions:
    return DeployOptions(
        engine=options.engine,
        backend=options.backend,
        keep=options.keep,
        restart=options.restart,
        extras=tuple(dict.fromkeys(options.extra)),
        ignore_memory=options.ignore_memory,
    )


def _service(options: argparse.Namespace) -> str:
    name: str = options.bundle.resolve().name
    if not name:
        raise DeployError(f"{options.bundle} is not a bundle")
    return name


def _unit(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.:@\\-]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a unit")
    return text


def _extra(text: str) -> str:
    if not re.fullmatch(r"[a-z]+(-[a-z]+)*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of an extra")
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)
