"""The tokenizer's kernels through the plain C functions of the plugin library.

The structures are those of ``plugins/tensorrt/tokenizer_api.h``: nothing there allocates, waits or
needs TensorRT.
"""

from __future__ import annotations

import ctypes
from ctypes import c_double, c_int32, c_size_t, c_void_p
from pathlib import Path
from typing import Any

from spit_edge.runtime.errors import BackendUnavailable, ExecutionError

PIXELS = {"uint8": 0, "unit": 1, "imagenet": 2}
INTERPOLATIONS = {"bilinear": 0, "nearest": 1}
FLOAT32 = 0
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


class SpitMerge(ctypes.Structure):
    """Arguments of SuperpixelMerge."""

    _fields_ = (
        ("images", SpitImages),
        ("levels", c_int32),
        ("compactness", c_double),
        ("final_threshold", c_double),
        ("labels", c_void_p),
        ("counts", c_void_p),
        ("workspace", c_void_p),
    )


class SpitFeatures(ctypes.Structure):
    """Arguments of RegionFeatures."""

    _fields_ = (
        ("images", SpitImages),
        ("labels", c_void_p),
        ("counts", c_void_p),
        ("max_tokens", c_int32),
        ("bins", c_int32),
        ("sigma", c_double),
        ("gradient", c_int32),
        ("interpolation", c_int32),
        ("token_type", c_int32),
        ("tokens", c_void_p),
        ("workspace", c_void_p),
    )


class SpitVoronoi(ctypes.Structure):
    """Arguments of VoronoiTessellation."""

    _fields_ = (
        ("seeds", c_void_p),
        ("batch", c_int32),
        ("height", c_int32),
        ("width", c_int32),
        ("labels", c_void_p),
        ("counts", c_void_p),
        ("workspace", c_void_p),
    )


Arguments = SpitMerge | SpitFeatures | SpitVoronoi
_FUNCTIONS: dict[type[ctypes.Structure], str] = {
    SpitMerge: "spit_superpixel_merge",
    SpitFeatures: "spit_region_features",
    SpitVoronoi: "spit_voronoi_tessellation",
}


class TokenizerLibrary:
    """The functions of a loaded library."""

    def __init__(self, library: Any) -> None:
        self._run, self._size = {}, {}
        for kind, name in _FUNCTIONS.items():
            run, size = getattr(library, name), getattr(library, f"{name}_workspace")
            run.argtypes, run.restype = (ctypes.POINTER(kind), c_void_p), c_int32
            size.argtypes, size.restype = (ctypes.POINTER(kind),), c_size_t
            self._run[kind], self._size[kind] = run, size
        self._text = library.spit_status_text
        self._text.argtypes, self._text.restype = (c_int32,), ctypes.c_char_p

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
            raise ExecutionError(f"{_FUNCTIONS[type(arguments)]}: an argument is out of range")
        return size

    def enqueue(self, arguments: Arguments, stream: int) -> None:
        """Give ``stream`` one run; ExecutionError if an argument or a launch is bad."""
        status = self._run[type(arguments)](ctypes.byref(arguments), stream)
        if status:
            name = _FUNCTIONS[type(arguments)]
            raise ExecutionError(f"{name}: {self._text(status).decode(errors='replace')}")
