"""Facts and pictures to HTML."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from jinja2 import Environment, PackageLoader, StrictUndefined

from spit_edge.export.report.chart import layer_chart
from spit_edge.export.report.contents import Report
from spit_edge.runtime.parity.judge import ImageParity

Picture = Callable[[int, str], str | None]
"""Number of an image and name of a picture to the picture's address; None where there is none."""


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
