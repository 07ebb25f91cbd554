"""Bundles that several tests share; each is built once per run."""

from __future__ import annotations

import os

# Before torch loads OpenMP: threads that spin while they wait make a busy machine 50 times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spit_edge.base.progress import Steps
from spit_edge.export.build import Built, build
from spit_edge.export.options import BuildOptions
from spit_edge.runtime.pictures.images import fit_image, load_image, sample_photos

# What tests build is not to be trusted by the user's own runs.
_STATE = tempfile.TemporaryDirectory(prefix="spit-edge-state-")
os.environ["XDG_STATE_HOME"] = _STATE.name

GOLDENS = Path(__file__).parent / "data" / "goldens"

MakeBundle = Callable[..., Built]


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
        return np.stack([fit_image(load_image(p), height, width) for p in sample_photos().values()])

    return at
