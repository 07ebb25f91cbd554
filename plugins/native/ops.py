"""The ops on numpy arrays or torch CPU tensors; results are of the kind of the images.

Images are a batch [B, H, W, 3] or [B, 3, H, W], or one image without the B, which is a batch of
one.  ``layout`` says which ("NHWC" or "NCHW"); None: by the shape (and that of the labels), and
where both layouts fit, "NCHW".  Only what is not contiguous in the order [B, 3, H, W] is copied.
Every argument is checked, attributes by the op's contract; errors name the op, the argument and its
value.

On the main thread Ctrl-C ends an op between its steps with KeyboardInterrupt.  Other threads may
write the arrays of an op that runs: values may be wrong then.

The last three arguments of each op choose how it runs, never what it gives:

threads   CPU threads; None: one per core
executor  "threads", or "shuffled": one thread, work items in a random order and interleaved
seed      of that order
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, overload

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
from spit_edge.plugins.native import _native, arguments
from spit_edge.plugins.native.arguments import Layout, Pixels

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import Unpack

Executor = Literal["threads", "shuffled"]
Interpolation = Literal["bilinear", "nearest"]


class _Options(TypedDict, total=False):
    pixels: Pixels | None
    layout: Layout | None
    threads: int | None
    executor: Executor
    seed: int


class _MergeOptions(_Options, total=False):
    levels: int
    compactness: float | None
    final_threshold: float


class _FeatureOptions(_Options, total=False):
    max_tokens: int | None
    bins: int
    sigma: float
    gradient: bool
    interpolation: Interpolation


@overload
def superpixel_merge(
    images: NDArray[Any], **options: Unpack[_MergeOptions]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]: ...
@overload
def superpixel_merge(images: Tensor, **options: Unpack[_MergeOptions]) -> tuple[Tensor, Tensor]: ...
def superpixel_merge(
    images: Any,
    *,
    levels: int = 4,
    compactness: float | None = None,
    final_threshold: float = 0.0,
    pixels: Pixels | None = None,
    layout: Layout | None = None,
    threads: int | None = None,
    executor: Executor = "threads",
    seed: int = 0,
) -> Any:
    """Superpixels of a batch of images.

    images           uint8 or float32, [B, H, W, 3], [B, 3, H, W] or one image
    levels           rounds of merging, 0...16
    compactness      weight of region compactness in the scores, in [0, 1]; None is 0
    final_threshold  > 0 joins, at the end, all neighbours whose features differ by less;
                     0...8
    pixels           what values mean: 0...255, [0, 1], or ImageNet-normalised; None: uint8 for
                     uint8 images, else unit.  NaN counts as 0, values out of range are clipped
    layout           of the images; None: by their shape

    Returns labels int32 [B, H, W], numbered 0...counts-1 in raster order of first pixels, and
    counts int32 [B].
    """
    array = arguments.images(SUPERPIXEL_MERGE, images, layout)
    labels, counts = call(
        SUPERPIXEL_MERGE,
        array,
        pixels=arguments.pixels(array, pixels),
        levels=levels,
        compactness=0.0 if compactness is None else compactness,
        final_threshold=final_threshold,
        threads=threads,
        executor=executor,
        seed=seed,
    )
    return arguments.like(images, labels), arguments.like(images, counts)


@overload
def region_features(
    images: NDArray[Any], labels: Any, counts: Any, **options: Unpack[_FeatureOptions]
) -> NDArray[np.float32]: ...
@overload
def region_features(
    images: Tensor, labels: Any, counts: Any, **options: Unpack[_FeatureOptions]
) -> Tensor: ...
def region_features(
    images: Any,
    labels: Any,
    counts: Any,
    *,
    max_tokens: int | None = None,
    bins: int = 16,
    sigma: float = 0.025,
    gradient: bool = True,
    interpolation: Interpolation = "bilinear",
    pixels: Pixels | None = None,
    layout: Layout | None = None,
    threads: int | None = None,
    executor: Executor = "threads",
    seed: int = 0,
) -> Any:
    """Token rows of the regions of a batch of images.

    images         uint8 or float32, [B, H, W, 3], [B, 3, H, W] or one image
    labels         integers [B, H, W], dense: 0...counts-1 for each image
    counts         integers [B]
    max_tokens     T, rows per image, 1...2^20; None: the largest count.  Only the first T
                   regions get a row
    bins           K, side of the sampling grid and of the histograms, 2...64
    sigma          bandwidth of the histogram kernel, 0.001...10
    gradient       add the joint histogram of the image gradient
    interpolation  "bilinear", or "nearest" (half to even)
    pixels         as for :func:`superpixel_merge`
    layout         of the images; None: by their shape and that of the labels

    Returns tokens float32 [B, T, K * K * C], zero beyond ``counts``.  The last axis holds, cell by
    cell (row by row), r, g, b, the histogram of positions and, with ``gradient``, of gradients.
    """
    label_array = arguments.int32(REGION_FEATURES, "labels", labels)
    count_array = arguments.int32(REGION_FEATURES, "counts", counts)
    array = arguments.images(REGION_FEATURES, images, layout, label_array.shape[1:])
    (tokens,) = call(
        REGION_FEATURES,
        array,
        label_array,
        count_array,
        pixels=arguments.pixels(array, pixels),
        max_tokens=int(count_array.max(initial=0)) if max_tokens is None else max_tokens,
        bins=bins,
        sigma=sigma,
        gradient=gradient,
        interpolation=interpolation,
        threads=threads,
        executor=executor,
        seed=seed,
    )
    return arguments.like(images, tokens)


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
        arguments.seeds(VORONOI_TESSELLATION, seeds),
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
        raise ContractError(f"{contract.name} is not an op of this package")
    values = contract.field_values({name: arguments.plain(v) for name, v in attributes.items()})
    if (wanted := values.get("token_type", "float32")) != "float32":
        raise ContractError(f"{contract.name} gives {wanted} tokens on GPUs only")
    arrays = [
        arguments.int32(contract, port.name, value)
        if port.dtype == "int32"
        else arguments.as_array(contract, port.name, value)
        for port, value in zip(contract.inputs, inputs, strict=True)
    ]
    numbers = [
        field.choices.index(str(values[field.name])) if field.choices else float(values[field.name])
        for field in contract.fields
    ]
    how = (
        arguments.threads(contract, threads),
        arguments.executor(contract, executor),
        arguments.seed(contract, seed),
    )
    return _native.call(contract.name, arrays, numbers, *how)
