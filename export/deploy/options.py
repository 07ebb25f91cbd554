"""What a user can ask of a deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EngineWish = Literal["auto", "now", "never"]


@dataclass(frozen=True)
class DeployOptions:
    """How a bundle is deployed.

    engine   auto: where there are TensorRT and a GPU; now: it must be; never
    backend  that the check runs on; None: tensorrt with an engine, else onnxruntime
    keep     releases that stay on the device
    runs     of each measurement of speed; 0: none
    """

    engine: EngineWish = "auto"
    backend: str | None = None
    keep: int = 3
    runs: int = 20
