"""The root of this package's errors."""

from __future__ import annotations


class SpitError(Exception):
    """Base of every error that this package raises on purpose."""


class FileError(SpitError):
    """A file or folder cannot be read or written."""
