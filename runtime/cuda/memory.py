"""Arrays on the GPU and arrays in pinned host memory, and copies between them."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from spit_edge.runtime.cuda.api import Owned, Stream, call, runtime_api


class GpuMemory(Owned):
    """Bytes on the GPU, aligned to 256 bytes; none are allocated for a size of 0."""

    def __init__(self, size: int) -> None:
        super().__init__(call("cudaMalloc", size) if size else 0, "cudaFree")
        self.size = size

    @property
    def address(self) -> int:
        """GPU address of the first byte; 0 if there is none."""
        return int(self.handle)


class GpuArray(GpuMemory):
    """An array on the GPU, contiguous, its values arbitrary at first."""

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        super().__init__(math.prod(shape) * self.dtype.itemsize)

    @property
    def row_bytes(self) -> int:
        """Bytes of one entry of the first axis."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize


class PinnedArray(Owned):
    """An array in host memory that the GPU can copy from and to while the host goes on."""

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        size = math.prod(shape) * self.dtype.itemsize
        default = runtime_api().cudaHostAllocDefault
        super().__init__(int(call("cudaHostAlloc", size, default)), "cudaFreeHost")
        memory = (ctypes.c_byte * size).from_address(self.handle)
        self._view: NDArray[Any] = np.ctypeslib.as_array(memory).view(self.dtype).reshape(shape)

    @property
    def view(self) -> NDArray[Any]:
        """The memory itself: not to be kept beyond ``close``."""
        assert self.handle
        return self._view

    @classmethod
    def like(cls, array: GpuArray) -> PinnedArray:
        """One to copy ``array`` from or to."""
        return cls(array.shape, array.dtype)


def upload(values: NDArray[Any], pinned: PinnedArray, array: GpuArray, stream: Stream) -> None:
    """Give ``stream`` the copy of ``values``, rows of both arrays, to the GPU.

    ``pinned`` must not be in use by an earlier copy.
    """
    pinned.view[: len(values)] = values
    kind = runtime_api().cudaMemcpyKind.cudaMemcpyHostToDevice
    size = len(values) * array.row_bytes
    call("cudaMemcpyAsync", array.address, pinned.handle, size, kind, stream.handle)


def copy(source: int, target: int, size: int, stream: Stream) -> None:
    """Give ``stream`` a copy of ``size`` bytes from one GPU address to another."""
    kind = runtime_api().cudaMemcpyKind.cudaMemcpyDeviceToDevice
    call("cudaMemcpyAsync", target, source, size, kind, stream.handle)


def download(array: GpuArray, pinned: PinnedArray, rows: int, stream: Stream) -> None:
    """Give ``stream`` the copy of the first ``rows`` entries from the GPU."""
    kind = runtime_api().cudaMemcpyKind.cudaMemcpyDeviceToHost
    size = rows * array.row_bytes
    call("cudaMemcpyAsync", pinned.handle, array.address, size, kind, stream.handle)
