"""What the ops launch on a GPU, recorded without one.

The object of the kernels is linked with launch_recorder.cpp in place of the CUDA runtime: the
executor's own code runs, and every launch is written down.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from spit_edge.base.contracts import CONTRACTS, Attribute, Contract, Value
from spit_edge.plugins.cuda_build import CudaBuildError, link_recorder, short_names

USUAL: Mapping[str, dict[str, Value]] = {
    contract.name: {
        field.name: {"max_tokens": 256}.get(field.name, 1)
        for field in contract.fields
        if field.default is None
    }
    for contract in CONTRACTS
}
"""Attributes without a default, by op."""


@dataclass(frozen=True)
class Launch:
    """One kernel launch: the phase it runs, the grid (blocks, rows of blocks), threads a block."""

    kernel: str
    blocks: tuple[int, int]
    threads: int


@dataclass(frozen=True)
class OpRun:
    """What one call of an op does: kernels in order, and the bytes of workspace it asks for."""

    launches: tuple[Launch, ...]
    workspace: int


class LaunchRecorder:
    """Runs the ops of an object that ``compile_object`` made."""

    def __init__(self, nvcc: Path, kernels: Path, program: Path) -> None:
        link_recorder(nvcc, kernels, program)
        self._program = program

    def record(
        self, contract: Contract, batch: int, height: int, width: int, **attributes: Value
    ) -> OpRun:
        """One call of an op on a whole batch; ContractError for attributes that do not fit."""
        values = contract.field_values(USUAL.get(contract.name, {}) | attributes)
        if {"height", "width"} <= values.keys():
            values |= {"height": height, "width": width}
        numbers = [
            field.choices.index(str(values[field.name])) if field.choices else values[field.name]
            for field in contract.fields
        ]
        command = [str(self._program), contract.name]
        command += [repr(number) for number in (batch, height, width, *numbers)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            what = done.stderr.strip() or "the recorder failed"
            raise CudaBuildError(f"{' '.join(command[1:])}: {what}")
        first, *lines = done.stdout.splitlines()
        rows = [line.split() for line in lines]
        names = short_names(row[0] for row in rows)
        launches = tuple(Launch(names[n], (int(x), int(y)), int(t)) for n, x, y, t in rows)
        return OpRun(launches, int(first))


def every_launch(recorder: LaunchRecorder) -> dict[str, list[str]]:
    """Kernels each op launches in any of its configurations, in order of first use."""
    launched = {}
    for contract in CONTRACTS:
        tried = {f.name: _tried(f) for f in contract.fields if f.name not in ("height", "width")}
        runs = [
            recorder.record(contract, 1, 64, 64, **dict(zip(tried, values, strict=True)))
            for values in product(*tried.values())
        ]
        kernels = (launch.kernel for run in runs for launch in run.launches)
        launched[contract.name] = list(dict.fromkeys(kernels))
    return launched


def _tried(field: Attribute) -> Sequence[Value]:
    """Values between which an op may choose other kernels: all choices; a number on and off."""
    if field.choices:
        return field.choices
    usual = 64 if field.default is None else field.default
    if field.low > 0:
        return (usual,)
    return (usual, 0) if usual else (usual, field.high)
