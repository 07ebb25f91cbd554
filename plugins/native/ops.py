"""The ops on numpy arrays or torch CPU tensors; results are of the kind of the images.

Arrays are not copied, so they must be contiguous.  Every argument is checked; errors name the op,
the argument and its value.  The last three arguments of each op choose how it runs, never what it
gives:

threads   CPU threads; None: one per core
executor  "threads", or "shuffled": one thread, work items in a random order and interleaved
seed      of that order
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from spit_edge.plugins.native import _native

if TYPE_CHECKING:
    import torch

Pixels = Literal["uint8", "unit", "imagenet"]
Executor = Literal["threads", "shuffled"]
Array = TypeVar("Array", NDArray[Any], "torch.Tensor")


def superpixel_merge(
    images: Array,
    *,
    levels: int = 4,
    compactness: float | None = None,
    final_threshold: float = 0.0,
    pixels: Pixels | None = None,
    threads: int | None = None,
    executor: Executor = "threads",
    seed: int = 0,
) -> tuple[Array, Array]:
    """Superpixels of a batch of images.

    images           [B, 3, H, W] uint8 or float32
    levels           rounds of merging, >= 0
    compactness      weight of region compactness in the scores, in [0, 1]; None is 0
    final_threshold  > 0 joins, at the end, all neighbours whose features differ by less
    pixels           what values mean: 0...255, [0, 1], or ImageNet-normalised; None: uint8 for
                     uint8 images, else unit.  NaN counts as 0, values out of range are clipped

    Returns labels int32 [B, H, W], numbered 0...counts-1 in raster order of first pixels, and
    counts int32 [B].
    """
    op = "superpixel_merge"
    array = _images(op, images)
    labels, counts = _native.superpixel_merge(
        array,
        _pixels(op, array, pixels),
        _whole(op, "levels", levels),
        0.0 if compactness is None else _real(op, "compactness", compactness),
        _real(op, "final_threshold", final_threshold),
        _threads(op, threads),
        _text(op, "executor", executor),
        _whole(op, "seed", seed) % 2**64,
    )
    return _like(images, labels), _like(images, counts)


def region_features(
    images: Array,
    labels: Any,
    counts: Any,
    *,
    max_tokens: int | None = None,
    bins: int = 16,
    sigma: float = 0.025,
    gradient: bool = True,
    interpolation: Literal["bilinear", "nearest"] = "bilinear",
    pixels: Pixels | None = None,
    threads: int | None = None,
    executor: Executor = "threads",
    seed: int = 0,
) -> Array:
    """Token rows of the regions of a batch of images.

    images         [B, 3, H, W] uint8 or float32
    labels         integers [B, H, W], dense: 0...counts-1 for each image
    counts         integers [B]
    max_tokens     T, rows per image; None: the largest count.  Only the first T regions get a row
    bins           K, side of the sampling grid and of the histograms, 2...64
    sigma          bandwidth of the histogram kernel, > 0
    gradient       add the joint histogram of the image gradient
    interpolation  "bilinear", or "nearest" (half to even)
    pixels         as for :func:`superpixel_merge`

    Returns tokens float32 [B, T, K * K * C], zero beyond ``counts``.  The last axis holds, cell by
    cell (row by row), r, g, b, the histogram of positions and, with ``gradient``, of gradients.
    """
    op = "region_features"
    array = _images(op, images)
    count_array = _int32(op, "counts", counts)
    if max_tokens is None:
        max_tokens = int(count_array.max(initial=0))
    tokens = _native.region_features(
        array,
        _int32(op, "labels", labels),
        count_array,
        _pixels(op, array, pixels),
        _whole(op, "max_tokens", max_tokens),
        _whole(op, "bins", bins),
        _real(op, "sigma", sigma),
        _flag(op, "gradient", gradient),
        _text(op, "interpolation", interpolation),
        _threads(op, threads),
        _text(op, "executor", executor),
        _whole(op, "seed", seed) % 2**64,
    )
    result: Array = _like(images, tokens)
    return result


def voronoi_tessellation(
    seeds: int | Sequence[int],
    height: int,
    width: int,
    *,
    threads: int | None = None,
    executor: Executor = "threads",
    seed: int = 0,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Voronoi cells of round(sqrt(H W)) random sites, one tessellation per seed (int64).

    Returns labels int32 [B, H, W], numbered in raster order of first pixels, and counts int32 [B].
    """
    op = "voronoi_tessellation"
    return _native.voronoi_tessellation(
        _seeds(op, seeds),
        _whole(op, "height", height),
        _whole(op, "width", width),
        _threads(op, threads),
        _text(op, "executor", executor),
        _whole(op, "seed", seed) % 2**64,
    )


