"""What an engine was built for and from: the JSON file beside it."""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from spit_edge.base.files import json_file
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.bundle.manifest import FileEntry, Name, Part, Positive, Sha256
from spit_edge.runtime.cuda.gpu import Gpu
from spit_edge.runtime.engines.flavour import Flavour, FlavourName, version_numbers
from spit_edge.runtime.errors import BundleError, EngineError

AMPERE = 80


class Platform(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an engine runs on; an engine for GPUs that were not at hand has no ``gpu`` nor ``cuda``.

    sm       compute capabilities times ten: one, or those asked for
    cuda     the newest CUDA that the driver serves
    plugins  SHA-256 of the plugin libraries by file name
    """

    flavour: FlavourName
    tensorrt: Name
    gpu: str | None
    sm: list[Positive]
    cuda: str | None
    plugins: dict[Name, Sha256]

    @classmethod
    def of(cls, flavour: Flavour, gpu: Gpu, plugins: dict[str, str]) -> Platform:
        """This machine."""
        return cls(
            flavour=flavour.name,
            tensorrt=flavour.version,
            gpu=gpu.name,
            sm=[gpu.sm],
            cuda=gpu.driver_cuda,
            plugins=plugins,
        )


class Choices(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the user may choose about an engine's build."""

    optimization_level: int = 3
    version_compatible: bool = False
    hardware_compatible: bool = False


class ShapeRange(Struct, frozen=True, forbid_unknown_fields=True):
    """Shapes of one input that the engine serves, and the one it is tuned for."""

    min: list[int]
    opt: list[int]
    max: list[int]


class EngineRecord(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of an engine's JSON file.

    part      which graph it is of
    sources   SHA-256 of the bundle's files that it was built from
    products  matrix products by type, as {"HALF": 13, "FLOAT": 1}
    layers    of the network before it was optimised
    """

    part: Part
    platform: Platform
    choices: Choices
    sources: dict[Name, Sha256]
    engine: FileEntry
    profile: dict[Name, ShapeRange]
    products: dict[Name, int]
    layers: Positive
    build_seconds: float


def decode(data: bytes) -> EngineRecord:
    """Raises EngineError where ``data`` is no record."""
    try:
        return msgspec.json.decode(data, type=EngineRecord)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EngineError(f"its JSON file is not valid ({error})") from error


def encode(record: EngineRecord) -> bytes:
    """Indented JSON."""
    return json_file(record, sort_keys=True)


def key(platform: Platform, part: Part) -> str:
    """An engine's file name without its ending."""
    words = [platform.gpu] if platform.gpu else []
    words.append("sm" + "+".join(str(sm) for sm in platform.sm))
    words.append(f"{platform.flavour}{platform.tensorrt}")
    words += [f"cuda{platform.cuda}"] if platform.cuda else []
    words += [f"plugins{digest[:8]}" for _, digest in sorted(platform.plugins.items())]
    words.append(part)
    return "-".join(re.sub(r"[^A-Za-z0-9.+]+", "-", word).strip("-") for word in words).lower()


def sources_of(bundle: Bundle, part: Part) -> dict[str, str]:
    """SHA-256 of the files that ``part`` of a bundle consists of, as its manifest lists them."""
    graph = (bundle.trunk if part == "trunk" else bundle.model).name
    files = bundle.manifest.files
    if part == "full" and bundle.manifest.part != "full":
        raise BundleError(f"{bundle.path} holds the trunk alone: build with --part trunk")
    if graph not in files:
        raise BundleError(f"{bundle.path} has no {graph}: export the bundle again")
    weights = [name for name in files if name.endswith(".onnx.data")]
    return {name: files[name].sha256 for name in (graph, *weights)}


def misfit(record: EngineRecord, here: Platform) -> str | None:
    """Why the engine cannot run on ``here``, or None if it can."""
    built, choices = record.platform, record.choices
    if built.flavour != here.flavour:
        return f"built for {built.flavour}, not {here.flavour}"
    if not _version_fits(built.tensorrt, here.tensorrt, choices.version_compatible):
        return f"built for {built.flavour} {built.tensorrt}, not {here.tensorrt}"
    reason = _gpu_misfit(built, here, choices.hardware_compatible)
    if reason is None and built.cuda not in (None, here.cuda):
        reason = f"built for CUDA {built.cuda}, not {here.cuda}"
    if reason is None and built.plugins != here.plugins:
        reason = f"built with {_named(built.plugins)}, not {_named(here.plugins)}"
    return reason


def _version_fits(built: str, here: str, compatible: bool) -> bool:
    """A version-compatible engine runs on later versions of the same major number."""
    if not compatible:
        return built == here
    old, new = version_numbers(built), version_numbers(here)
    return old[:1] == new[:1] and old <= new


def _gpu_misfit(built: Platform, here: Platform, compatible: bool) -> str | None:
    if compatible:
        fits = min(here.sm) >= AMPERE
        return None if fits else f"built for SM {AMPERE} and newer, not SM {here.sm[0]}"
    if not set(here.sm) <= set(built.sm):
        wanted = ", ".join(str(sm) for sm in built.sm)
        return f"built for SM {wanted}, not SM {here.sm[0]}"
    if built.gpu not in (None, here.gpu):
        return f"built for {built.gpu}, not {here.gpu}"
    return None


def _named(plugins: dict[str, str]) -> str:
    names = [f"{name} ({digest[:8]})" for name, digest in sorted(plugins.items())]
    return "the plugins " + ", ".join(names) if names else "no plugins"
