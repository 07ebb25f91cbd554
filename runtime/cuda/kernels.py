"""The tokenizer's kernels through the plain C functions of the plugin library.

The structures are those of ``plugins/kernels/tokenizer_api.h``, from the same contracts: nothing
there allocates, waits or needs TensorRT.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import c_double, c_int32, c_size_t, c_void_p
from pathlib import Path
from typing import Any, ClassVar

from spit_edge.base.contracts import (
    REGION_FEATURES,
    SUPERPIXEL_MERGE,
    VORONOI_TESSELLATION,
    Contract,
)
from spit_edge.plugins.generate import members, snake
from spit_edge.runtime.errors import BackendUnavailable, ExecutionError

_C_TYPES = {"int32_t": c_int32, "double": c_double}


def _numbers(contract: Contract, name: str) -> dict[str, int]:
    """Choices of an attribute as the C functions count them."""
    (field,) = (field for field in contract.fields if field.name == name)
    return {choice: number for number, choice in enumerate(field.choices)}


PIXELS = _numbers(SUPERPIXEL_MERGE, "pixels")
INTERPOLATIONS = _numbers(REGION_FEATURES, "interpolation")
FLOAT32 = _numbers(REGION_FEATURES, "token_type")["float32"]
"""SpitFeatures.token_type of rows in float32."""


class SpitImages(ctypes.Structure):
    """uint8 (``type`` 0) or float32 (1) [batch, 3, height, width]."""

    _fields_ = (
        ("data", c_void_p),
        ("type", c_int32),
        ("pixels", c_int32),
        ("batch", c_int32),
        ("height", c_int32),
        ("width", c_int32),
    )


def _fields(contract: Contract) -> Sequence[tuple[str, Any]]:
    """The members of the structure of an op's arguments."""

    def kind(c_type: str) -> Any:
        if c_type == "SpitImages":
            return SpitImages
        return c_void_p if c_type.endswith("*") else _C_TYPES[c_type]

    return [(name, kind(c_type)) for c_type, name, _ in members(contract)]


class SpitMerge(ctypes.Structure):
    """Arguments of SuperpixelMerge."""

    contract: ClassVar = SUPERPIXEL_MERGE
    _fields_ = _fields(SUPERPIXEL_MERGE)


class SpitFeatures(ctypes.Structure):
    """Arguments of RegionFeatures."""

    contract: ClassVar = REGION_FEATURES
    _fields_ = _fields(REGION_FEATURES)


class SpitVoronoi(ctypes.Structure):
    """Arguments of VoronoiTessellation."""

    contract: ClassVar = VORONOI_TESSELLATION
    _fields_ = _fields(VORONOI_TESSELLATION)


_INVALID = 1  # cudaErrorInvalidValue: of arguments that were refused
Arguments = SpitMerge | SpitFeatures | SpitVoronoi


class TokenizerLibrary:
    """The functions of a loaded library."""

    def __init__(self, library: Any) -> None:
        self._run: dict[type[ctypes.Structure], Callable[..., int]] = {}
        self._size: dict[type[ctypes.Structure], Callable[..., int]] = {}
        for kind in (SpitMerge, SpitFeatures, SpitVoronoi):
            name = f"spit_{snake(kind.contract.name)}"
            run, size = getattr(library, name), getattr(library, f"{name}_workspace")
            run.argtypes, run.restype = (ctypes.POINTER(kind), c_void_p), c_int32
            size.argtypes, size.restype = (ctypes.POINTER(kind),), c_size_t
            self._run[kind], self._size[kind] = run, size
        self._text, self._fault = library.spit_status_text, library.spit_fault_text
        self._text.argtypes, self._text.restype = (c_int32,), ctypes.c_char_p
        self._fault.argtypes, self._fault.restype = (), ctypes.c_char_p

    @classmethod
    def load(cls, path: Path) -> TokenizerLibrary:
        """The library at ``path``; BackendUnavailable if it does not load."""
        try:
            return cls(ctypes.CDLL(str(path)))
        except (OSError, AttributeError) as error:
            raise BackendUnavailable(f"cannot load the tokenizer from {path}: {error}") from error

    def workspace(self, arguments: Arguments) -> int:
        """Bytes of workspace that a run needs; ExecutionError if an argument is out of range."""
        size = int(self._size[type(arguments)](ctypes.byref(arguments)))
        if not size:
            raise ExecutionError(self._fault().decode(errors="replace"))
        return size

    def enqueue(self, arguments: Arguments, stream: int) -> None:
        """Give ``stream`` one run; ExecutionError if an argument or a launch is bad."""
        status = self._run[type(arguments)](ctypes.byref(arguments), stream)
        if status == _INVALID:
            raise ExecutionError(self._fault().decode(errors="replace"))
        if status:
            text = self._text(status).decode(errors="replace")
            raise ExecutionError(f"{arguments.contract.name}: {text}")
