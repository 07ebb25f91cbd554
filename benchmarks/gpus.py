"""GPUs as their makers describe them: bandwidth of the memory, and cores times clock."""

from __future__ import annotations

from dataclasses import dataclass

LAUNCH_SECONDS = 1e-6
"""Time that passes from one short kernel of a stream to the next, at best.  No data sheet gives it:
an assumption on the low side, the same for all (a Jetson's CPU takes longer)."""


@dataclass(frozen=True)
class Gpu:
    """bandwidth in bytes a second; clock in Hz, the highest that the document ``source`` gives."""

    name: str
    bandwidth: float
    cores: int
    clock: float
    source: str

    @property
    def operations(self) -> float:
        """float32 operations per second without fused ones, which the exact kernels do not use."""
        return self.cores * self.clock


GPUS = (
    Gpu(
        "Jetson Orin Nano 8GB, Super",
        102e9,
        1024,
        1.02e9,
        "Jetson Orin Nano Super Developer Kit data sheet",
    ),
    Gpu("Jetson Orin NX 16GB", 102.4e9, 1024, 0.918e9, "Jetson Orin NX Series Modules data sheet"),
    Gpu("Jetson AGX Orin 64GB", 204.8e9, 2048, 1.3e9, "Jetson AGX Orin Series Modules data sheet"),
    Gpu("Jetson Thor T5000", 273e9, 2560, 1.575e9, "Jetson Thor Series Modules data sheet"),
    Gpu("GeForce RTX 4090", 1008e9, 16384, 2.52e9, "NVIDIA Ada GPU architecture white paper"),
)
