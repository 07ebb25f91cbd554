"""Checkpoints as trainers save them, and what is said of those that cannot be read."""

from __future__ import annotations

import argparse
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from spit_edge.spit_ref import load_model
from spit_edge.spit_ref.checkpoint import WrongCheckpoint
from spit_edge.spit_ref.weights import random_state, resolve_weights, state_dict_sha256
from spit_edge.spit_ref.zoo import model_config

TINY = model_config("spit_tiny")


def prefixed(prefix: str) -> dict[str, Any]:
    return {f"{prefix}{key}": value for key, value in random_state(TINY, 3).items()}


@pytest.mark.parametrize(
    "saved",
    [
        {"model": random_state(TINY, 3), "epoch": 3, "optimizer": {"state": {}}},
        {"state_dict": prefixed("module."), "best_acc1": 0.5},
        {"state_dict": prefixed("model."), "pytorch-lightning_version": "2.1"},
        {"model": random_state(TINY, 3), "args": argparse.Namespace(lr=1e-3, model="spit")},
        prefixed("module."),
        prefixed("_orig_mod."),
        prefixed("module._orig_mod."),
        OrderedDict(prefixed("_orig_mod.module.")),
    ],
)
def test_state_dicts_are_unwrapped(tmp_path: Path, saved: Any) -> None:
    torch.save(saved, tmp_path / "file.pth")
    _, info = resolve_weights(TINY, tmp_path / "file.pth")
    assert info.sha256 == state_dict_sha256(random_state(TINY, 3))


def test_safetensors_whatever_the_name(tmp_path: Path) -> None:
    save_file(prefixed("module."), tmp_path / "file.pth")
    _, info = resolve_weights(TINY, tmp_path / "file.pth")
    assert info.sha256 == state_dict_sha256(random_state(TINY, 3))


def test_damaged_safetensors(tmp_path: Path) -> None:
    save_file(random_state(TINY, 3), tmp_path / "file.safetensors")
    data = bytearray((tmp_path / "file.safetensors").read_bytes())
    data[9:12] = b"~~~"
    (tmp_path / "file.safetensors").write_bytes(data)
    with pytest.raises(WrongCheckpoint, match="damaged safetensors file"):
        resolve_weights(TINY, tmp_path / "file.safetensors")


def test_an_object_that_could_run_code_is_named(tmp_path: Path) -> None:
    torch.save({"model": random_state(TINY, 3), "path": Path("x")}, tmp_path / "file.pth")
    with pytest.raises(WrongCheckpoint, match=r"object of pathlib\.\w+, .*state_dict\(\) alone"):
        resolve_weights(TINY, tmp_path / "file.pth")


def test_another_number_of_classes_says_which(tmp_path: Path) -> None:
    seven = random_state(model_config("spit_tiny", classes=7), 3)
    torch.save({"model": seven}, tmp_path / "file.pth")
    with pytest.raises(WrongCheckpoint, match="has 7 classes and spit_tiny 10: pass --classes 7"):
        load_model("spit_tiny", weights=tmp_path / "file.pth")
    assert load_model("spit_tiny", weights=tmp_path / "file.pth", classes=7).config.classes == 7


def test_where_a_checkpoint_lies_does_not_depend_on_the_folder(tmp_path, monkeypatch) -> None:
    torch.save(random_state(TINY, 3), tmp_path / "mine.pth")
    monkeypatch.chdir(tmp_path)
    _, info = resolve_weights(TINY, "mine.pth")
    assert info.location == str(tmp_path / "mine.pth")
