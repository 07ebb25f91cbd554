"""Tables for people: the ops' contracts, and what their CUDA kernels need."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from spit_edge.base.contracts import CONTRACTS, SUPERPIXEL_MERGE, Attribute, Contract
from spit_edge.base.progress import Steps
from spit_edge.plugins.cuda_build import KernelResources, compile_object, find_nvcc
from spit_edge.plugins.cuda_launches import LaunchRecorder, every_launch

TABLE_WIDTH = 4  # architectures side by side


def wide_console() -> Console:
    """A file or pipe gets whole lines; a terminal its own width."""
    terminal = sys.stdout.isatty()
    return Console(width=None if terminal else 160, markup=False, force_terminal=terminal)


def contract_table(contract: Contract) -> Table:
    title = f"{contract.op_type} version {contract.version}: {contract.meaning}"
    table = _table(title, "port", "name", "type", "shape or range", "default", "meaning")
    for kind, ports in (("input", contract.inputs), ("output", contract.outputs)):
        for port in ports:
            shape = ", ".join(str(size) for size in port.shape)
            table.add_row(kind, port.name, port.dtype, f"({shape})", "", port.meaning)
    for a in contract.attributes:
        default = "required" if a.default is None else repr(a.default)
        table.add_row("attribute", a.name, a.type, _range(a), default, a.meaning)
    return table


def _range(attribute: Attribute) -> str:
    if attribute.choices:
        return " | ".join(repr(choice) for choice in attribute.choices)
    return f"{attribute.low:.10g}...{attribute.high:.10g}"


def print_kernels(console: Console, architectures: Sequence[int], nvcc: Path | None) -> None:
    """Compiles for ``architectures`` and prints three tables; raises CudaBuildError."""
    compiler = find_nvcc(nvcc)
    with tempfile.TemporaryDirectory() as folder:
        kernels = Path(folder) / "launch.o"
        steps, names = Steps(), ", ".join(f"sm_{a}" for a in architectures)
        with steps.step(f"compiling for {names}"):
            resources = compile_object(compiler, kernels, architectures)
        with steps.step("recording launches"):
            recorder = LaunchRecorder(compiler, kernels, Path(folder) / "launch_recorder")
            launched = every_launch(recorder)
        for first in range(0, len(architectures), TABLE_WIDTH):
            shown = architectures[first : first + TABLE_WIDTH]
            console.print(resource_table(resources, launched, shown))
        console.print(launch_table(recorder))
        console.print(workspace_table(recorder))


def resource_table(
    resources: Sequence[KernelResources],
    launched: dict[str, list[str]],
    architectures: Sequence[int],
) -> Table:
    """One line per kernel; a kernel of several ops stands with the first one."""
    needs = {(r.kernel, r.architecture): r for r in resources}
    table = _table("registers a thread / shared / stack / spilled bytes", "op", "kernel")
    for architecture in architectures:
        table.add_column(f"sm_{architecture}", justify="right", no_wrap=True)
    first_op: dict[str, str] = {}
    for op, kernels in launched.items():
        for kernel in kernels:
            if first_op.setdefault(kernel, op) == op:
                table.add_row(op, kernel, *(_needs(needs[kernel, a]) for a in architectures))
    return table


def _needs(r: KernelResources) -> str:
    return f"{r.registers} / {r.shared_bytes} / {r.stack_bytes} / {r.spill_bytes}"


def launch_table(recorder: LaunchRecorder) -> Table:
    table = _table("launches of one call, for a batch of any size", "op", "attributes", "launches")
    for levels, threshold in ((4, 0.0), (4, 0.1), (2, 0.0), (0, 0.0)):
        chosen = {"levels": levels, "final_threshold": threshold}
        run = recorder.record(SUPERPIXEL_MERGE, 8, 224, 224, **chosen)
        attributes = f"levels={levels} final_threshold={threshold:g}"
        table.add_row(SUPERPIXEL_MERGE.name, attributes, str(len(run.launches)))
    for contract in CONTRACTS:
        if contract is not SUPERPIXEL_MERGE:
            launches = recorder.record(contract, 8, 224, 224).launches
            table.add_row(contract.name, "any", str(len(launches)))
    return table


def workspace_table(recorder: LaunchRecorder) -> Table:
    table = _table("workspace for one image, bytes", "op", "size", "max_tokens", "bytes", "a pixel")
    for side, tokens in ((224, 256), (1024, 4096)):
        for contract in CONTRACTS:
            rows = {f.name: tokens for f in contract.fields if f.name == "max_tokens"}
            run = recorder.record(contract, 1, side, side, **rows)
            per_pixel = f"{run.workspace / side**2:.2f}"
            shown = str(tokens) if rows else ""
            table.add_row(contract.name, f"{side} x {side}", shown, str(run.workspace), per_pixel)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
