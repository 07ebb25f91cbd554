"""The tokenizer of a bundle on a stream: from images to regions, and from regions to tokens."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from spit_edge.base.token_rows import token_size
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.cuda.api import Stream
from spit_edge.runtime.cuda.kernels import (
    FLOAT32,
    INTERPOLATIONS,
    PIXELS,
    Arguments,
    SpitFeatures,
    SpitImages,
    SpitMerge,
    SpitVoronoi,
    TokenizerLibrary,
)
from spit_edge.runtime.cuda.memory import GpuArray, GpuMemory, PinnedArray, copy, upload


class _Pass:
    """One op of the library on ``stream``, with workspace for the bundle's largest batch."""

    def __init__(self, library: TokenizerLibrary, bundle: Bundle, stream: Stream) -> None:
        self._library, self._stream, self._manifest = library, stream, bundle.manifest
        self._workspace: GpuMemory | None = None

    def close(self) -> None:
        """Release the workspace; the stream must be idle."""
        if self._workspace is not None:
            self._workspace.close()

    def _enqueue(self, arguments: Arguments, largest: Arguments) -> None:
        if self._workspace is None:
            self._workspace = GpuMemory(self._library.workspace(largest))
        arguments.workspace = self._workspace.address
        self._library.enqueue(arguments, int(self._stream))

    def _images(self, address: int, batch: int) -> SpitImages:
        size = self._manifest.preprocessing
        return SpitImages(address, 0, PIXELS["uint8"], batch, size.height, size.width)


class RegionFeatures(_Pass):
    """From images and labels to tokens."""

    @property
    def token_size(self) -> int:
        """Values of a token."""
        return token_size(self._manifest.tokenizer.bins, gradient=self._manifest.gradient)

    def enqueue(self, batch: int, images: int, labels: int, counts: int, tokens: int) -> None:
        """GPU addresses of uint8 [B, 3, H, W], int32 [B, H, W] and [B], to float32 [B, T, D]."""
        addresses = (images, labels, counts, tokens)
        largest = self._arguments(self._manifest.batch.max, *addresses)
        self._enqueue(self._arguments(batch, *addresses), largest)

    def _arguments(
        self, batch: int, images: int, labels: int, counts: int, tokens: int
    ) -> SpitFeatures:
        tokenizer = self._manifest.tokenizer
        return SpitFeatures(
            images=self._images(images, batch),
            labels=labels,
            counts=counts,
            max_tokens=self._manifest.token_budget,
            bins=tokenizer.bins,
            sigma=tokenizer.sigma,
            gradient=int(self._manifest.gradient),
            interpolation=INTERPOLATIONS[tokenizer.interpolation],
            token_type=FLOAT32,
            tokens=tokens,
        )


class Superpixels(_Pass):
    """From images to superpixels."""

    def enqueue(self, batch: int, images: int, labels: int, counts: int) -> None:
        """GPU addresses of uint8 [B, 3, H, W], to int32 [B, H, W] and [B]."""
        largest = self._arguments(self._manifest.batch.max, images, labels, counts)
        self._enqueue(self._arguments(batch, images, labels, counts), largest)

    def _arguments(self, batch: int, images: int, labels: int, counts: int) -> SpitMerge:
        tokenizer = self._manifest.tokenizer
        return SpitMerge(
            images=self._images(images, batch),
            levels=tokenizer.levels,
            compactness=tokenizer.compactness or 0.0,
            final_threshold=tokenizer.threshold,
            labels=labels,
            counts=counts,
        )


class VoronoiCells(_Pass):
    """From seeds to cells."""

    def enqueue(self, batch: int, seeds: int, labels: int, counts: int) -> None:
        """GPU addresses of int64 [B], to int32 [B, H, W] and [B]."""
        largest = self._arguments(self._manifest.batch.max, seeds, labels, counts)
        self._enqueue(self._arguments(batch, seeds, labels, counts), largest)

    def _arguments(self, batch: int, seeds: int, labels: int, counts: int) -> SpitVoronoi:
        size = self._manifest.preprocessing
        return SpitVoronoi(seeds, batch, size.height, size.width, labels, counts)


class FixedRegions:
    """The same regions for every image, kept on the GPU."""

    def __init__(self, bundle: Bundle, stream: Stream) -> None:
        self._stream, largest = stream, bundle.manifest.batch.max
        regions = bundle.read_regions()
        with ExitStack() as stack:
            self._labels = stack.enter_context(GpuArray((largest, *regions.shape), np.int32))
            self._counts = stack.enter_context(GpuArray((largest,), np.int32))
            for array, value in ((self._labels, regions), (self._counts, regions.max() + 1)):
                with PinnedArray.like(array) as pinned:
                    upload(np.broadcast_to(value, array.shape), pinned, array, stream)
                    stream.synchronize()
            self._resources = stack.pop_all()

    def enqueue(self, batch: int, labels: int, counts: int) -> None:
        """Copy them to GPU addresses of int32 [B, H, W] and [B]."""
        for array, target in ((self._labels, labels), (self._counts, counts)):
            copy(array.address, target, batch * array.row_bytes, self._stream)

    def close(self) -> None:
        """Release the memory; the stream must be idle."""
        self._resources.close()
