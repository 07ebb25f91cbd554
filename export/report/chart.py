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

    ticks   (y, text) of powers of ten
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
    low, high = _decades(series, rounding_step)

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
        ticks=[(y_of(10.0**power), f"1e{power}") for power in range(low, high + 1)],
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


def _decades(series: list[LayerSeries], rounding_step: float) -> tuple[int, int]:
    """Powers of ten that enclose all errors and the rounding step."""
    values = [rounding_step]
    for one in series:
        values += [e.relative for e in one.errors if _NEVER < e.relative < math.inf]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)