def _is_tensor(value: object) -> bool:
    """Without importing torch: a tensor can only come from a torch that is imported already."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _array(op: str, name: str, value: Any) -> NDArray[Any]:
    if _is_tensor(value):
        if value.device.type != "cpu":
            raise TypeError(f"{op}: {name} must be on the CPU, not on {value.device}")
        if value.layout is not sys.modules["torch"].strided:
            raise TypeError(f"{op}: {name} must be a dense tensor, not {value.layout}")
        if not value.is_contiguous():
            raise ValueError(f"{op}: {name} must be contiguous; call .contiguous() first")
        try:
            array: NDArray[Any] = value.detach().numpy()
        except (TypeError, RuntimeError) as error:
            raise TypeError(f"{op}: {name} must be a tensor that numpy can hold: {error}") from None
        return array
    if not isinstance(value, np.ndarray):
        kind = type(value).__name__
        raise TypeError(f"{op}: {name} must be a numpy array or a torch tensor, not {kind}")
    return value


def _images(op: str, value: Any) -> NDArray[Any]:
    array = _array(op, "images", value)
    if array.dtype not in (np.uint8, np.float32):
        raise TypeError(f"{op}: images must be uint8 or float32, not {array.dtype}")
    return array


def _int32(op: str, name: str, value: Any) -> NDArray[np.int32]:
    array = _array(op, name, value)
    if array.dtype == np.int32:
        return array
    if array.dtype.kind not in "iu":
        raise TypeError(f"{op}: {name} must be integers, not {array.dtype}")
    narrow = array.astype(np.int32)
    if not np.array_equal(narrow, array):
        raise ValueError(f"{op}: {name} must fit in 32 bits, but reach {array.max()}")
    return narrow


def _pixels(op: str, images: NDArray[Any], pixels: Pixels | None) -> str:
    if pixels is not None:
        return _text(op, "pixels", pixels)
    return "uint8" if images.dtype == np.uint8 else "unit"


def _threads(op: str, threads: int | None) -> int:
    if threads is None:
        return 0
    if threads == 0:
        raise ValueError(f"{op}: threads must be at least 1, or None, not 0")
    return _whole(op, "threads", threads)


def _whole(op: str, name: str, value: int) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"{op}: {name} must be an integer, not {value!r}")
    if name != "seed" and not -(2**31) <= value < 2**31:
        raise ValueError(f"{op}: {name} must fit in 32 bits, not {value}")
    return int(value)


def _real(op: str, name: str, value: float) -> float:
    if not isinstance(value, (int, float, np.integer, np.floating)) or isinstance(value, bool):
        raise TypeError(f"{op}: {name} must be a number, not {value!r}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{op}: {name} must be finite, not {value}") from None


def _flag(op: str, name: str, value: bool) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{op}: {name} must be True or False, not {value!r}")
    return bool(value)


def _text(op: str, name: str, value: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{op}: {name} must be a string, not {value!r}")
    return value


def _seeds(op: str, seeds: Any) -> NDArray[np.int64]:
    """One integer or several; only their lowest 64 bits count."""
    try:
        chosen = [operator.index(one) for one in (seeds if np.iterable(seeds) else [seeds])]
    except TypeError:
        raise TypeError(f"{op}: seeds must be integers, not {seeds!r}") from None
    if not chosen:
        raise ValueError(f"{op}: seeds must not be empty")
    return np.array([(one + 2**63) % 2**64 - 2**63 for one in chosen], dtype=np.int64)


def _like(images: Any, result: NDArray[Any]) -> Any:
    return sys.modules["torch"].from_numpy(result) if _is_tensor(images) else result
