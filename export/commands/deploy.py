"""``deploy``: bring a bundle to a device over ssh, checked there."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from spit_edge.base.command_line import DONE, FAILED
from spit_edge.export.commands.deployment import (
    add_device_options,
    add_package_options,
    deployable,
    packed,
    service_name,
    valid,
    wishes_of,
)
from spit_edge.export.deploy.errors import CheckFailed
from spit_edge.export.deploy.remote import Remote
from spit_edge.export.deploy.reporter import PersonalReporter
from spit_edge.export.deploy.steps import deploy, rollback
from spit_edge.export.deploy.target import parse_target
from spit_edge.runtime.commands.options import add_bundle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``deploy``."""
    add_bundle(parser)
    parser.add_argument(
        "device", metavar="[USER@]HOST[:DIR]", help="the device as ssh knows it, and a folder on it"
    )
    add_device_options(parser)
    add_package_options(parser)


def run(options: argparse.Namespace) -> int:
    """Deploy or roll back; FAILED where a comparison fails, here or there."""
    reporter = PersonalReporter()
    target = parse_target(options.device, options.name, service_name(options), options.ssh_config)
    wishes = wishes_of(options)
    if options.rollback:
        with Remote(target, reporter) as remote:
            return _told(reporter, lambda: rollback(remote, wishes))
    bundle = deployable(options)
    if options.validate and not valid(options.bundle):
        return FAILED
    with packed(bundle, options) as package, Remote(target, reporter) as remote:
        return _told(reporter, lambda: deploy(remote, package, wishes).release)


def _told(reporter: PersonalReporter, work: Callable[[], str]) -> int:
    try:
        print(work())
    except CheckFailed as error:
        reporter.line(f"failed: {error}")
        return FAILED
    return DONE
