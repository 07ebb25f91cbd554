"""The native kernels as PyTorch ops, and a model's tokenizer on top of them.

``torch.ops.spit.superpixel_merge`` and ``torch.ops.spit.region_features`` take CPU tensors; shapes
are known to the tracer, so models that use them can be compiled and exported.  They run on as many
threads as PyTorch's own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor

from spit_edge.base.token_rows import token_size
from spit_edge.plugins.native import ops


class _HasTokenizer(Protocol):
    tokenizer: Any


_Model = TypeVar("_Model", bound=_HasTokenizer)


@torch.library.custom_op("spit::superpixel_merge", mutates_args=())
def superpixel_merge_op(
    images: Tensor, levels: int, compactness: float, final_threshold: float
) -> tuple[Tensor, Tensor]:
    """Images [B, 3, H, W] to labels int32 [B, H, W] and counts int32 [B]."""
    return ops.superpixel_merge(
        images,
        layout="NCHW",
        levels=levels,
        compactness=compactness,
        final_threshold=final_threshold,
        threads=torch.get_num_threads(),
    )


@superpixel_merge_op.register_fake
def _(
    images: Tensor, levels: int, compactness: float, final_threshold: float
) -> tuple[Tensor, Tensor]:
    batch, _, height, width = images.shape
    labels = images.new_empty((batch, height, width), dtype=torch.int32)
    return labels, images.new_empty((batch,), dtype=torch.int32)


@torch.library.custom_op("spit::region_features", mutates_args=())
def region_features_op(
    images: Tensor,
    labels: Tensor,
    counts: Tensor,
    max_tokens: int,
    bins: int,
    sigma: float,
    gradient: bool,
    interpolation: str,
) -> Tensor:
    """Images [B, 3, H, W] and dense labels to tokens float32 [B, max_tokens, D]."""
    return ops.region_features(
        images,
        labels,
        counts,
        layout="NCHW",
        max_tokens=max_tokens,
        bins=bins,
        sigma=sigma,
        gradient=gradient,
        interpolation=cast(ops.Interpolation, interpolation),
        threads=torch.get_num_threads(),
    )


@region_features_op.register_fake
def _(
    images: Tensor,
    labels: Tensor,
    counts: Tensor,
    max_tokens: int,
    bins: int,
    sigma: float,
    gradient: bool,
    interpolation: str,
) -> Tensor:
    size = token_size(bins, gradient=gradient)
    return images.new_empty((images.shape[0], max_tokens, size), dtype=torch.float32)


def superpixel_merge(
    images: Tensor,
    *,
    levels: int = 4,
    compactness: float | None = None,
    final_threshold: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """As ``spit_edge.spit_ref.superpixel_merge``."""
    labels, counts = superpixel_merge_op(images, levels, compactness or 0.0, final_threshold)
    return labels, counts


def region_features(
    images: Tensor,
    labels: Tensor,
    counts: Tensor,
    *,
    max_tokens: int | None = None,
    bins: int = 16,
    sigma: float = 0.025,
    gradient: bool = True,
    interpolation: str = "bilinear",
) -> Tensor:
    """As ``spit_edge.spit_ref.region_features``."""
    budget = int(counts.max()) if max_tokens is None else max_tokens
    tokens: Tensor = region_features_op(
        images, labels, counts, budget, bins, sigma, gradient, interpolation
    )
    return tokens


def accelerate(model: _Model) -> _Model:
    """Let a reference model tokenize with the native kernels: the same bits, much faster.

    Changes ``model`` in place and returns it.
    """
    model.tokenizer = replace(model.tokenizer, merge=superpixel_merge, features=region_features)
    return model
