"""The root of this package's errors."""

from __future__ import annotations


class SpitError(Exception):
    """Base of every error that this package raises on purpose."""


class FileError(SpitError):
    """A file or folder cannot be read or written."""


class OptionError(SpitError, ValueError):
    """A value that was asked for is out of range, or does not go with the others."""


class PackageMissing(SpitError, ImportError):
    """A package that is optional is needed and not installed."""


class Stopped(KeyboardInterrupt):
    """Ctrl-C or SIGTERM while a command runs.

    A class of its own: where a plain KeyboardInterrupt passes through ``exec``, Python ends itself
    by SIGINT whatever exit code it is given.
    """
