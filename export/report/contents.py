"""What a report says, as data: the page is made from it, and the JSON beside the page holds it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spit_edge.export.precision.layers import LayerError
from spit_edge.runtime.classes import Guess
from spit_edge.runtime.parity.judge import GATES, ImageParity

TOP = 5
"""Classes of each image that are shown."""


@dataclass(frozen=True)
class Difference:
    """How values of the back end differ from the reference's.

    differing  number of values that are not equal to the bit
    largest    largest difference, rms its root mean square; None where shapes differ
    """

    differing: int
    of: int
    largest: float | None
    rms: float | None


@dataclass(frozen=True)
class ImageFacts:
    """One image.

    first_label  row and column of the first pixel whose label differs
    worst_class  the logit that differs most
    attention    of the attention flow; None where the bundle does not give it
    """

    name: str
    parity: ImageParity
    expected_num_tokens: int
    first_label: tuple[int, int] | None
    tokens: Difference
    logits: Difference
    worst_class: str
    attention: Difference | None
    expected_top: list[Guess]
    top: list[Guess]


@dataclass(frozen=True)
class Gate:
    """A gate of parity and the images that failed it."""

    name: str
    meaning: str
    failed: list[str]


@dataclass(frozen=True)
class LayerSeries:
    """Errors of one implementation.

    beyond    the first layer whose error is larger than the rounding step
    overflow  the first layer with values that are not finite
    """

    measured: str
    meaning: str
    beyond: str | None
    overflow: str | None
    errors: list[LayerError]


@dataclass(frozen=True)
class Report:
    """All of it.

    created  date and time, ISO 8601 with the offset from UTC
    command  what makes the report again
    fp32     matrix products that a precision plan keeps in float32
    """

    created: str
    command: str
    bundle: str
    model: str
    precision: str
    backend: str
    passed: bool
    random_weights: bool
    rounding_step: float
    fp32: list[str]
    gates: list[Gate]
    images: list[ImageFacts]
    layers: list[LayerSeries]
    manifest: dict[str, str]
    versions: dict[str, str]


def difference(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> Difference:
    """Compare arrays of any shape."""
    if found.shape != wanted.shape:
        return Difference(differing=wanted.size, of=wanted.size, largest=None, rms=None)
    errors = found.astype(np.float64) - wanted
    return Difference(
        differing=int(np.count_nonzero(found.view(np.int32) != wanted.view(np.int32))),
        of=wanted.size,
        largest=float(np.abs(errors).max(initial=0.0)),
        rms=math.sqrt(float(np.mean(np.square(errors)))) if errors.size else 0.0,
    )


def gates(rows: list[ImageParity]) -> list[Gate]:
    """Every gate, with the images that failed it."""
    return [
        Gate(name, meaning, [row.image for row in rows if name in row.failures])
        for name, meaning in GATES.items()
    ]


def layer_series(measured: str, meaning: str, errors: list[LayerError], step: float) -> LayerSeries:
    """The series of ``errors``, which are in the order of the layers."""
    return LayerSeries(
        measured=measured,
        meaning=meaning,
        beyond=next((error.name for error in errors if error.relative > step), None),
        overflow=next((error.name for error in errors if error.not_finite), None),
        errors=errors,
    )
