"""Write a bundle's parity report: a page, and its facts as JSON beside it."""

from __future__ import annotations

import math
import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from pathlib import Path

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined

from spit_edge.base.drafts import draft_folder
from spit_edge.base.errors import SpitError
from spit_edge.base.files import check_writable, json_file, whole_file
from spit_edge.base.progress import Steps
from spit_edge.export.report.chart import layer_chart
from spit_edge.export.report.contents import Report
from spit_edge.export.report.gather import gather
from spit_edge.export.report.pictures import data_uri
from spit_edge.runtime.parity.judge import ImageParity
from spit_edge.runtime.session import Session

Picture = Callable[[int, str], str | None]
"""Number of an image and name of a picture to the picture's address; None where there is none."""
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

        command = _command(bundle, out, images, backend, weights)
        report = gather(session, steps, images, command, keep, weights)
        with steps.step(f"writing {out}"):
            _write(out, (piece.encode() for piece in page(report, picture)))
            _write(out.with_suffix(".json"), [json_file(report)])
    return session.backend, [image.parity for image in report.images]


def _command(
    bundle: Path, out: Path, images: Path | None, backend: str, weights: Path | None
) -> str:
    words = ["spit-edge", "validate", str(bundle), "--report", str(out)]
    words += [] if images is None else ["--images", str(images)]
    words += [] if backend == "auto" else ["--backend", backend]
    words += [] if weights is None else ["--weights", str(weights)]
    return shlex.join(words)


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
        raise SpitError(
            f"{facts}, where the report's facts go, is not a report: choose another name"
        )


def _is_report(facts: Path) -> bool:
    """Whether a file is what an earlier report wrote, which may be replaced."""
    try:
        found = msgspec.json.decode(facts.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(found, dict) and {field.name for field in fields(Report)} <= found.keys()


def _write(path: Path, pieces: Iterable[bytes]) -> None:
    """The whole file or none."""
    with whole_file(path) as stream:
        stream.writelines(pieces)


def page(report: Report, picture: Picture) -> Iterator[str]:
    """The page in pieces, so that the pictures of one image at a time are in memory."""
    environment = Environment(
        loader=PackageLoader("spit_edge.export.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, share=share, limit=limit)
    environment.tests.update(finite=math.isfinite)
    template = environment.get_template("report.html")
    chart = layer_chart(report.layers, report.rounding_step)
    # Failed images come first where images are listed.
    order = sorted(range(len(report.images)), key=lambda i: report.images[i].parity.passed)
    worst = max(report.images, key=lambda image: _of_limit(image.parity))
    return template.generate(
        report=report, chart=chart, picture=picture, order=order, worst=worst, of_limit=_of_limit
    )


def number(value: float | None) -> str:
    """A measured value, short: 0, 1.2e-07, 0.12, not finite."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return "not finite"
    if value == 0.0:
        return "0"
    return f"{value:.2g}" if 0.01 <= abs(value) < 100 else f"{value:.1e}"


def limit(value: float) -> str:
    """What is allowed: no error at all where the reference could not tell."""
    return number(value) if math.isfinite(value) else "none"


def share(value: float) -> str:
    """A share as percent."""
    return f"{100.0 * value:.1f} %" if math.isfinite(value) else "not finite"


def _of_limit(parity: ImageParity) -> float:
    """Share of the allowed error; infinite where there is no such number."""
    found = parity.error / parity.error_limit if parity.error_limit else math.inf
    return found if math.isfinite(found) else math.inf
