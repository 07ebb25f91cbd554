"""Single ops on arrays of the GPU, for checks and benchmarks: one stream, whatever is needed kept.

The back ends have pipelines of their own, which neither allocate nor wait.
"""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spit_edge.runtime.cuda.api import Stream
from spit_edge.runtime.cuda.kernels import PIXELS, Arguments, SpitImages, TokenizerLibrary
from spit_edge.runtime.cuda.memory import GpuArray, GpuMemory, PinnedArray, download, upload


class OpRuns:
    """A stream, arrays on the GPU and runs of ops on them; all is released at the end."""

    def __init__(self) -> None:
        self._resources = ExitStack()
        self.stream = self._resources.enter_context(Stream())

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> GpuArray:
        """A new one, its values arbitrary."""
        return self._resources.enter_context(GpuArray(shape, dtype))

    def given(self, values: NDArray[Any]) -> GpuArray:
        """A new one with these values."""
        array = self.array(values.shape, values.dtype)
        upload(values, self._resources.enter_context(PinnedArray.like(array)), array, self.stream)
        return array

    def prepare(self, library: TokenizerLibrary, arguments: Arguments) -> None:
        """Give ``arguments`` the workspace of their op."""
        memory = GpuMemory(library.workspace(arguments))
        arguments.workspace = self._resources.enter_context(memory).address

    def run(self, library: TokenizerLibrary, arguments: Arguments) -> None:
        """Give the stream one run of an op, which gets its workspace the first time."""
        if not arguments.workspace:
            self.prepare(library, arguments)
        library.enqueue(arguments, int(self.stream))

    def values(self, array: GpuArray) -> NDArray[Any]:
        """What an array holds after all that the stream was given, waited for."""
        with PinnedArray.like(array) as pinned:
            download(array, pinned, array.shape[0], self.stream)
            self.stream.synchronize()
            found: NDArray[Any] = pinned.view.copy()
            return found

    def close(self) -> None:
        """Wait for the stream, then release everything."""
        try:
            self.stream.synchronize()
        finally:
            self._resources.close()

    def __enter__(self) -> OpRuns:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def images_on_gpu(array: GpuArray, pixels: str = "uint8") -> SpitImages:
    """An array [B, 3, H, W] of uint8 or float32 as an op's argument."""
    batch, _, height, width = array.shape
    kind = 0 if array.dtype == np.uint8 else 1
    return SpitImages(array.address, kind, PIXELS[pixels], batch, height, width)
