"""The chart of layer errors: positions of everything that the page draws as SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass

from spit_edge.export.precision.layers import LayerError
from spit_edge.export.report.contents import LayerSeries

HEIGHT = 300
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 34, 40
_WIDTH = 900
_STEPS = (6.0, 48.0)  # pixels between layers, at least and at most
_NEVER = 1e-12  # errors below count as none
_ROOM, _LEAST_EXTENT, _LEAST_TICKS = 0.06, 0.7, 3


@dataclass(frozen=True)
class Mark:
    """A layer's point.  ``product`` tells a matrix product from a block's output."""

    name: str
    x: float
    y: float
    label: str
    product: bool
    finite: bool


@dataclass(frozen=True)
class Line:
    """One implementation: its points, and the line through the outputs of its blocks."""

    name: str
    marks: list[Mark]
    path: str
    beyond: Mark | None


@dataclass(frozen=True)
class Chart:
    """Coordinates in the units of an SVG of ``width`` x ``height``.

    ticks   (y, text) of round values
    blocks  (x, width, number) of the bands that stand for blocks
    step    y of the rounding step
    """

    width: float
    height: float
    left: float
    top: float
    bottom: float
    right: float
    ticks: list[tuple[float, str]]
    blocks: list[tuple[float, float, str]]
    step: float
    lines: list[Line]


def layer_chart(series: list[LayerSeries], rounding_step: float) -> Chart:
    """The chart of at least one series, all over the same layers."""
    names = [error.name for error in series[0].errors]
    spacing = min(max((_WIDTH - LEFT - RIGHT) / len(names), _STEPS[0]), _STEPS[1])
    width = LEFT + RIGHT + spacing * len(names)
    bottom = HEIGHT - BOTTOM
    low, high = _extent(series, rounding_step)

    def x_of(index: int) -> float:
        return round(LEFT + spacing * (index + 0.5), 1)

    def y_of(value: float) -> float:
        if not math.isfinite(value):
            return TOP - 14.0
        share = (math.log10(max(value, 10.0**low)) - low) / (high - low)
        return round(bottom - share * (bottom - TOP), 1)

    lines = []
    for one in series:
        marks = [
            Mark(
                name=error.name,
                x=x_of(index),
                y=y_of(error.relative),
                label=_label(error),
                product=not _is_block(error.name),
                finite=math.isfinite(error.relative),
            )
            for index, error in enumerate(one.errors)
        ]
        path = " ".join(f"{m.x},{m.y}" for m in marks if not m.product and m.finite)
        beyond = None if one.beyond is None else marks[names.index(one.beyond)]
        lines.append(Line(one.measured, marks, path, beyond))
    ends = [index for index, name in enumerate(names) if _is_block(name)]
    starts = [1, *(end + 1 for end in ends)]
    return Chart(
        width=round(width, 1),
        height=HEIGHT,
        left=LEFT,
        top=TOP,
        bottom=bottom,
        right=round(width - RIGHT, 1),
        ticks=[(y_of(value), f"{value:.0e}".replace("e-0", "e-")) for value in _ticks(low, high)],
        blocks=[
            (round(LEFT + spacing * start, 1), round(spacing * (end + 1 - start), 1), str(number))
            for number, (start, end) in enumerate(zip(starts, ends, strict=False))
        ],
        step=y_of(rounding_step),
        lines=lines,
    )


def _is_block(name: str) -> bool:
    return name.count(".") == 1


def _label(error: LayerError) -> str:
    if error.not_finite:
        return f"{error.name}: {error.not_finite} values not finite"
    return f"{error.name}: {error.relative:.1e}"


def _extent(series: list[LayerSeries], rounding_step: float) -> tuple[float, float]:
    """Powers of ten between which all errors and the rounding step lie, with a little room."""
    values = [rounding_step]
    for one in series:
        values += [e.relative for e in one.errors if _NEVER < e.relative < math.inf]
    low, high = math.log10(min(values)), math.log10(max(values))
    room = max(_ROOM * (high - low), _LEAST_EXTENT / 2 - (high - low) / 2)
    return low - room, high + room


def _ticks(low: float, high: float) -> list[float]:
    """Powers of ten, and where these are few, round multiples of them, too."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    for factors in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7)):
        ticks = [f * 10.0**p for p in powers for f in factors if low <= math.log10(f) + p <= high]
        if len(ticks) >= _LEAST_TICKS:
            break
    return ticks
