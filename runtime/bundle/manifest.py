"""The schema of ``manifest.json``: what a bundle holds, how it was made, what to feed it."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from spit_edge.base.contracts import (
    MOST_PIXELS,
    REGION_FEATURES,
    SUPERPIXEL_MERGE,
    Contract,
    Value,
)
from spit_edge.base.files import json_file
from spit_edge.runtime.errors import BundleError

_Parsed = TypeVar("_Parsed")

MANIFEST = "manifest.json"
MODEL = "model.onnx"
TRUNK = "trunk.onnx"
SCHEMA_VERSION = 1
"""Raised whenever a manifest written by this version could not be read by the one before."""

Precision = Literal["fp32", "fp16", "bf16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
"""Types of a trunk's matrix products."""
Part = Literal["full", "trunk"]
"""Which graph: from images on, or from tokens on, which needs no plugins."""

MOST_NUMBERS = 1 << 31
"""In any one array of a batch: more cannot be counted by 32 bits, nor held by a device."""

Positive = Annotated[int, Meta(gt=0, lt=1 << 31)]
Classes = Annotated[int, Meta(gt=0, le=1 << 20)]
BatchSize = Annotated[int, Meta(gt=0, le=1 << 16)]
Side = Annotated[int, Meta(gt=0, le=MOST_PIXELS)]
NotNegative = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1)]
Sha256 = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class TensorSpec(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One input or output of the graph; a dimension given by name (``"B"``) is dynamic."""

    name: Name
    dtype: Name
    shape: list[Positive | Name]


class BatchProfile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Batch sizes that an engine has to serve, and the one to tune it for."""

    min: BatchSize
    opt: BatchSize
    max: BatchSize

    def __post_init__(self) -> None:
        if not self.min <= self.opt <= self.max:
            raise ValueError(f"Expected min <= opt <= max, got {self.min}, {self.opt}, {self.max}")


class Preprocessing(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a photograph becomes the input; everything after that happens inside the graph."""

    height: Side
    width: Side
    pixels: Literal["uint8"]
    layout: Literal["NCHW"]
    resize: Literal["bicubic"]
    fit: Literal["cover_center_crop"]

    def __post_init__(self) -> None:
        if self.height * self.width > MOST_PIXELS:
            raise ValueError(f"Expected at most 2^26 pixels, got {self.height} x {self.width}")


class Weights(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the weights came from; ``seed`` says which random ones."""

    source: Literal["official", "file", "random"]
    location: str
    sha256: Sha256
    seed: int | None = None

    def __post_init__(self) -> None:
        if not -(1 << 63) <= (self.seed or 0) < 1 << 64:
            raise ValueError(f"Expected a seed of 64 bits, got {self.seed}")


class Tokenizer(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How an image is cut into regions and a region becomes a token.

    ``sigma`` is the histograms' bandwidth in units of the feature range [-1, 1]; ``compactness``
    in [0, 1] blends region compactness into the merge scores, None leaves it out;
    ``final_threshold`` joins, at the end, all neighbours whose features differ by less, and is left
    out where it is 0.
    """

    kind: Literal["superpixel", "square", "voronoi", "pca_tree"]
    levels: NotNegative
    compactness: Annotated[float, Meta(ge=0, le=1)] | None
    interpolation: Name
    sigma: Annotated[float, Meta(gt=0)]
    bins: Positive
    seed: Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)] | None = None
    final_threshold: Annotated[float, Meta(gt=0)] | UnsetType = UNSET

    def __post_init__(self) -> None:
        _check(
            SUPERPIXEL_MERGE,
            levels=self.levels,
            compactness=self.compactness or 0.0,
            final_threshold=self.threshold,
        )
        _check(REGION_FEATURES, bins=self.bins, sigma=self.sigma, interpolation=self.interpolation)

    @property
    def threshold(self) -> float:
        """``final_threshold``, 0 where it is left out."""
        return 0.0 if self.final_threshold is UNSET else self.final_threshold


class PrecisionPlan(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Matrix products of a model's trunk that stay in float32 when the rest is in ``precision``."""

    model: Name
    precision: Literal["fp16", "bf16"]
    fp32: list[Name]


class FileEntry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Content hash and size of one file of the bundle."""

    sha256: Sha256
    bytes: NotNegative


class Manifest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of ``manifest.json``.

    ``token_budget`` is the number of token slots of an image.  ``contracts`` maps the name of
    every custom op in the graph to the version of its contract, ``files`` the path of every file
    (relative, with ``/``) to what it must contain.  ``precision_plan`` is left out where there is
    none.
    """

    schema: int
    model: Name
    gradient: bool
    classes: Classes
    precision: Precision
    part: Part
    inputs: Annotated[list[TensorSpec], Meta(min_length=1)]
    outputs: Annotated[list[TensorSpec], Meta(min_length=1)]
    token_budget: Positive
    batch: BatchProfile
    preprocessing: Preprocessing
    tokenizer: Tokenizer
    weights: Weights
    contracts: dict[Name, Positive]
    versions: dict[str, str]
    files: dict[Name, FileEntry]
    precision_plan: PrecisionPlan | UnsetType = UNSET

    def __post_init__(self) -> None:
        _check(REGION_FEATURES, max_tokens=self.token_budget)
        size, cells = self.preprocessing, self.tokenizer.bins**2
        largest = max(
            3 * size.height * size.width,
            self.token_budget * cells * (5 if self.gradient else 4),
            self.classes,
        )
        if self.batch.max * largest >= MOST_NUMBERS:
            raise ValueError(
                f"Expected arrays of fewer than 2^31 numbers, got batches of {self.batch.max} "
                f"with {largest} numbers each"
            )
        images = [spec.shape[1:] for spec in self.inputs if spec.name == "images"]
        if self.part == "full" and images != [[3, size.height, size.width]]:
            raise ValueError(
                f"Expected one input images [B, 3, {size.height}, {size.width}], as preprocessing "
                f"makes them"
            )

    @property
    def fp32_products(self) -> frozenset[str]:
        """Names of the matrix products that are computed in float32 whatever the precision."""
        plan = self.precision_plan
        return frozenset() if plan is UNSET else frozenset(plan.fp32)


def _check(contract: Contract, **values: Value) -> None:
    """Raise ContractError, a ValueError, unless an op takes these values of its attributes."""
    for attribute in contract.attributes:
        if attribute.name in values:
            attribute.checked(values[attribute.name], contract.name)


class _Header(Struct, frozen=True):
    """The one field that manifests of every version have."""

    schema: Positive


def encode(manifest: Manifest) -> bytes:
    """Indented JSON that depends on nothing but the values; BundleError if they are not valid."""
    text = json_file(manifest, sort_keys=True)
    # Struct fields are checked while decoding only: a manifest nobody can read is not written.
    decode(text, "the manifest to write")
    return text


def decode(data: bytes, where: str) -> Manifest:
    """The manifest in ``data``; ``where`` names the file in the message of a BundleError."""
    schema = _parse(data, _Header, where).schema
    if schema > SCHEMA_VERSION:
        raise BundleError(
            f"{where} has schema {schema} but this version reads up to {SCHEMA_VERSION}: "
            "upgrade spit-edge"
        )
    return _parse(data, Manifest, where)


def _parse(data: bytes, kind: type[_Parsed], where: str) -> _Parsed:
    try:
        return msgspec.json.decode(data, type=kind)
    # Beside its own errors msgspec lets these two through, for bad UTF-8 and for deep nesting.
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise BundleError(f"{where} is not a valid manifest: {error}") from error
