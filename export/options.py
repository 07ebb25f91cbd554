"""What a user can ask of an export, and what follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from spit_edge.export.graph.model import GraphOptions
from spit_edge.runtime.bundle.manifest import BatchProfile, Precision, PrecisionPlan
from spit_edge.spit_ref.tokenizer import Tessellation

DEFAULT_SIZE = (224, 224)
TOKENS_PER_SQUARE = 1.6
"""Token budget per 16 x 16 pixels: at 224 x 224 photographs have up to 280 regions (1.43 of
them), uniform noise 318 (1.62)."""
BUDGET_STEP = 64


@dataclass(frozen=True)
class BuildOptions:
    """An export.  ``max_tokens`` None: see :func:`default_budget`; ``out`` None: by name."""

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
    part: Literal["full", "trunk"] = "full"
    tessellation: Tessellation = "voronoi"
    seed_input: bool = False
    plan: PrecisionPlan | None = None
    out: Path | None = None

    @property
    def budget(self) -> int:
        return self.max_tokens or default_budget(self.height, self.width)

    @property
    def graph(self) -> GraphOptions:
        return GraphOptions(
            height=self.height,
            width=self.width,
            max_tokens=self.budget,
            precision=self.precision,
            extras=self.outputs,
            seed_input=self.seed_input,
            fp32=frozenset(self.plan.fp32 if self.plan else ()),
        )

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
