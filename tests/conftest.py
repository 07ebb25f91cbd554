"""Bundles that several tests share, each built once per process, and what a run lacked."""

from __future__ import annotations

import os

# Before torch loads OpenMP: threads that spin while they wait make a busy machine 50 times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if "PYTEST_XDIST_WORKER" in os.environ:
    # The processes share the cores; tests of threads say how many they want.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spit_edge.base.progress import Steps
from spit_edge.export import build as export_build
from spit_edge.export.build import Built, build
from spit_edge.export.options import BuildOptions
from spit_edge.runtime.images import fitted_samples
from tests.processes import folder_of_run
from tests.traces import Traces

# What tests build is not to be trusted by the user's own runs.
_STATE = tempfile.TemporaryDirectory(prefix="spit-edge-state-")
os.environ["XDG_STATE_HOME"] = _STATE.name

GOLDENS = Path(__file__).parent / "data" / "goldens"

MakeBundle = Callable[..., Built]


@pytest.fixture(scope="session", autouse=True)
def traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traces]:
    """Builds trace a trunk unless another of this run, in any of its processes, has."""
    folder = folder_of_run(tmp_path_factory) / "traces"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_build, "trunk_graph", made := Traces(folder))
        yield made


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory: pytest.TempPathFactory) -> MakeBundle:
    """Build ``spit_tiny`` with the golden weights; keywords are fields of BuildOptions."""
    made: dict[str, Built] = {}

    def make(**wanted: Any) -> Built:
        gradient = wanted.get("gradient", True)
        weights = GOLDENS / f"tiny_{'gradient' if gradient else 'plain'}.pth"
        options = {"model": "spit_tiny", "weights": str(weights), **wanted}
        key = repr(sorted(options.items()))
        if key not in made:
            folder = tmp_path_factory.mktemp("bundle") / "bundle"
            made[key] = build(BuildOptions(**options, out=folder), Steps(quiet=True))
        return made[key]

    return make


@pytest.fixture(scope="session")
def photographs() -> Callable[[int, int], np.ndarray]:
    """The shipped photographs at a size, uint8 [3, height, width, 3]."""

    def at(height: int, width: int) -> np.ndarray:
        return np.stack(list(fitted_samples(height, width).values()))

    return at


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was not tested: a line for each cause, which says what to install."""
    skipped = terminalreporter.stats.get("skipped", [])
    causes = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for cause, count in causes.most_common():
        terminalreporter.write_line(
            f"not run: {count} {'test' if count == 1 else 'tests'}: {cause}"
        )
