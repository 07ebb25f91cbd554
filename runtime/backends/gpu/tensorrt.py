"""The whole graph, tokenizer plugins included, as one TensorRT engine."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spit_edge.runtime.backends.gpu.engine_file import OpenEngine, open_engine
from spit_edge.runtime.backends.gpu.network import ALIGNMENT, Binding, Network, use_graphs
from spit_edge.runtime.backends.gpu.pipeline import SLOTS, Batch, PipelinedBackend
from spit_edge.runtime.backends.gpu.tokenizer import RegionFeatures
from spit_edge.runtime.backends.protocol import Outputs
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.cuda.api import Event, Stream
from spit_edge.runtime.cuda.images import GpuImages
from spit_edge.runtime.cuda.memory import GpuArray, PinnedArray, copy, download, upload


@dataclass(frozen=True)
class _Slot:
    """Pinned memory for a batch's inputs and outputs, and the event after which these are there."""

    pinned: dict[str, PinnedArray]
    done: Event


class TensorRTBackend(PipelinedBackend[_Slot]):
    """See :class:`AsyncBackend`.

    All batches go through one stream, so memory on the GPU exists once and pinned memory per slot:
    the host prepares a batch while the GPU computes the one before.

    Images on the GPU are used where they lie, unless their address is no multiple of 256, which
    TensorRT wants: those are copied on the GPU.

    Token rows that the bundle does not give are computed beside the engine, from the engine's
    labels, by the library its plugin comes from.  They are what the plugin makes, not what it made:
    to see those, export with the output "tokens".

    threads  means nothing here
    engine   the opened engine; None: the bundle's for this GPU
    graphs   whether to use CUDA graphs; None: unless the variable SPIT_CUDA_GRAPHS is 0

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
        opened = engine or open_engine(bundle, "full")
        with ExitStack() as stack:
            self._stream = stream = stack.enter_context(Stream())
            self._network = stack.enter_context(
                closing(Network(opened, stream, graphs=use_graphs(graphs)))
            )
            self._network.check(manifest.inputs, manifest.outputs, manifest)
            tensors = {**self._network.inputs, **self._network.outputs}
            self._arrays = {
                name: stack.enter_context(GpuArray(tensor.shape, tensor.dtype))
                for name, tensor in tensors.items()
            }
            self._features = stack.enter_context(
                closing(RegionFeatures(opened.library, bundle, stream))
            )
            slots = [self._slot(stack) for _ in range(SLOTS)]
            self._open(bundle, slots, stream, stream.synchronize, stack.pop_all())

    def _slot(self, stack: ExitStack) -> _Slot:
        pinned = {
            name: stack.enter_context(PinnedArray.like(array))
            for name, array in self._arrays.items()
        }
        return _Slot(pinned, stack.enter_context(Event()))

    def _start(self, slot: _Slot, batch: Batch) -> None:
        count, images = len(batch), batch.images
        bindings = {
            name: Binding(self._arrays[name].address, (count, *self._arrays[name].shape[1:]))
            for name in (*self._network.inputs, *self._network.outputs)
        }
        lasting = True
        if not isinstance(images, GpuImages):
            self._upload(slot, "images", images)
        elif images.address % ALIGNMENT:
            source, target = images.address, self._arrays["images"]
            copy(source, target.address, count * target.row_bytes, self._stream)
        else:
            # A graph holds addresses, and those of somebody else's images seldom come again.
            bindings["images"], lasting = Binding(images.address, images.shape), False
        if batch.seeds is not None:
            self._upload(slot, "seeds", batch.seeds)
        self._network.enqueue(bindings, lasting=lasting)
        if batch.tokens and "tokens" not in self._network.outputs:
            self._add_tokens(slot, count, bindings)
        for name in self._outputs(batch):
            download(self._arrays[name], slot.pinned[name], count, self._stream)
        slot.done.record(self._stream)

    def _collect(self, slot: _Slot, batch: Batch) -> Outputs:
        slot.done.synchronize()
        return {name: slot.pinned[name].view[: len(batch)].copy() for name in self._outputs(batch)}

    def _outputs(self, batch: Batch) -> list[str]:
        names = list(self._network.outputs)
        return [*names, "tokens"] if batch.tokens and "tokens" not in names else names

    def _upload(self, slot: _Slot, name: str, values: NDArray[Any]) -> None:
        upload(values, slot.pinned[name], self._arrays[name], self._stream)

    def _add_tokens(self, slot: _Slot, count: int, bindings: dict[str, Binding]) -> None:
        """Compute token rows beside the engine; the first time, make room for them."""
        manifest = self._bundle.manifest
        if "tokens" not in self._arrays:
            shape = (manifest.batch.max, manifest.token_budget, self._features.token_size)
            self._arrays["tokens"] = self._resources.enter_context(GpuArray(shape, np.float32))
        if "tokens" not in slot.pinned:
            slot.pinned["tokens"] = self._resources.enter_context(
                PinnedArray.like(self._arrays["tokens"])
            )
        self._features.enqueue(
            count,
            images=bindings["images"].address,
            labels=bindings["labels"].address,
            counts=bindings["num_tokens"].address,
            tokens=self._arrays["tokens"].address,
        )
