"""The tokenizer's kernels on one stream and the trunk, an engine without plugins, on another.

While the trunk works on a batch, the next one is tokenized.  The trunk always gets all T token
slots of the bundle: how many an image fills is known on the GPU only, and waiting for that number
on the host would cost more than the empty slots, which the trunk masks by the counts.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spit_edge.runtime.backends.gpu.engine_file import OpenEngine, open_engine
from spit_edge.runtime.backends.gpu.network import Binding, Network, use_graphs
from spit_edge.runtime.backends.gpu.pipeline import SLOTS, Batch, PipelinedBackend, StageEvents
from spit_edge.runtime.backends.gpu.tokenizer import (
    FixedRegions,
    RegionFeatures,
    Superpixels,
    VoronoiCells,
)
from spit_edge.runtime.backends.protocol import Outputs
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.bundle.manifest import Manifest, TensorSpec
from spit_edge.runtime.cuda.api import Event, Stream
from spit_edge.runtime.cuda.images import GpuImages
from spit_edge.runtime.cuda.memory import GpuArray, PinnedArray, download, upload

_TOKENIZED = ("labels", "num_tokens", "tokens")
"""What the tokenizer gives; the rest comes from the trunk."""


@dataclass(frozen=True)
class _Slot:
    """Arrays of one batch.  What both streams touch exists once per slot."""

    arrays: dict[str, GpuArray]
    pinned: dict[str, PinnedArray]
    tokenized: Event
    described: Event
    classified: Event


class TensorRTSplitBackend(PipelinedBackend[_Slot]):
    """See :class:`AsyncBackend`; the trunk may be of TensorRT or TensorRT-RTX.

    threads  means nothing here
    engine   the opened engine of the trunk; None: the bundle's for this GPU
    graphs   whether the trunk uses CUDA graphs; None: unless SPIT_CUDA_GRAPHS is 0

    Raises BackendUnavailable with the reason.
    """

    def __init__(
        self,
        bundle: Bundle,
        threads: int | None = None,
        *,
        engine: OpenEngine | None = None,
        graphs: bool | None = None,
    ) -> None:
        manifest = bundle.manifest
        opened = engine or open_engine(bundle, "trunk")
        with ExitStack() as stack:
            self._tokenizer = stack.enter_context(Stream())
            self._trunk = stack.enter_context(Stream())
            self._network = stack.enter_context(
                closing(Network(opened, self._trunk, graphs=use_graphs(graphs)))
            )
            self._features = stack.enter_context(
                closing(RegionFeatures(opened.library, bundle, self._tokenizer))
            )
            inputs = _trunk_inputs(manifest, self._features.token_size)
            outputs = [spec for spec in manifest.outputs if spec.name not in _TOKENIZED]
            self._network.check(inputs, outputs, manifest)
            self._regions = stack.enter_context(closing(_regions(opened, bundle, self._tokenizer)))
            size = manifest.preprocessing
            shape = (manifest.batch.max, size.height, size.width)
            self._images = stack.enter_context(GpuArray((shape[0], 3, *shape[1:]), np.uint8))
            self._labels = stack.enter_context(GpuArray(shape, np.int32))
            self._seeds = stack.enter_context(GpuArray(shape[:1], np.int64))
            self._gives_tokens = any(spec.name == "tokens" for spec in manifest.outputs)
            slots = [self._slot(stack) for _ in range(SLOTS)]
            self._open(bundle, slots, self._tokenizer, self._drain, stack.pop_all())

    def _slot(self, stack: ExitStack) -> _Slot:
        tensors = {**self._network.inputs, **self._network.outputs}
        arrays = {
            name: stack.enter_context(GpuArray(tensor.shape, tensor.dtype))
            for name, tensor in tensors.items()
        }
        hosted = {**arrays, "images": self._images, "labels": self._labels, "seeds": self._seeds}
        if not self._gives_tokens:
            del hosted["tokens"]
        pinned = {n: stack.enter_context(PinnedArray.like(array)) for n, array in hosted.items()}
        events = [stack.enter_context(Event()) for _ in range(3)]
        return _Slot(arrays, pinned, *events)

    def stages(
        self, images: NDArray[np.uint8], *, seeds: NDArray[np.int64] | None = None
    ) -> dict[str, float]:
        with StageEvents() as events:
            self._pipeline.submit(Batch(images, seeds, False, events)).result()
            return events.milliseconds()

    def _start(self, slot: _Slot, batch: Batch) -> None:
        """The slot's last batch is finished, so that nothing reads or writes its arrays."""
        count, stream = len(batch), self._tokenizer
        self._tokenize(slot, batch)
        slot.tokenized.record(stream)
        download(self._labels, slot.pinned["labels"], count, stream)
        download(slot.arrays["num_tokens"], slot.pinned["num_tokens"], count, stream)
        if batch.tokens or self._gives_tokens:
            if "tokens" not in slot.pinned:
                pinned = PinnedArray.like(slot.arrays["tokens"])
                slot.pinned["tokens"] = self._resources.enter_context(pinned)
            download(slot.arrays["tokens"], slot.pinned["tokens"], count, stream)
        slot.described.record(stream)

        self._trunk.wait(slot.tokenized)
        self._network.enqueue(
            {
                n: Binding(array.address, (count, *array.shape[1:]))
                for n, array in slot.arrays.items()
            }
        )
        if batch.events:
            batch.events.end("trunk", self._trunk)
        for name in self._network.outputs:
            download(slot.arrays[name], slot.pinned[name], count, self._trunk)
        slot.classified.record(self._trunk)

    def _tokenize(self, slot: _Slot, batch: Batch) -> None:
        count, stream, regions = len(batch), self._tokenizer, self._regions
        if isinstance(batch.images, GpuImages):
            images = batch.images.address
        else:
            upload(batch.images, slot.pinned["images"], self._images, stream)
            images = self._images.address
        if batch.events:
            batch.events.begin(stream)
        labels, counts = self._labels.address, slot.arrays["num_tokens"].address
        if isinstance(regions, Superpixels):
            regions.enqueue(count, images, labels, counts)
        elif isinstance(regions, VoronoiCells):
            seed = self._bundle.manifest.tokenizer.seed or 0
            seeds = np.full(count, seed, np.int64) if batch.seeds is None else batch.seeds
            upload(seeds, slot.pinned["seeds"], self._seeds, stream)
            regions.enqueue(count, self._seeds.address, labels, counts)
        else:
            regions.enqueue(count, labels, counts)
        if batch.events:
            batch.events.end("labels", stream)
        self._features.enqueue(count, images, labels, counts, slot.arrays["tokens"].address)
        if batch.events:
            batch.events.end("features", stream)

    def _collect(self, slot: _Slot, batch: Batch) -> Outputs:
        # Both, even if the first one fails: afterwards the slot is used again.
        try:
            slot.described.synchronize()
        finally:
            slot.classified.synchronize()
        names = ["labels", "num_tokens", *self._network.outputs]
        if batch.tokens or self._gives_tokens:
            names.append("tokens")
        return {name: slot.pinned[name].view[: len(batch)].copy() for name in names}

    def _drain(self) -> None:
        try:
            self._tokenizer.synchronize()
        finally:
            self._trunk.synchronize()


def _regions(
    opened: OpenEngine, bundle: Bundle, stream: Stream
) -> Superpixels | VoronoiCells | FixedRegions:
    kind = bundle.manifest.tokenizer.kind
    if kind == "superpixel":
        return Superpixels(opened.library, bundle, stream)
    if kind == "voronoi":
        return VoronoiCells(opened.library, bundle, stream)
    return FixedRegions(bundle, stream)


def _trunk_inputs(manifest: Manifest, token_size: int) -> list[TensorSpec]:
    return [
        TensorSpec(name="tokens", dtype="float32", shape=["B", "T", token_size]),
        TensorSpec(name="num_tokens", dtype="int32", shape=["B"]),
    ]
