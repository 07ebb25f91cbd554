"""The pictures of a report, and how they stand in a page without files of their own."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spit_edge.runtime.images import Pixels
from spit_edge.runtime.images.overlay import borders, mean_colours

BORDER_SIDE = 448
"""Pixels that the longer side of a photograph with borders has at least."""
_GOLDEN_ANGLE = 0.618034
_HEAT = np.array(
    [(13, 8, 40), (93, 18, 110), (187, 55, 84), (249, 142, 9), (252, 255, 164)], np.float64
)
_DIFFERENT = (225, 29, 72)


def photograph(image: Pixels) -> bytes:
    """``image`` [H, W, 3] as the model sees it."""
    return _encoded(image, quality=90)


def with_borders(image: Pixels, labels: NDArray[np.int32]) -> bytes:
    """``image`` [H, W, 3] with the borders of ``labels`` [H, W]."""
    scale = max(1, -(-BORDER_SIDE // max(labels.shape)))
    return _encoded(borders(image, labels, scale=scale), quality=82)


def colours(image: Pixels, labels: NDArray[np.int32]) -> bytes:
    """Every pixel in the mean colour of its region."""
    return _encoded(mean_colours(image, labels))


def label_map(labels: NDArray[np.int32]) -> bytes:
    """Every label in a colour of its own, as far from its neighbours' as a formula can."""
    steps = np.arange(int(labels.max()) + 1)
    hues = steps * _GOLDEN_ANGLE % 1.0
    brightness = 0.55 + 0.4 * (steps * 7 % 5) / 4
    # From hue to RGB: three triangle waves, a third of a turn apart.
    waves = np.abs((hues[:, None] + np.array([0.0, 2 / 3, 1 / 3])) % 1.0 * 6.0 - 3.0) - 1.0
    palette = 255.0 * brightness[:, None] * (0.45 + 0.55 * np.clip(waves, 0.0, 1.0))
    return _encoded(np.rint(palette).astype(np.uint8)[labels])


def difference_map(
    image: Pixels, found: NDArray[np.int32], wanted: NDArray[np.int32]
) -> bytes | None:
    """Where labels differ, on the faint photograph, one pixel thicker; None if they are equal."""
    differing = found != wanted
    if not differing.any():
        return None
    near = np.pad(differing, 1)
    for axis in (0, 1):
        near = near | np.roll(near, 1, axis) | np.roll(near, -1, axis)
    grey = image.mean(axis=2, keepdims=True) * 0.35 + 150.0
    picture = np.repeat(grey, 3, axis=2).astype(np.uint8)
    picture[near[1:-1, 1:-1]] = _DIFFERENT
    return _encoded(picture)


def heat_map(values: NDArray[np.float32], labels: NDArray[np.int32]) -> bytes:
    """A value in [0, 1] per region: dark is 0, bright is 1; regions beyond ``values`` are 0."""
    padded = np.zeros(max(len(values), int(labels.max()) + 1))
    padded[: len(values)] = np.nan_to_num(values)
    stops = np.linspace(0.0, 1.0, len(_HEAT))
    palette = np.stack([np.interp(padded, stops, channel) for channel in _HEAT.T], axis=1)
    return _encoded(np.rint(palette).astype(np.uint8)[labels])


def image_pictures(
    image: Pixels,
    expected: tuple[NDArray[np.int32], NDArray[np.float32]],
    found: tuple[NDArray[np.int32], NDArray[np.float32] | None],
) -> dict[str, bytes]:
    """All pictures of an image [H, W, 3] by name.

    expected, found  labels [H, W] and attention flow [T] of the reference and of the back end
    """
    pictures = {"photograph": photograph(image)}
    draw: dict[str, Callable[[NDArray[np.int32]], bytes]] = {
        "borders": lambda labels: with_borders(image, labels),
        "colours": lambda labels: colours(image, labels),
        "labels": label_map,
    }
    for side, (labels, attention) in {"reference": expected, "backend": found}.items():
        for name, picture in draw.items():
            pictures[f"{name}-{side}"] = picture(labels)
        if attention is not None:
            pictures[f"attention-{side}"] = heat_map(attention, labels)
    difference = difference_map(image, found[0], expected[0])
    if difference is not None:
        pictures["difference"] = difference
    return pictures


def data_uri(picture: bytes) -> str:
    """A WebP picture as an address that holds it."""
    return f"data:image/webp;base64,{base64.b64encode(picture).decode('ascii')}"


def _encoded(pixels: Pixels, quality: int | None = None) -> bytes:
    """WebP; lossless unless a quality is given."""
    options: dict[str, Any] = {"lossless": True} if quality is None else {"quality": quality}
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="WEBP", **options)
    return stream.getvalue()
