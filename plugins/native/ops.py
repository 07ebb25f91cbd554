"""The ops on numpy arrays or torch CPU tensors; results are of the kind of the images.

Arrays are not copied, so they must be contiguous.  Every argument is checked, attributes by the
op's contract; errors name the op, the argument and its value.  The last three arguments of each op
choose how it runs, never what it gives:

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

from spit_edge.base.contracts import (
    CONTRACTS,
    REGION_FEATURES,
    SUPERPIXEL_MERGE,
    VORONOI_TESSELLATION,
    Contract,
    ContractError,
)
from spit_edge.base.ranges import THREADS
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
    levels           rounds of merging, 0...16
    compactness      weight of region compactness in the scores, in [0, 1]; None is 0
    final_threshold  > 0 joins, at the end, all neighbours whose features differ by less;
                     0...8
    pixels           what values mean: 0...255, [0, 1], or ImageNet-normalised; None: uint8 for
                     uint8 images, else unit.  NaN counts as 0, values out of range are clipped

    Returns labels int32 [B, H, W], numbered 0...counts-1 in raster order of first pixels, and
    counts int32 [B].
    """
    array = _images(SUPERPIXEL_MERGE, images)
    labels, counts = call(
        SUPERPIXEL_MERGE,
        array,
        pixels=_pixels(array, pixels),
        levels=levels,
        compactness=0.0 if compactness is None else compactness,
        final_threshold=final_threshold,
        threads=threads,
        executor=executor,
        seed=seed,
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
    max_tokens     T, rows per image, 1...2^20; None: the largest count.  Only the first T
                   regions get a row
    bins           K, side of the sampling grid and of the histograms, 2...64
    sigma          bandwidth of the histogram kernel, 0.001...10
    gradient       add the joint histogram of the image gradient
    interpolation  "bilinear", or "nearest" (half to even)
    pixels         as for :func:`superpixel_merge`

    Returns tokens float32 [B, T, K * K * C], zero beyond ``counts``.  The last axis holds, cell by
    cell (row by row), r, g, b, the histogram of positions and, with ``gradient``, of gradients.
    """
    array = _images(REGION_FEATURES, images)
    count_array = _int32(REGION_FEATURES, "counts", counts)
    (tokens,) = call(
        REGION_FEATURES,
        array,
        labels,
        count_array,
        pixels=_pixels(array, pixels),
        max_tokens=int(count_array.max(initial=0)) if max_tokens is None else max_tokens,
        bins=bins,
        sigma=sigma,
        gradient=gradient,
        interpolation=interpolation,
        threads=threads,
        executor=executor,
        seed=seed,
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
    labels, counts = call(
        VORONOI_TESSELLATION,
        _seeds(VORONOI_TESSELLATION, seeds),
        height=height,
        width=width,
        threads=threads,
        executor=executor,
        seed=seed,
    )
    return labels, counts


def call(
    contract: Contract,
    *inputs: Any,
    threads: int | None = None,
    executor: str = "threads",
    seed: int = 0,
    **attributes: Any,
) -> tuple[NDArray[Any], ...]:
    """Any op by its contract: inputs in the contract's order, attributes by name.

    Outputs are arrays in the contract's order, of the contract's types.
    """
    if contract not in CONTRACTS:
        raise ContractError(f"{contract.name} is no op of this package")
    values = contract.field_values({name: _plain(v) for name, v in attributes.items()})
    if (wanted := values.get("token_type", "float32")) != "float32":
        raise ContractError(f"{contract.name} gives {wanted} tokens on GPUs only")
    arrays = [
        _int32(contract, port.name, value)
        if port.dtype == "int32"
        else _array(contract, port.name, value)
        for port, value in zip(contract.inputs, inputs, strict=True)
    ]
    numbers = [
        field.choices.index(str(values[field.name])) if field.choices else float(values[field.name])
        for field in contract.fields
    ]
    how = (_threads(contract, threads), _executor(contract, executor), _seed(contract, seed))
    return _native.call(contract.name, arrays, numbers, *how)


def _is_tensor(value: object) -> bool:
    """Without importing torch: a tensor can only come from a torch that is imported already."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _array(contract: Contract, name: str, value: Any) -> NDArray[Any]:
    what = f"{contract.name}: {name} must be"
    if _is_tensor(value):
        if value.device.type != "cpu":
            raise TypeError(f"{what} on the CPU, not on {value.device}")
        if value.layout is not sys.modules["torch"].strided:
            raise TypeError(f"{what} a dense tensor, not {value.layout}")
        if not value.is_contiguous():
            raise ValueError(f"{what} contiguous; call .contiguous() first")
        try:
            array: NDArray[Any] = value.detach().numpy()
        except (TypeError, RuntimeError) as error:
            raise TypeError(f"{what} a tensor that numpy can hold: {error}") from None
        return array
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{what} a numpy array or a torch tensor, not {type(value).__name__}")
    return value


def _images(contract: Contract, value: Any) -> NDArray[Any]:
    array = _array(contract, "images", value)
    if array.dtype not in (np.uint8, np.float32):
        raise TypeError(f"{contract.name}: images must be uint8 or float32, not {array.dtype}")
    return array


def _int32(contract: Contract, name: str, value: Any) -> NDArray[np.int32]:
    array = _array(contract, name, value)
    if array.dtype == np.int32:
        return array
    if array.dtype.kind not in "iu":
        raise TypeError(f"{contract.name}: {name} must be integers, not {array.dtype}")
    narrow = array.astype(np.int32)
    if not np.array_equal(narrow, array):
        raise ValueError(f"{contract.name}: {name} must fit in 32 bits, but reach {array.max()}")
    return narrow


def _pixels(images: NDArray[Any], pixels: Pixels | None) -> str:
    if pixels is not None:
        return pixels
    return "uint8" if images.dtype == np.uint8 else "unit"


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _threads(contract: Contract, threads: int | None) -> int:
    if threads is None:
        return 0
    wanted = _whole(contract, "threads", threads)
    if wanted not in THREADS:
        raise ValueError(f"{contract.name}: threads must be {THREADS}, or None, not {wanted}")
    return wanted


def _executor(contract: Contract, executor: str) -> str:
    if not isinstance(executor, str):
        raise TypeError(f"{contract.name}: executor must be a string, not {executor!r}")
    return executor


def _seed(contract: Contract, seed: int) -> int:
    return _whole(contract, "seed", seed) % 2**64


def _whole(contract: Contract, name: str, value: int) -> int:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise TypeError(f"{contract.name}: {name} must be an integer, not {value!r}")
    return int(value)


def _seeds(contract: Contract, seeds: Any) -> NDArray[np.int64]:
    """One integer or several; only their lowest 64 bits count."""
    try:
        chosen = [operator.index(one) for one in (seeds if np.iterable(seeds) else [seeds])]
    except TypeError:
        raise TypeError(f"{contract.name}: seeds must be integers, not {seeds!r}") from None
    if not chosen:
        raise ValueError(f"{contract.name}: seeds must not be empty")
    return np.array([(one + 2**63) % 2**64 - 2**63 for one in chosen], dtype=np.int64)


def _like(images: Any, result: NDArray[Any]) -> Any:
    return sys.modules["torch"].from_numpy(result) if _is_tensor(images) else result
