"""What the TensorRT back ends share: batches in flight, and images that lie on the GPU."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from spit_edge.runtime.backends.backend import Outputs
from spit_edge.runtime.backends.gpu.pipeline import Batch, Frame, Pipeline, Slot
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.cuda.api import Stream
from spit_edge.runtime.cuda.images import GpuImages, adopt


class PipelinedBackend(ABC, Generic[Slot]):
    """See :class:`AsyncBackend`.

    A subclass makes its resources, tells :meth:`_open` of them, and says how a batch starts on the
    GPU and how its outputs are collected.
    """

    def _open(
        self,
        bundle: Bundle,
        slots: Sequence[Slot],
        intake: Stream,
        drain: Callable[[], None],
        resources: ExitStack,
    ) -> None:
        """``intake`` is the stream that reads images, ``drain`` waits for all streams."""
        self._bundle, self._intake, self._resources = bundle, intake, resources
        self._pipeline = Pipeline(slots, self._start, self._collect, drain)

    def run(
        self,
        images: NDArray[np.uint8] | GpuImages,
        *,
        seeds: NDArray[np.int64] | None = None,
        tokens: bool = False,
    ) -> Outputs:
        return self.submit(images, seeds=seeds, tokens=tokens).result()

    def submit(
        self,
        images: NDArray[np.uint8] | GpuImages,
        *,
        seeds: NDArray[np.int64] | None = None,
        tokens: bool = False,
    ) -> Frame:
        return self._pipeline.submit(Batch(images, seeds, tokens))

    def adopt(self, images: Any) -> GpuImages:
        size = self._bundle.manifest.preprocessing
        # With the lock, because a stream must not be made to wait while it is captured.
        with self._pipeline.lock:
            self._pipeline.enter()
            return adopt(images, size.height, size.width, self._intake)

    def close(self) -> None:
        if self._pipeline.close():
            self._resources.close()

    @abstractmethod
    def _start(self, slot: Slot, batch: Batch) -> None:
        """Give a batch to the GPU."""

    @abstractmethod
    def _collect(self, slot: Slot, batch: Batch) -> Outputs:
        """Wait for it and copy its outputs out of the slot."""


def use_graphs(chosen: bool | None) -> bool:
    """``chosen``, or what the environment variable SPIT_CUDA_GRAPHS says: on, unless it is 0."""
    return os.environ.get("SPIT_CUDA_GRAPHS", "1") != "0" if chosen is None else chosen
