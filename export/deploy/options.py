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
    seconds  of each measurement of speed; 0: none
    restart  unit of the user's systemd to restart, if it runs, once the release is in use
    extras   of this package to install beside what the back end needs
    ignore_memory  go on where less is free than is computed
    """

    engine: EngineWish = "auto"
    backend: str | None = None
    keep: int = 3
    seconds: float = 1.0
    restart: str | None = None
    extras: tuple[str, ...] = ()
    ignore_memory: bool = False
