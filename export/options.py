"""What a user can ask of an export, and what follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

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

    def folder(self, *, random_weights: bool) -> Path:
        """Where the bundle goes; random weights show in the name."""
        name = "-".join(
            [
                self.model,
                *([] if self.gradient else ["plain"]),
                self.precision,
                *([] if (self.height, self.width) == DEFAULT_SIZE else [self.size]),
                *(["trunk"] if self.part == "trunk" else []),
            ]
        )
        folder = self.out or Path("build") / name
        if random_weights and not folder.name.endswith("-random"):
            folder = folder.with_name(f"{folder.name}-random")
        return folder

    @property
    def size(self) -> str:
        return f"{self.height}x{self.width}"


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
