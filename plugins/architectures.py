"""Which GPUs a plugin library is built for, and whether any machine could load it."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from spit_edge.base.driver import driver_facts

JETSONS = (87, 110)
"""Orin and Thor."""
TEGRA = {53, 62, 72, 101, *JETSONS}
"""GPUs that share a chip with a CPU: code for them and for others is not exchanged."""


def runs_on(architecture: int, built: Sequence[int]) -> bool:
    """Whether a GPU runs machine code ``built`` for others: its own, and, but for Jetsons, that of
    earlier minor ones."""
    if architecture in built:
        return True
    return architecture not in TEGRA and any(
        other // 10 == architecture // 10 and other <= architecture and other not in TEGRA
        for other in built
    )


def usual_architectures(machine: str) -> tuple[int, ...]:
    """Of the GPU that is here; for another machine, and where there is none, of the Jetsons."""
    gpu = _gpu_here(machine)
    return JETSONS if gpu is None else (gpu,)


def why_of_no_use(machine: str, architectures: Sequence[int]) -> str | None:
    """Why no machine, or not this one, could use a library for ``machine`` with such code, and
    what to do; None where nothing is wrong."""
    names = ", ".join(f"sm_{a}" for a in architectures)
    if machine != "aarch64" and TEGRA.issuperset(architectures):
        return (
            f"no machine can load a library of {machine} for {names}: these GPUs are Jetsons', "
            "which are aarch64: build with --host-arch aarch64, or name other GPUs with --arch"
        )
    gpu = _gpu_here(machine)
    if gpu is None or runs_on(gpu, architectures):
        return None
    return f"this machine's GPU is sm_{gpu}, which cannot run code for {names}: add --arch {gpu}"


def _gpu_here(machine: str) -> int | None:
    facts = driver_facts() if machine == platform.machine() else None
    return None if facts is None else facts["sm"]
