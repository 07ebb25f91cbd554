"""Engines in a bundle: ``engines/<key>.engine``, with ``<key>.json`` that says what it is."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spit_edge.base.errors import FileError
from spit_edge.base.files import write_whole
from spit_edge.base.made_here import made_here, remember
from spit_edge.base.places import cache_folder
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.bundle.manifest import FileEntry, Part
from spit_edge.runtime.bundle.reading import read_inside, size_and_sha256
from spit_edge.runtime.engines.flavour import Flavour
from spit_edge.runtime.engines.record import (
    EngineRecord,
    Platform,
    decode,
    encode,
    misfit,
    sources_of,
)
from spit_edge.runtime.errors import BundleError, EngineError

if TYPE_CHECKING:
    import tensorrt as trt

FOLDER = "engines"
_RECORD_LIMIT = 4 << 20


@dataclass(frozen=True)
class StoredEngine:
    """An engine file and what it was built for."""

    path: Path
    record: EngineRecord


def find_engine(bundle: Bundle, part: Part, here: Platform) -> StoredEngine:
    """The bundle's engine of ``part`` that runs on ``here``, its hash verified.

    Raises EngineError with the reason why each engine of that part does not fit.
    """
    sources = sources_of(bundle, part)
    reasons, fitting = [], []
    for path in sorted((bundle.path / FOLDER).glob("*.json")):
        try:
            stored = _read(path)
            if stored.record.part != part:
                continue
            reason = misfit(stored.record, here)
            if reason is None and stored.record.sources != sources:
                reason = "built from another export"
            if reason is None:
                _verify(stored)
                fitting.append(stored)
        except EngineError as error:
            reason = str(error)
        if reason is not None:
            reasons.append(f"{path.stem}: {reason}")
    if fitting:
        return min(fitting, key=_breadth)
    why = "; ".join(reasons) or f"there is none in {bundle.path / FOLDER}"
    raise EngineError(
        f"no engine of the {part} graph fits ({why}): {build_command(bundle.path, part)}"
    )


def build_command(bundle: Path, part: Part) -> str:
    """What to type to build an engine."""
    return f"spit-edge engine {bundle} --part {part}"


def engine_entry(data: memoryview) -> FileEntry:
    """Hash and size of an engine."""
    return FileEntry(sha256=hashlib.sha256(data).hexdigest(), bytes=data.nbytes)


def save_engine(folder: Path, name: str, data: memoryview, record: EngineRecord) -> StoredEngine:
    """Write ``name.engine`` and ``name.json``; an older engine of that name is replaced.

    Raises FileError; then nothing has changed.
    """
    engine = folder / f"{name}.engine"
    write_whole({engine: data, folder / f"{name}.json": encode(record)})
    remember(record.engine.sha256)
    return StoredEngine(engine, record)


def _breadth(stored: StoredEngine) -> tuple[bool, bool, int]:
    """Smaller for an engine that was built for less: for this GPU and this TensorRT at best."""
    platform, choices = stored.record.platform, stored.record.choices
    compatible = choices.version_compatible or choices.hardware_compatible
    return compatible, platform.gpu is None, len(platform.sm)


def _read(path: Path) -> StoredEngine:
    try:
        record = decode(read_inside(path.parent, path.name, _RECORD_LIMIT))
    except BundleError as error:
        raise EngineError(f"cannot be read ({error})") from error
    return StoredEngine(path.with_suffix(".engine"), record)


def _verify(stored: StoredEngine) -> None:
    wanted, path = stored.record.engine, stored.path
    try:
        size = path.lstat().st_size
        if size != wanted.bytes:
            raise EngineError(f"damaged, it has {size} bytes instead of {wanted.bytes}")
        _, sha256 = size_and_sha256(path.parent, path.name)
    except (OSError, BundleError) as error:
        raise EngineError(f"its engine file cannot be read ({error})") from error
    if sha256 != wanted.sha256:
        raise EngineError("damaged, its SHA-256 is not the recorded one")
    if not made_here(wanted.sha256):
        raise EngineError("an engine is code, and this one was not built on this machine by you")


def cache_path(device_key: str) -> Path:
    """Where the timing cache of a device is."""
    return cache_folder() / "timing" / f"{device_key}.cache"


def onnxruntime_cache(bundle: Bundle) -> Path:
    """Where ONNX Runtime keeps the engines that it builds for a bundle.

    It runs what it finds there without a question, so that is no place within a bundle.
    """
    return cache_folder() / "onnxruntime" / sources_of(bundle, "full")[bundle.model.name]


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
        with contextlib.suppress(FileError):
            write_whole({path: memoryview(content).cast("B")})
