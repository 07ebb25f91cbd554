"""A bundle onto one device, step by step; the version before it stays in use until the last."""

from __future__ import annotations

from typing import Any, NamedTuple

from spit_edge.base.sizes import size_text
from spit_edge.export.deploy.answers import Activated, Missing, RolledBack
from spit_edge.export.deploy.errors import CheckFailed, DeployError, Unbelievable
from spit_edge.export.deploy.needs import check_needs, compute_needs
from spit_edge.export.deploy.package import Package
from spit_edge.export.deploy.plan import Plan, make_plan
from spit_edge.export.deploy.remote import Remote
from spit_edge.export.deploy.target import DeployOptions, Facts
from spit_edge.export.deploy.transfer import send
from spit_edge.runtime.bundle.folder import Bundle


def refuse_random(bundle: Bundle, *, allowed: bool) -> None:
    """DeployError for random weights, unless they are wanted."""
    if bundle.manifest.weights.source == "random" and not allowed:
        raise DeployError(
            f"{bundle.path} has random weights, so its classes mean nothing: export it with "
            "weights, or deploy it all the same with --allow-random-weights"
        )


class Deployed(NamedTuple):
    """A release that is in use now, and the back end that it was checked on."""

    release: str
    backend: str


def deploy(remote: Remote, package: Package, options: DeployOptions) -> Deployed:
    """Bring the package to the device, check it there, switch to it.

    What is there already is not done again.  Raises DeployError, CheckFailed or Unreachable; then
    the device still uses what it used before.
    """
    reporter = remote.reporter
    facts = remote.call("facts", Facts)
    reporter.line(f"{remote.target.host}: {facts}")
    plan = make_plan(package, facts, options)
    for remark in plan.remarks:
        reporter.line(remark)
    _transfer(remote, package, plan, facts, ignore_memory=options.ignore_memory)
    answer = remote.call("activate", Activated, **_request(package, plan, facts, options))
    if not answer.passed:
        before = f"{facts.current} stays in use" if facts.current else "nothing is in use"
        raise CheckFailed(
            f"{package.release} does not give the reference's results on "
            f"{remote.target.host}: {before}"
        )
    for name in answer.removed:
        reporter.line(f"removed the old release {name}")
    if answer.remark:
        reporter.line(f"old files stay there: {answer.remark}")
    reporter.line(f"{remote.target.host} uses {facts.root}/current -> {package.release}")
    return Deployed(package.release, plan.backend)


def rollback(remote: Remote, options: DeployOptions) -> str:
    """Go back to the release before; its name.

    It is checked as a new one is.  Raises DeployError if there is none, or it is damaged.
    """
    answer = remote.call("rollback", RolledBack, restart=options.restart)
    if not answer.passed:
        raise CheckFailed(
            f"{answer.release} does not give the reference's results on {remote.target.host} any "
            "more: what was in use stays so"
        )
    remote.reporter.line(f"{remote.target.host} uses {answer.release} again")
    return answer.release


def _transfer(
    remote: Remote, package: Package, plan: Plan, facts: Facts, *, ignore_memory: bool
) -> None:
    wanted = {file.sha256: file.bytes for file in package.files.values()}
    key = plan.venv_key(package, facts)
    answer = remote.call("compare", Missing, files=wanted, venv=key)
    missing = answer.missing
    if any(have > wanted.get(sha256, -1) for sha256, have in missing.items()):
        raise Unbelievable(f"{remote.target.host} asks for files that it was not offered")
    to_send = sum(wanted[sha256] - have for sha256, have in missing.items())
    needs = compute_needs(package, plan, to_send, venv_there=answer.venv)
    remote.reporter.line(str(needs))
    check_needs(needs, facts, ignore_memory=ignore_memory)
    send(remote, facts.root, package.files, missing, rsync=facts.rsync)
    remote.reporter.line(
        f"sent {len(missing)} of {len(wanted)} files, {size_text(to_send)}"
        if missing
        else f"nothing to send: all {len(wanted)} files are there"
    )


def _request(package: Package, plan: Plan, facts: Facts, options: DeployOptions) -> dict[str, Any]:
    """What ``activate`` of ``agent/main.py`` is told."""
    from_sources = plan.install == package.sources
    plugin = {"prebuilt": plan.prebuilt, "sm": plan.build_sm}
    return {
        "release": package.release,
        "files": {path: file.sha256 for path, file in package.files.items()},
        "venv": {
            "key": plan.venv_key(package, facts),
            "possible": facts.venv,
            "file": plan.install,
            "extras": plan.extras,
            "requires": plan.requires,
            "what": f"{'compiling and ' if from_sources else ''}installing the runtime",
        },
        "plugin": plugin if plan.prebuilt or plan.build_sm else None,
        "engine": plan.part,
        "backend": plan.backend,
        "seconds": options.seconds,
        "keep": options.keep,
        "restart": options.restart,
    }
