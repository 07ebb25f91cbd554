"""What can go wrong between here and a device, one class per kind of cure."""

from __future__ import annotations

from runtime.errors import SpitError


class DeployError(SpitError):
    """A bundle cannot be deployed; what ran on the device before still runs."""


class Unreachable(DeployError):
    """There is no connection to the device, or it broke."""


class CheckFailed(DeployError):
    """The bundle gives other results on the device than the reference."""
