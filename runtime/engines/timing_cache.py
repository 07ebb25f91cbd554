"""TensorRT's timing cache, one file per device in the user's cache folder.

It only saves time: one that cannot be read or written is done without.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.engines.files import write_whole
from runtime.engines.flavour import Flavour
from runtime.errors import EngineError

if TYPE_CHECKING:
    import tensorrt as trt


def cache_path(device_key: str) -> Path:
    """Where the cache of a device is, after the XDG base directory specification."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    # The specification: a path that is not absolute is to be ignored.
    base = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    return base / "spit-edge" / "timing" / f"{device_key}.cache"


def load_cache(flavour: Flavour, config: trt.IBuilderConfig, path: Path) -> trt.ITimingCache | None:
    """Give the builder what it measured before; to be held until the engine is built.

    None: TensorRT-RTX has no timing cache.
    """
    if flavour.is_rtx:
        return None
    data = b""
    with contextlib.suppress(OSError):
        data = path.read_bytes()
    for content in (data, b""):
        # None or False: the content is damaged, or of another TensorRT or GPU.
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
            return cache
    return None


def save_cache(flavour: Flavour, config: trt.IBuilderConfig, path: Path) -> None:
    """Keep what the builder measured."""
    if flavour.is_rtx:
        return
    cache = config.get_timing_cache()
    content: Any = None if cache is None else cache.serialize()
    if content is not None:
        with contextlib.suppress(EngineError):
            write_whole({path: memoryview(content).cast("B")})
