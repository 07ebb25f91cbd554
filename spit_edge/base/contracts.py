"""The contracts of the ops, written once, as data.

Reference, native kernels, exporter and ONNX Runtime check attributes here, so all refuse the same
values with the same words; ``plugins/generate.py`` makes what C and C++ have to know.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from spit_edge.base.errors import SpitError
from spit_edge.base.token_rows import BINS, token_size

DOMAIN = "spit"
Value = int | float | str
AttributeType = Literal["int", "float", "string"]
MOST_PIXELS = 1 << 26
"""Largest image: sums of features and sizes are wide enough for this many pixels."""


class ContractError(SpitError, ValueError):
    """An attribute that does not fit an op's contract."""


class ContractTypeError(ContractError, TypeError):
    """An attribute of another type than the contract's."""


@dataclass(frozen=True)
class Attribute:
    """An attribute of an op.  ``low`` and ``high`` are inclusive; ``choices`` are for strings.

    A number has no default if it is required.  A whole number from 0 to 1 may also be given as
    False or True.  Reals, as float32, have at most six significant digits, because
    onnxruntime-extensions hands them over as decimal text of that length; everybody else would
    compute with another value.
    """

    name: str
    type: AttributeType
    meaning: str
    default: Value | None = None
    low: float = 0
    high: float = 0
    choices: tuple[str, ...] = ()

    @property
    def fit(self) -> str:
        """What a value must do, in words: "lie in [0, 16]"."""
        if self.choices:
            return f"be one of {', '.join(self.choices)}"
        return f"lie in [{self.low:.10g}, {self.high:.10g}]"

    @property
    def kind(self) -> str:
        """What a value must be, in words: "an integer"."""
        return {"int": "an integer", "float": "a number", "string": "a string"}[self.type]

    def checked(self, value: Any, op: str) -> Value:
        """``value`` in the attribute's type; raises ContractError if it does not fit, and
        ContractTypeError if it is of another type."""
        wanted = {"int": (int,), "float": (int, float), "string": (str,)}[self.type]
        flag = isinstance(value, bool) and self.type == "int" and (self.low, self.high) == (0, 1)
        if not isinstance(value, wanted) or (isinstance(value, bool) and not flag):
            raise ContractTypeError(f"{op}: {self.name} must be {self.kind}, not {value!r}")
        if isinstance(value, str):
            if value not in self.choices:
                raise ContractError(f"{op}: {self.name} must {self.fit}, not '{value}'")
            return value
        if not self.low <= value <= self.high:
            raise ContractError(f"{op}: {self.name} must {self.fit}, not {_number(value)}")
        if self.type == "int":
            return int(value)
        if _float32(float(f"{value:.6g}")) != _float32(value):
            raise ContractError(
                f"{op}: {self.name} must have at most six significant digits, not {value!r}"
            )
        return float(value)


def _float32(value: float) -> float:
    rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    return rounded


def _number(value: float) -> str:
    """As C++ prints it; an integer may be too large for a float."""
    try:
        return f"{value:.8g}"
    except OverflowError:
        return str(value)


@dataclass(frozen=True)
class Port:
    """An input or output.  A dimension is a number, a symbol of an input's shape (B, H, W), the
    name of an attribute, or ``token_size``.  ``typed_by`` names the attribute, if there is one,
    that makes an output's type another than ``dtype``."""

    name: str
    dtype: Literal["float32", "int32", "int64"]
    shape: tuple[int | str, ...]
    meaning: str
    typed_by: str | None = None


@dataclass(frozen=True)
class Contract:
    """An op: ``version`` counts changes of meaning; ``family`` names the folder of its kernels and
    the structure of its arguments."""

    name: str
    family: str
    version: int
    meaning: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    attributes: tuple[Attribute, ...]

    @property
    def op_type(self) -> str:
        return f"{DOMAIN}::{self.name}"

    @property
    def fields(self) -> tuple[Attribute, ...]:
        """The attributes that kernels know: all but the two by which TensorRT finds a plugin."""
        return tuple(a for a in self.attributes if not a.name.startswith("plugin_"))

    def attribute(self, name: str) -> Attribute:
        """One of the attributes by name."""
        return next(a for a in self.attributes if a.name == name)

    def attribute_values(self, given: Mapping[str, Any]) -> dict[str, Value]:
        """All attributes, ``given`` ones checked, the others at their defaults.

        Raises ContractError for unknown, missing or unfit ones.
        """
        known = {attribute.name: attribute for attribute in self.attributes}
        if unknown := sorted(set(given) - set(known)):
            raise ContractError(f"{self.name}: there is no attribute {', '.join(unknown)}")
        values = {}
        for name, attribute in known.items():
            value = given.get(name, attribute.default)
            if name not in given and value is None:
                raise ContractError(f"{self.name}: {name} is missing")
            values[name] = attribute.checked(value, self.name)
        return values

    def field_values(self, given: Mapping[str, Any]) -> dict[str, Value]:
        """:meth:`attribute_values` of the attributes that kernels know."""
        values = self.attribute_values(given)
        return {field.name: values[field.name] for field in self.fields}

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
    family="merge",
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
    family="features",
    version=1,
    meaning="resampled colours and joint histograms of the first max_tokens regions; other rows 0",
    inputs=(_IMAGES, _LABELS, _COUNTS),
    outputs=(
        Port(
            "tokens",
            "float32",
            ("B", "max_tokens", "token_size"),
            "one row per region",
            typed_by="token_type",
        ),
    ),
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
    family="voronoi",
    version=1,
    meaning="Voronoi cells of round(sqrt(height width)) random sites, a pure function of the seed",
    inputs=(Port("seeds", "int64", ("B",), "one tessellation each"),),
    outputs=(
        Port("labels", "int32", ("B", "height", "width"), "cell of every pixel"),
        Port("counts", "int32", ("B",), "number of cells"),
    ),
    attributes=(
        Attribute("height", "int", "rows of the image", low=1, high=MOST_PIXELS),
        Attribute("width", "int", "columns of the image", low=1, high=MOST_PIXELS),
        *_PLUGIN,
    ),
)

CONTRACTS: tuple[Contract, ...] = (SUPERPIXEL_MERGE, REGION_FEATURES, VORONOI_TESSELLATION)
