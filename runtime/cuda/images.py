"""Images that lie on the GPU already, taken over without a copy.

Objects with DLPack (PyTorch, CuPy, JAX) or ``__cuda_array_interface__`` (Numba).  Each protocol
says how its producer's stream and ours are ordered, so that nobody has to synchronise.
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass
from typing import Any

from spit_edge.runtime.cuda.api import Event, Stream, call, gpu_index, runtime_api
from spit_edge.runtime.errors import ImageError

_DLPACK_CUDA = (2, 13)
"""DLPack's kDLCUDA and kDLCUDAManaged."""
_LEGACY_STREAM = 1
"""The legacy default stream, as a handle and in both protocols."""


@dataclass(frozen=True)
class GpuImages:
    """uint8 [B, 3, H, W], contiguous, on the GPU; ``owner`` keeps the memory alive."""

    address: int
    shape: tuple[int, int, int, int]
    owner: object

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, span: slice) -> GpuImages:
        start, stop, step = span.indices(len(self))
        assert step == 1
        image = math.prod(self.shape[1:])
        return GpuImages(
            self.address + start * image, (max(stop - start, 0), *self.shape[1:]), self.owner
        )


def on_gpu(images: object) -> bool:
    """Whether ``images`` is an array on a GPU."""
    device = getattr(images, "__dlpack_device__", None)
    if device is not None:
        return int(device()[0]) in _DLPACK_CUDA
    return hasattr(images, "__cuda_array_interface__")


def adopt(images: Any, height: int, width: int, stream: Stream) -> GpuImages:
    """``images``, for which :func:`on_gpu` holds; ``stream`` will wait until they are computed.

    The memory must not be written before the result is there.  Raises ImageError unless they are
    uint8 [B, 3, height, width] (or one without B), contiguous, on this thread's GPU.
    """
    if hasattr(images, "__dlpack_device__"):
        found = _from_dlpack(images, stream)
    else:
        found = _from_interface(images.__cuda_array_interface__, images, stream)
    address, type_name, shape, strides, owner = found
    if type_name != "uint8":
        raise ImageError(f"images must be uint8, not {type_name}")
    if len(shape) == 3:
        shape, strides = (1, *shape), strides and (math.prod(shape), *strides)
    if len(shape) != 4 or shape[1:] != (3, height, width) or not shape[0]:
        raise ImageError(
            f"images on the GPU must be [B, 3, {height}, {width}], but these are {list(shape)}"
        )
    if not _contiguous(shape, strides):
        raise ImageError("images on the GPU must be contiguous: copy them into a contiguous array")
    _check_device(address)
    batch, channels, rows, columns = shape
    return GpuImages(address, (batch, channels, rows, columns), owner)


_Found = tuple[int, str, tuple[int, ...], "tuple[int, ...] | None", object]
"""Address, type, shape, strides in values (None: contiguous), and what keeps the memory alive."""


def _from_interface(interface: dict[str, Any], owner: object, stream: Stream) -> _Found:
    producer = interface.get("stream")
    if interface.get("version", 0) < 3:
        producer = _LEGACY_STREAM  # it says nothing about streams: this one waits for most others
    if producer is not None:
        with Event() as ready:
            ready.record(int(producer))
            stream.wait(ready)
    kind, strides = interface["typestr"], interface.get("strides")
    # The strides of bytes are those of values.
    return (
        int(interface["data"][0]),
        "uint8" if kind == "|u1" else kind,
        tuple(interface["shape"]),
        None if strides is None else tuple(strides),
        owner,
    )


class _DLTensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.restype = ctypes.c_void_p
_capsule_pointer.argtypes = (ctypes.py_object, ctypes.c_char_p)


def _from_dlpack(images: Any, stream: Stream) -> _Found:
    # The producer makes our stream wait for what is pending on its own.  The capsule is never
    # marked as used, so that it frees the tensor itself when the last reference to it goes.
    capsule = images.__dlpack__(stream=int(stream))
    tensor = _DLTensor.from_address(_capsule_pointer(capsule, b"dltensor"))
    kinds = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 6: "bool"}
    name = f"{kinds.get(tensor.code, 'type ' + str(tensor.code))}{tensor.bits}"
    if tensor.lanes != 1:
        name += f"x{tensor.lanes}"
    strides = tuple(tensor.strides[: tensor.ndim]) if tensor.strides else None
    address = int(tensor.data or 0) + int(tensor.byte_offset)
    return address, name, tuple(tensor.shape[: tensor.ndim]), strides, capsule


def _contiguous(shape: tuple[int, ...], strides: tuple[int, ...] | None) -> bool:
    if strides is None:
        return True
    step = 1
    for extent, stride in zip(reversed(shape), reversed(strides), strict=True):
        if extent != 1 and stride != step:
            return False
        step *= extent
    return True


def _check_device(address: int) -> None:
    attributes = call("cudaPointerGetAttributes", address)
    kinds = runtime_api().cudaMemoryType
    if attributes.type not in (kinds.cudaMemoryTypeDevice, kinds.cudaMemoryTypeManaged):
        raise ImageError("the images claim to be on a GPU, but their memory is not")
    if attributes.device != gpu_index():
        raise ImageError(
            f"the images lie on GPU {attributes.device}, but this session works on "
            f"GPU {gpu_index()}"
        )
