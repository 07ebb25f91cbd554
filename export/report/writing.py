"""Write a bundle's parity report: a page, and its facts as JSON beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import msgspec

from spit_edge.base.drafts import draft_folder
from spit_edge.base.errors import SpitError
from spit_edge.base.files import check_writable, whole_file
from spit_edge.base.progress import Steps
from spit_edge.export.report.contents import Report
from spit_edge.export.report.gather import gather
from spit_edge.export.report.page import page
from spit_edge.export.report.pictures import data_uri
from spit_edge.runtime.parity.judge import ImageParity
from spit_edge.runtime.session import Session

_TEMPORARY = Path(tempfile.gettempdir())


def write_report(
    bundle: Path,
    out: Path,
    steps: Steps,
    *,
    images: Path | None = None,
    backend: str = "auto",
    weights: Path | None = None,
) -> tuple[str, list[ImageParity]]:
    """Judge a bundle as ``validate`` does, and write ``out`` and its JSON.

    Returns the back end's name and a row per image.  Raises SpitError, and spit_ref.WeightsError
    if the bundle's weights are not at hand; then neither file is written.
    """
    _check_place(out, bundle)
    with steps.step("opening the bundle"):
        session = Session.open(bundle, backend)
    # Pictures wait in files, so that one image at a time is in memory however many there are.
    with session, draft_folder(_TEMPORARY, "spit-edge-report") as scratch:

        def place(number: int, kind: str) -> Path:
            return scratch / f"{number}-{kind}.webp"

        def keep(number: int, kind: str, content: bytes) -> None:
            place(number, kind).write_bytes(content)

        def picture(number: int, kind: str) -> str | None:
            path = place(number, kind)
            return data_uri(path.read_bytes()) if path.is_file() else None

        report = gather(session, steps, images, keep, weights)
        with steps.step(f"writing {out}"):
            _write(out, page(report, picture))
            _write(out.with_suffix(".json"), [report_json(report)])
    return session.backend, [image.parity for image in report.images]


def report_json(report: Report) -> str:
    """The facts; numbers that are not finite become null."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


def _check_place(out: Path, bundle: Path) -> None:
    """Refuse before the work begins what cannot or must not be written at its end."""
    if out.suffix not in (".html", ".htm"):
        raise SpitError(f"the report {out} is a page: give it a name that ends in .html")
    # parity.json and manifest.json are there, and nothing may be that is not in the manifest.
    if bundle.resolve() in out.resolve().parents:
        raise SpitError(f"the report {out} would change the bundle {bundle}: choose another folder")
    check_writable(out)
    check_writable(facts := out.with_suffix(".json"))
    if facts.exists() and not _is_report(facts):
        raise SpitError(f"{facts}, where the report's facts go, is no report: choose another name")


def _is_report(facts: Path) -> bool:
    """Whether a file is what an earlier report wrote, which may be replaced."""
    try:
        found = msgspec.json.decode(facts.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(found, dict) and {field.name for field in fields(Report)} <= found.keys()


def _write(path: Path, pieces: Iterable[str]) -> None:
    """The whole file or none."""
    with whole_file(path) as stream:
        stream.writelines(piece.encode() for piece in pieces)
