"""Which back ends there are here, and how one is chosen.

Other distributions add theirs as entry points of the group ``spit_edge.backends``: each is a
:class:`BackendRecord` whose name is the entry point's.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from spit_edge.base.install import pip_install
from spit_edge.base.progress import Steps
from spit_edge.runtime.backends.protocol import Backend
from spit_edge.runtime.backends.records import RECORDS, BackendRecord
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.errors import BackendUnavailable, BundleError

GROUP = "spit_edge.backends"


def backend_names() -> list[str]:
    """All back ends known to this installation."""
    return sorted({*RECORDS, *_points()})


def find_record(name: str) -> BackendRecord:
    """The record of a back end; BackendUnavailable if there is none, or not a usable one."""
    if name in RECORDS:
        return RECORDS[name]
    point = _points().get(name)
    if point is None:
        known = ", ".join(["auto", *backend_names()])
        raise BackendUnavailable(f"there is no backend {name!r}: choose one of {known}")
    try:
        record = point.load()
    except Exception as error:  # whatever others' code does when it is imported
        raise BackendUnavailable(f"{point.value} cannot be loaded: {_told(error)}") from error
    if not isinstance(record, BackendRecord) or record.name != name:
        raise BackendUnavailable(
            f"{point.value} is not the BackendRecord of {name}: update the package that brings it"
        )
    return record


def open_backend(name: str, bundle: Bundle, threads: int | None) -> tuple[str, Backend]:
    """The back end ``name``, or for "auto" the first that works here; and its name.

    Raises BackendUnavailable with the reason, or all reasons; BundleError if the bundle is at
    fault.
    """
    if name != "auto":
        return name, _open(find_record(name), bundle, threads)
    records, reasons = _ranked()
    for record in records:
        try:
            return record.name, _open(record, bundle, threads)
        except BackendUnavailable as error:
            reasons.append(f"{record.name}: {error}")
    raise BackendUnavailable(f"no backend can run this bundle here ({'; '.join(reasons)})")


def make_artefact(name: str, bundle: Bundle, steps: Steps) -> Path | None:
    """What the back end ``name`` needs beside the bundle's own files, made unless it is there.

    None: nothing.  Raises what the back end's maker does, or BackendUnavailable.
    """
    record = find_record(name)
    if record.artefact is None:
        return None
    make: Callable[[Bundle, Steps], Path] = _found(record, record.artefact)
    return make(bundle, steps)


def _points() -> dict[str, EntryPoint]:
    """Of other distributions; a name of ours stays ours."""
    return {point.name: point for point in entry_points(group=GROUP) if point.name not in RECORDS}


def _ranked() -> tuple[list[BackendRecord], list[str]]:
    """What "auto" tries, best first, and why records of others cannot be read."""
    records, reasons = list(RECORDS.values()), []
    for name in sorted(_points()):
        try:
            records.append(find_record(name))
        except BackendUnavailable as error:
            reasons.append(f"{name}: {error}")
    ranks = [(record.rank, record) for record in records if record.rank is not None]
    return [record for _, record in sorted(ranks, key=lambda ranked: ranked[0])], reasons


def _open(record: BackendRecord, bundle: Bundle, threads: int | None) -> Backend:
    if refusal := record.refusal(bundle.manifest.precision):
        raise BackendUnavailable(refusal)
    make: Callable[[Bundle, int | None], Backend] = _found(record, record.place)
    try:
        return make(bundle, threads)
    except (BackendUnavailable, BundleError):
        raise
    except ImportError as error:
        raise _lacking(record, error) from error
    except Exception as error:  # the next one may do better
        raise BackendUnavailable(
            f"the backend {record.name} does not start: {_told(error)}"
        ) from error


def _found(record: BackendRecord, place: str) -> Any:
    """What a record names as "module:object"."""
    module, _, name = place.partition(":")
    try:
        return getattr(import_module(module), name)
    except ImportError as error:
        raise _lacking(record, error) from error
    except Exception as error:  # packages that do not fit each other fail in many ways
        raise BackendUnavailable(
            f"the backend {record.name} cannot be loaded: {_told(error)}"
        ) from error


def _lacking(record: BackendRecord, error: ImportError) -> BackendUnavailable:
    missing = isinstance(error, ModuleNotFoundError) and error.name
    what = f"needs {missing}" if missing else f"cannot be loaded ({_told(error)})"
    cure = pip_install(record.extra) if record.extra else "install what its package needs"
    return BackendUnavailable(f"the backend {record.name} {what}: {cure}")


def _told(error: Exception) -> str:
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
