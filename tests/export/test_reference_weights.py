"""Whose checkpoint is opened when a bundle names one."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from spit_edge.export.__main__ import main
from spit_edge.export.reference import model_of
from spit_edge.runtime.bundle import Bundle
from spit_edge.spit_ref import WeightsError
from tests.conftest import GOLDENS, MakeBundle

CHECKPOINT = GOLDENS / "tiny_gradient.pth"


def test_the_path_is_absolute_and_known_here(make_bundle: MakeBundle) -> None:
    manifest = Bundle.open(make_bundle(height=48, width=64).path).manifest
    assert manifest.weights.location == str(CHECKPOINT.absolute())
    assert model_of(manifest).weights is not None


def test_a_bundle_from_elsewhere_opens_no_file(
    make_bundle: MakeBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A FIFO would be waited for: nobody looks at it."""
    path = make_bundle(height=48, width=64).path
    manifest = Bundle.open(path).manifest
    os.mkfifo(tmp_path / "pipe")
    elsewhere = msgspec.structs.replace(manifest.weights, location=str(tmp_path / "pipe"))
    with pytest.raises(WeightsError, match=r"built elsewhere, from .*pipe.*--weights"):
        model_of(msgspec.structs.replace(manifest, weights=elsewhere))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another machine"))
    with pytest.raises(WeightsError, match="built elsewhere"):
        model_of(manifest)
    assert model_of(manifest, CHECKPOINT).weights is not None
    with pytest.raises(WeightsError, match="is a pipe or a device"):
        model_of(manifest, tmp_path / "pipe")


def test_validate_takes_the_checkpoint(
    make_bundle: MakeBundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = make_bundle(height=48, width=64).path
    photographs = str(Path(__file__).parents[2] / "runtime" / "photos")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    words = ["validate", str(path), "--images", photographs]
    assert main(words) == 2 and "--weights" in capsys.readouterr().err
    assert main([*words, "--weights", str(CHECKPOINT)]) == 0
