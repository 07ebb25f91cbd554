"""``fleet``: deploy to many devices at a time."""

from __future__ import annotations

import argparse
from pathlib import Path

from spit_edge.base.command_line import FAILED
from spit_edge.base.ranges import COUNT
from spit_edge.export.commands.deployment import (
    add_device_options,
    add_package_options,
    deployable,
    packed,
    service_name,
    valid,
    wishes_of,
)
from spit_edge.export.deploy.fleet import Member, read_members, run_fleet
from spit_edge.export.deploy.remote import Remote
from spit_edge.export.deploy.steps import deploy, rollback
from spit_edge.runtime.commands.options import add_bundle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``fleet``."""
    parser.add_argument("devices", type=Path, metavar="DEVICES.toml", help="the devices, by name")
    add_bundle(parser)
    parser.add_argument(
        "--parallel",
        type=COUNT,
        default=8,
        metavar="N",
        help="devices to deploy to at once [%(default)s]",
    )
    add_device_options(parser)
    add_package_options(parser)


def run(options: argparse.Namespace) -> int:
    """Deploy to all or roll all back; the worst of their exit codes."""
    members = read_members(
        options.devices,
        wishes_of(options),
        service=options.name,
        default_service=service_name(options),
        ssh_config=options.ssh_config,
    )
    if options.rollback:
        return run_fleet(members, _rolled_back, parallel=options.parallel)
    bundle = deployable(options)
    if options.validate and not valid(options.bundle):
        return FAILED
    with packed(bundle, options) as package:

        def work(remote: Remote, member: Member) -> str:
            done = deploy(remote, package, member.options)
            return f"uses {done.release} on {done.backend}"

        return run_fleet(members, work, parallel=options.parallel)


def _rolled_back(remote: Remote, member: Member) -> str:
    return f"uses {rollback(remote, member.options)} again"
