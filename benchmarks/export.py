"""What an export takes: seconds, memory, and the bytes of what comes out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.suite import MIB, Chart, Figure, Row, Settings, Suite
from benchmarks.timing import summary
from spit_edge.base.errors import SpitError
from spit_edge.runtime.bundle.folder import MODEL, TRUNK, WEIGHTS

SIDE = 224
"""Of the images that models are exported for unless a user says otherwise."""


class ExportFailed(SpitError):
    """An export did not end well."""


@dataclass(frozen=True)
class Export:
    """One run: wall time in seconds, its peak of resident memory in bytes, and sizes of files."""

    seconds: float
    peak_memory: int
    files: dict[str, int]


def measure(settings: Settings) -> Iterator[Row]:
    """Rows by model and precision; models in turn, round by round."""
    cases = [(name, p) for name in settings.models for p in settings.precisions]
    runs: dict[tuple[str, str], list[Export]] = {case: [] for case in cases}
    failed: dict[tuple[str, str], str] = {}
    for _ in range(settings.rounds):
        for case in cases:
            try:
                if case not in failed:
                    runs[case].append(run_export(*case))
            except ExportFailed as error:
                failed[case] = str(error)
    for (name, precision), exports in runs.items():
        what = f"export in {precision}"
        if reason := failed.get((name, precision)):
            yield Row(what=what, size=SIDE, variant=name, note=reason)
            continue
        timing = summary([export.seconds * 1e3 for export in exports])
        last = exports[-1].files
        figures: dict[str, Figure] = {
            "peak MiB": max(export.peak_memory for export in exports) / MIB,
            "weights MiB": last.get(WEIGHTS, 0) / MIB,
            "graphs MiB": sum(last[graph] for graph in (MODEL, TRUNK)) / MIB,
            "bundle MiB": sum(last.values()) / MIB,
        }
        yield Row(
            what=what,
            size=SIDE,
            variant=name,
            median=timing.median,
            p10=timing.p10,
            p90=timing.p90,
            more=figures,
        )


def run_export(model: str, precision: str) -> Export:
    """Export ``model`` in a process of its own.  Raises ExportFailed with what it said."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bundle-random"
        words = ["-m", "spit_edge.export", "build", "--model", model, "--precision", precision]
        words += ["--weights", "random", "--no-engine", "--out", str(out)]
        with (Path(folder) / "log").open("w+b") as log:
            start = time.perf_counter()
            process = subprocess.Popen([sys.executable, *words], stdout=log, stderr=log)
            # wait4 gives the memory of this one child; getrusage only the largest of all so far.
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                log.seek(0)
                said = log.read().decode(errors="replace").strip()
                raise ExportFailed(f"export build --model {model} failed: {said[-500:]}")
        unit = 1 if sys.platform == "darwin" else 1024
        files = {p.relative_to(out).as_posix(): p.stat().st_size for p in _files(out)}
        shutil.rmtree(out)
        return Export(seconds, usage.ru_maxrss * unit, files)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


SUITE = Suite(
    name="export",
    title="python -m export build with random weights, in a process of its own",
    measure=measure,
    chart=Chart(kind="bars", label="ms"),
    notes=(
        "Time and memory include PyTorch's start, the reference's answers and the check of the "
        "exported graph. peak: resident memory, the largest of all rounds.",
    ),
    models=(
        "spit_tiny",
        *(f"{kind}_{size}" for kind in ("spit", "vit", "rvit") for size in ("s16", "b16")),
        "spit_l16",
    ),
    # Minutes each, and hardly any spread.
    rounds=3,
    least_rounds=3,
)
