"""The tokenizer of a bundle on the CPU, by the native kernels."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from spit_edge.plugins.native import ops
from spit_edge.runtime.backends.protocol import Outputs
from spit_edge.runtime.bundle.folder import Bundle


class NativeTokenizer:
    """From images to labels, num_tokens and tokens."""

    def __init__(self, bundle: Bundle, threads: int | None) -> None:
        self._manifest, self._threads = bundle.manifest, threads
        fixed = bundle.manifest.tokenizer.kind in ("square", "pca_tree")
        self._regions = bundle.read_regions() if fixed else None

    def run(self, images: NDArray[np.uint8], seeds: NDArray[np.int64] | None) -> Outputs:
        """uint8 [B, 3, H, W], and int64 [B] or None for the bundle's own seed."""
        labels, counts = self.regions(images, seeds)
        tokens = self.tokens(images, labels, counts, self._manifest.token_budget)
        return {"labels": labels, "num_tokens": counts, "tokens": tokens}

    def tokens(
        self,
        images: NDArray[np.uint8],
        labels: NDArray[np.int32],
        counts: NDArray[np.int32],
        rows: int,
    ) -> NDArray[np.float32]:
        """float32 [B, rows, D]: the first ``rows`` of given regions, zeros behind them."""
        tokenizer = self._manifest.tokenizer
        if tokenizer.interpolation not in ("bilinear", "nearest"):
            raise ValueError(f"unknown interpolation {tokenizer.interpolation}")
        return ops.region_features(
            images,
            labels,
            counts,
            layout="NCHW",
            max_tokens=rows,
            bins=tokenizer.bins,
            sigma=tokenizer.sigma,
            gradient=self._manifest.gradient,
            interpolation=cast(ops.Interpolation, tokenizer.interpolation),
            threads=self._threads,
        )

    def regions(
        self, images: NDArray[np.uint8], seeds: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Labels int32 [B, H, W] and their numbers int32 [B]."""
        tokenizer, (batch, _, height, width) = self._manifest.tokenizer, images.shape
        if self._regions is not None:
            labels = np.broadcast_to(self._regions, (batch, height, width)).copy()
            return labels, np.full(batch, self._regions.max() + 1, np.int32)
        if tokenizer.kind == "voronoi":
            chosen = [tokenizer.seed or 0] * batch if seeds is None else seeds.tolist()
            return ops.voronoi_tessellation(chosen, height, width, threads=self._threads)
        return ops.superpixel_merge(
            images,
            layout="NCHW",
            levels=tokenizer.levels,
            compactness=tokenizer.compactness,
            final_threshold=tokenizer.threshold,
            threads=self._threads,
        )
