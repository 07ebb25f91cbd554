"""What can go wrong between here and a device, one class per kind of cure."""

from __future__ import annotations

from spit_edge.base.errors import SpitError


class DeployError(SpitError):
    """A bundle cannot be deployed; what ran on the device before still runs."""


class Unreachable(DeployError):
    """There is no connection to the device, or it broke."""


class Unbelievable(DeployError):
    """The device says what the program that was sent there never says."""


class CheckFailed(DeployError):
    """The bundle gives other results on the device than the reference."""


_CAUSES = (
    (
        ("REMOTE HOST IDENTIFICATION HAS CHANGED", "Host key verification failed"),
        "{host} does not show the host key that ssh knows, or ssh knows none yet: make sure that "
        "it is the right device, then connect once by hand with ssh {host}",
    ),
    (
        ("Permission denied", "Too many authentication failures"),
        "{host} does not let you in: ssh {host} must work without a question before deploying",
    ),
    (
        ("Could not resolve hostname",),
        "there is no host {host}: check its name, or give its address",
    ),
    (
        ("Connection refused", "No route to host", "Network is unreachable", "timed out"),
        "{host} cannot be reached: check that it is on and that its ssh server runs",
    ),
    (
        ("Bad configuration option", "Can't open user config file", "terminating, "),
        "ssh does not accept its configuration",
    ),
)
_LOST = "the connection to {host} broke: deploy again, what has arrived is not sent again"


def unreachable(host: str, words: str) -> Unreachable:
    """The error for what ssh printed before it gave up."""
    last = next((line for line in reversed(words.strip().splitlines()) if line.strip()), "")[:300]
    for marks, sentence in _CAUSES:
        if any(mark in words for mark in marks):
            return Unreachable(f"{sentence.format(host=host)} ({last.strip()})")
    told = f" ({last.strip()})" if last else ""
    return Unreachable(_LOST.format(host=host) + told)


def silent(host: str, seconds: float) -> Unreachable:
    """The error for a device that was waited for long enough."""
    return Unreachable(
        f"{host} has given no sign of life for {seconds:.0f} s: check it and its network, then "
        "deploy again; what has arrived is not sent again"
    )
