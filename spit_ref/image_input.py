"""Checks of what callers hand in: images and label maps."""

from __future__ import annotations

import torch
from torch import Tensor

from spit_edge.base.contracts import MOST_PIXELS
from spit_edge.spit_ref.pixel_features import Pixels, unit_pixels


def checked_images(images: Tensor, pixels: Pixels | None = None) -> Tensor:
    """uint8, or float32 in [0, 1], [B, 3, H, W] as float32 in [0, 1].

    ``pixels`` says what values of any range mean, as in a graph, which cannot refuse its input: NaN
    counts as 0, values out of range are clipped.

    Raises TypeError for another type, ValueError for another shape or values out of range.
    """
    if not isinstance(images, Tensor):
        raise TypeError(f"images must be a torch tensor, not {type(images).__name__}")
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images must be [B, 3, H, W], not {list(images.shape)}")
    batch, _, height, width = images.shape
    if min(batch, height, width) < 1:
        raise ValueError(f"images must not be empty, but are {list(images.shape)}")
    if height * width > MOST_PIXELS:
        raise ValueError(f"an image may have 2^26 pixels, not {height} x {width}")
    if pixels is not None:
        return unit_pixels(images, pixels)
    if images.dtype == torch.uint8:
        return unit_pixels(images, "uint8")
    if images.dtype != torch.float32:
        raise TypeError(f"images must be uint8, or float32 in [0, 1], not {images.dtype}")
    if not torch.isfinite(images).all():
        raise ValueError("images hold NaN or infinite values")
    low, high = (float(bound) for bound in images.detach().aminmax())
    if low < 0.0 or high > 1.0:
        raise ValueError(
            f"float32 images must lie in [0, 1], but hold {low:g}...{high:g}; "
            "give 0...255 as uint8, and undo a mean/deviation normalisation first"
        )
    return unit_pixels(images, "unit")


def checked_labels(labels: Tensor, counts: Tensor, images: Tensor) -> None:
    """Labels int [B, H, W] must be dense, 0...counts-1, for images [B, 3, H, W].

    Raises TypeError for anything but tensors, ValueError for all else that does not fit.
    """
    for name, value in (("labels", labels), ("counts", counts)):
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} must be a torch tensor, not {type(value).__name__}")
    expected = (images.shape[0], *images.shape[2:])
    if tuple(labels.shape) != expected or labels.is_floating_point():
        raise ValueError(
            f"labels must be integers {list(expected)}, not {labels.dtype} {list(labels.shape)}"
        )
    if tuple(counts.shape) != (images.shape[0],) or counts.is_floating_point():
        raise ValueError(
            f"counts must be integers [{images.shape[0]}], not {counts.dtype} {list(counts.shape)}"
        )
    for index, (image, count) in enumerate(zip(labels, counts.tolist(), strict=True)):
        found = torch.unique(image)
        if int(found[0]) != 0 or int(found[-1]) != count - 1 or found.numel() != count:
            raise ValueError(
                f"labels of image {index} must be 0...{count - 1} without gaps, but are "
                f"{found.numel()} values from {int(found[0])} to {int(found[-1])}"
            )


def dense_labels(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Any integer label maps [B, H, W] renumbered 0...N-1 in raster order of first pixels.

    Returns labels int32 [B, H, W] and counts int32 [B].  Raises TypeError for anything but a
    tensor, ValueError for all else that is no label map.
    """
    if not isinstance(labels, Tensor):
        raise TypeError(f"a label map must be a torch tensor, not {type(labels).__name__}")
    if labels.ndim != 3 or labels.is_floating_point() or labels.numel() == 0:
        raise ValueError(
            f"a label map must be integers [B, H, W], not {labels.dtype} {list(labels.shape)}"
        )
    result = torch.empty(labels.shape, dtype=torch.int32, device=labels.device)
    counts = []
    for index, image in enumerate(labels):
        _, inverse = torch.unique(image, return_inverse=True)
        number = inverse.flatten()
        count = int(number.max()) + 1
        place = torch.arange(number.numel(), device=labels.device)
        first = torch.full((count,), number.numel(), device=labels.device)
        first = first.scatter_reduce(0, number, place, "amin")
        rank = torch.empty_like(first)
        rank[torch.argsort(first)] = torch.arange(count, device=labels.device)
        result[index] = rank[inverse].to(torch.int32)
        counts.append(count)
    return result, torch.tensor(counts, dtype=torch.int32, device=labels.device)
