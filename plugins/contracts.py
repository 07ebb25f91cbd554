"""The contracts of the custom ops, written once, as data.

The exporter writes nodes from them, execution providers register ops from them, and tests hold the
kernels to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from spit_edge.base.errors import SpitError
from spit_edge.base.token_rows import BINS, token_size

DOMAIN = "spit"
Value = int | float | str
AttributeType = Literal["int", "float", "string"]


@dataclass(frozen=True)
class Attribute:
    """An attribute of an op.  ``low`` and ``high`` are inclusive; ``choices`` are for strings.

    Floats have at most six significant digits, because onnxruntime-extensions hands them over as
    decimal text of that length; everybody else would compute with another value.
    """

    name: str
    type: AttributeType
    meaning: str
    default: Value | None = None
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def checked(self, value: Value, op: str) -> Value:
        """``value`` in the attribute's type; raises ContractError if it does not fit."""
        wanted = {"int": (int,), "float": (int, float), "string": (str,)}[self.type]
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise ContractError(f"{op}: {self.name} must be of type {self.type}, not {value!r}")
        if isinstance(value, str):
            if self.choices and value not in self.choices:
                raise ContractError(
                    f"{op}: {self.name} must be one of {', '.join(self.choices)}, not {value!r}"
                )
            return value
        low = float("-inf") if self.low is None else self.low
        high = float("inf") if self.high is None else self.high
        if not low <= value <= high:
            raise ContractError(f"{op}: {self.name} must lie in [{low:g}, {high:g}], not {value!r}")
        if isinstance(value, float) and float(f"{value:.6g}") != value:
            raise ContractError(f"{op}: {self.name} may have six significant digits, not {value!r}")
        return float(value) if self.type == "float" else value


@dataclass(frozen=True)
class Port:
    """An input or output.  A dimension is a number, a symbol of an input's shape (B, H, W), the
    name of an attribute, or ``token_size``."""

    name: str
    dtype: Literal["float32", "int32", "int64"]
    shape: tuple[int | str, ...]
    meaning: str


@dataclass(frozen=True)
class Contract:
    """An op: ``version`` counts changes of meaning."""

    name: str
    version: int
    meaning: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    attributes: tuple[Attribute, ...]

    @property
    def op_type(self) -> str:
        return f"{DOMAIN}::{self.name}"

    def attribute_values(self, given: Mapping[str, Value]) -> dict[str, Value]:
        """All attributes, ``given`` ones checked, the others at their defaults.

        Raises ContractError for unknown, missing or unfit ones.
        """
        known = {attribute.name: attribute for attribute in self.attributes}
        if unknown := sorted(set(given) - set(known)):
            raise ContractError(f"{self.name} has no attribute {', '.join(unknown)}")
        values = {}
        for name, attribute in known.items():
            value = given.get(name, attribute.default)
            if value is None:
                raise ContractError(f"{self.name} needs the attribute {name}")
            values[name] = attribute.checked(value, self.name)
        return values

    def output_shapes(
        self, symbols: Mapping[str, int | str], attributes: Mapping[str, Value]
    ) -> list[list[int | str]]:
        """Shapes of the outputs, from values (or names) of the inputs' symbols."""
        known = dict(symbols)
        known.update({k: v for k, v in attributes.items() if isinstance(v, int)})
        if "bins" in attributes:
            bins, gradient = attributes["bins"], bool(attributes["gradient"])
            assert isinstance(bins, int)
            known["token_size"] = token_size(bins, gradient=gradient)
        return [
            [known[dim] if isinstance(dim, str) else dim for dim in port.shape]
            for port in self.outputs
        ]


class ContractError(SpitError, ValueError):
    """Attributes that do not fit an op's contract."""


_IMAGES = Port("images", "float32", ("B", 3, "H", "W"), "raw pixel values, channels r, g, b")
_LABELS = Port("labels", "int32", ("B", "H", "W"), "region of every pixel, 0...counts-1")
_COUNTS = Port("counts", "int32", ("B",), "number of regions")
_PIXELS = Attribute(
    "pixels",
    "string",
    "what pixel values mean: 0...255, [0, 1], or normalised with the ImageNet mean and deviation",
    default="uint8",
    choices=("uint8", "unit", "imagenet"),
)
# TensorRT's ONNX parser finds a plugin by these two.
_PLUGIN = (
    Attribute("plugin_version", "string", "version of the TensorRT plugin", "1", choices=("1",)),
    Attribute("plugin_namespace", "string", "namespace of the TensorRT plugin", "", choices=("",)),
)

SUPERPIXEL_MERGE = Contract(
    name="SuperpixelMerge",
    version=1,
    meaning="superpixels by hierarchical merging, numbered in raster order of first pixels",
    inputs=(_IMAGES,),
    outputs=(_LABELS, _COUNTS),
    attributes=(
        _PIXELS,
        Attribute("levels", "int", "rounds of merging", default=4, low=0, high=16),
        Attribute(
            "compactness", "float", "weight of compactness in scores", default=0.0, low=0, high=1
        ),
        Attribute(
            "final_threshold",
            "float",
            "> 0 joins at the end all neighbours whose features differ by less",
            default=0.0,
            low=0,
            high=8,
        ),
        *_PLUGIN,
    ),
)

REGION_FEATURES = Contract(
    name="RegionFeatures",
    version=1,
    meaning="resampled colours and joint histograms of the first max_tokens regions; other rows 0",
    inputs=(_IMAGES, _LABELS, _COUNTS),
    outputs=(Port("tokens", "float32", ("B", "max_tokens", "token_size"), "one row per region"),),
    attributes=(
        _PIXELS,
        Attribute("max_tokens", "int", "rows per image", low=1, high=1 << 20),
        Attribute("bins", "int", "side of sampling grid and histograms", BINS, low=2, high=64),
        Attribute("sigma", "float", "bandwidth of the histograms", 0.025, low=1e-3, high=10),
        Attribute("gradient", "int", "1: add the histogram of gradients", 1, low=0, high=1),
        Attribute(
            "interpolation",
            "string",
            "resampling of colours",
            default="bilinear",
            choices=("bilinear", "nearest"),
        ),
        Attribute(
            "token_type",
            "string",
            "type of the tokens; only the TensorRT plugin gives another than float32",
            default="float32",
            choices=("float32", "float16", "bfloat16"),
        ),
        *_PLUGIN,
    ),
)

VORONOI_TESSELLATION = Contract(
    name="VoronoiTessellation",
    version=1,
    meaning="Voronoi cells of round(sqrt(height width)) random sites, a pure function of the seed",
    inputs=(Port("seeds", "int64", ("B",), "one tessellation each"),),
    outputs=(
        Port("labels", "int32", ("B", "height", "width"), "cell of every pixel"),
        Port("counts", "int32", ("B",), "number of cells"),
    ),
    attributes=(
        Attribute("height", "int", "rows of the image", low=1, high=1 << 26),
        Attribute("width", "int", "columns of the image", low=1, high=1 << 26),
        *_PLUGIN,
    ),
)

CONTRACTS: tuple[Contract, ...] = (SUPERPIXEL_MERGE, REGION_FEATURES, VORONOI_TESSELLATION)
