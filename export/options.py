"""What a user can ask of an export, and what follows from it."""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal, get_args

import msgspec

from spit_edge.base.contracts import SUPERPIXEL_MERGE
from spit_edge.base.errors import OptionError
from spit_edge.base.ranges import BATCH, CLASSES, SEED, TOKENS, checked_size
from spit_edge.runtime.bundle.manifest import PRECISIONS, BatchProfile, Precision, PrecisionPlan
from spit_edge.spit_ref.zoo import MODEL_NAMES, Tessellation

DEFAULT_SIZE = (224, 224)
TOKENS_PER_SQUARE = 1.6
"""Token budget per 16 x 16 pixels: at 224 x 224 photographs have up to 280 regions (1.43 of
them), uniform noise 318 (1.62)."""
BUDGET_STEP = 64
EXTRA_OUTPUTS = ("tokens", "embeddings", "attention")
Part = Literal["full", "trunk"]
PARTS: tuple[Part, ...] = get_args(Part)
TESSELLATIONS: tuple[Tessellation, ...] = get_args(Tessellation)
NO_FILE = ("auto", "official", "random")
"""Weights that are not the path of a checkpoint."""


@dataclass(frozen=True)
class BuildOptions:
    """An export.

    model            one of MODEL_NAMES
    gradient         token rows hold gradient features
    precision        of the trunk's matrix products
    weights          a checkpoint's path, "official", "random", or "auto": official if it can be had
    seed             of random weights and regions, 0...2^63-1
    classes          outputs of the head, 1...2^20; None: the model's
    height, width    static image size, up to 2^26 pixels
    batch            batch sizes to serve, and the one to tune for, 1...65536
    max_tokens       token budget, 1...2^20; None: see :func:`default_budget`
    outputs          more outputs, any of EXTRA_OUTPUTS
    part             "trunk": without the tokenizer
    tessellation     regions of the rvit models
    seed_input       take the seeds of Voronoi cells as an input, int64 [B]
    final_threshold  > 0 joins, at the end, all neighbouring superpixels whose features differ by
                     less; up to 8, with six significant digits
    plan             matrix products that stay in float32
    out              folder of the bundle; None: by name, see :meth:`folder`

    Raises OptionError, a ValueError, for what is out of range.
    """

    model: str
    gradient: bool = True
    precision: Precision = "fp32"
    weights: str = "auto"
    seed: int = 0
    classes: int | None = None
    height: int = DEFAULT_SIZE[0]
    width: int = DEFAULT_SIZE[1]
    batch: BatchProfile = field(default_factory=lambda: BatchProfile(min=1, opt=1, max=8))
    max_tokens: int | None = None
    outputs: tuple[str, ...] = ()
    part: Part = "full"
    tessellation: Tessellation = "voronoi"
    seed_input: bool = False
    final_threshold: float = 0.0
    plan: PrecisionPlan | None = None
    out: Path | None = None

    def __post_init__(self) -> None:
        _check_choice("model", self.model, MODEL_NAMES)
        _check_choice("precision", self.precision, PRECISIONS)
        _check_choice("part", self.part, PARTS)
        _check_choice("tessellation", self.tessellation, TESSELLATIONS)
        for output in self.outputs:
            _check_choice("outputs", output, EXTRA_OUTPUTS)
        SEED.checked("seed", self.seed)
        if self.classes is not None:
            CLASSES.checked("classes", self.classes)
        if self.max_tokens is not None:
            TOKENS.checked("max_tokens", self.max_tokens)
        checked_size(self.height, self.width)
        BATCH.checked("batch", self.batch.max)
        checked_threshold(self.final_threshold)

    @property
    def budget(self) -> int:
        return self.max_tokens or default_budget(self.height, self.width)

    @property
    def fp32(self) -> frozenset[str]:
        """Matrix products of the trunk that stay in float32."""
        return frozenset(self.plan.fp32 if self.plan else ())

    def folder(self, *, random_weights: bool, sha256: str = "") -> Path:
        """Where the bundle goes; what is not as by default, and random weights, show in the name.

        sha256  of the weights, which tells files of the same name apart

        Raises OptionError where ``out`` is no name for a folder.
        """
        if self.out is None:
            folder = Path("build") / "-".join([self.model, *self._differences(sha256)])
        else:
            folder = self.out.expanduser()
            folder = folder if folder.name and folder.name != ".." else folder.resolve()
        if not folder.name:
            raise OptionError(f"--out {self.out} cannot hold a bundle: choose another folder")
        if random_weights and not folder.name.endswith("-random"):
            folder = folder.with_name(f"{folder.name}-random")
        return folder

    def _differences(self, sha256: str) -> list[str]:
        """Words for a default name, the same for the same options."""
        batch = self.batch
        done = {"model", "gradient", "precision", "height", "width", "part", "weights", "out"}
        words = {
            "gradient": "" if self.gradient else "plain",
            "precision": self.precision,
            "size": "" if (self.height, self.width) == DEFAULT_SIZE else self.size,
            "part": self.part if self.part != "full" else "",
            "weights": "" if self.weights in NO_FILE else _of_file(self.weights, sha256),
            "batch": f"batch{batch.min}.{batch.opt}.{batch.max}",
            "max_tokens": f"tokens{self.max_tokens}",
            "outputs": "+".join(self.outputs),
            "tessellation": self.tessellation,
            "seed_input": "seeds",
            "plan": ""
            if self.plan is None
            else f"plan{_short_hash(msgspec.json.encode(self.plan))}",
        }
        standard = type(self)(self.model)
        for option in fields(self):
            name, value = option.name, getattr(self, option.name)
            if name in done:
                continue
            if value == getattr(standard, name):
                words[name] = ""
            elif name not in words:
                words[name] = f"{name}{value}"
        return [re.sub(r"[^A-Za-z0-9.+_-]", "-", word) for word in words.values() if word]

    @property
    def size(self) -> str:
        return f"{self.height}x{self.width}"


def _of_file(path: str, sha256: str) -> str:
    return f"{Path(path).stem[:40]}.{sha256[:6]}".rstrip(".")


def _short_hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:6]


def default_budget(height: int, width: int) -> int:
    """Token budget of an image size: 1.6 per 16 x 16 pixels, rounded up to a multiple of 64.

    Random tessellations have up to 1.1 sqrt(H W) regions, which in small images is more.
    """
    wanted = max(TOKENS_PER_SQUARE * height * width / 256, 1.1 * math.sqrt(height * width))
    return BUDGET_STEP * math.ceil(wanted / BUDGET_STEP)


def checked_threshold(value: float) -> float:
    """A final threshold that the op takes; ContractError for others."""
    attribute = SUPERPIXEL_MERGE.attribute("final_threshold")
    return float(attribute.checked(value, SUPERPIXEL_MERGE.name))


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise OptionError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
