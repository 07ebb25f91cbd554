"""Checkpoint files as trainers save them, down to the state dict inside."""

from __future__ import annotations

import argparse
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from spit_edge.base.install import pip_install
from spit_edge.spit_ref.download import WeightsError

WRAPPERS = ("model", "state_dict", "model_state_dict", "module", "net")
"""Keys under which training scripts keep the state dict, beside epochs and optimizers; the first
that is there is taken."""
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")
"""What DataParallel, torch.compile and Lightning put before every key."""


class WrongCheckpoint(WeightsError):
    """A file is not a checkpoint, or not one of this model."""


def read_checkpoint(path: Path) -> Any:
    """What is in a file of ``torch.save`` or safetensors, unwrapped: a state dict if it is one.

    A dict around the state dict and prefixes that all keys share are taken off.  Raises
    WeightsError for a file that cannot be read, and WrongCheckpoint, which says what it is instead.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise WeightsError(f"{path} is a pipe or a device: pass the path of a checkpoint.")
    try:
        state = _safetensors(path) if _is_safetensors(path) else _torch_file(path)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise WeightsError(
            f"{path} could not be read ({error.strerror}): pass the path of a checkpoint "
            "or one of the words auto, official and random."
        ) from error
    return _without_prefixes(_unwrapped(state))


def _torch_file(path: Path) -> Any:
    try:
        if zipfile.is_zipfile(path):  # torch.load does not look at the checksums
            with zipfile.ZipFile(path) as archive:
                if damaged := archive.testzip():
                    raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
        # Scripts keep their options in a Namespace, which is a dict with dots and runs nothing.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # a damaged file makes torch.load raise nearly anything
        foreign = re.search(r"GLOBAL ([\w.]+)", str(error))
        if foreign:
            raise WrongCheckpoint(
                f"{path} also holds an object of {foreign[1]}, and reading such objects could run "
                "code: load it where you trained and save model.state_dict() alone."
            ) from error
        raise WrongCheckpoint(
            f"{path} is damaged or not a PyTorch checkpoint ({type(error).__name__}): "
            "pass a state dict saved with torch.save."
        ) from error


def _is_safetensors(path: Path) -> bool:
    """By its first bytes: the size of a JSON header, and that header."""
    with path.open("rb") as stream:
        start = stream.read(9)
    size = int.from_bytes(start[:8], "little")
    return start[8:] == b"{" and size <= path.stat().st_size - 8


def _safetensors(path: Path) -> Any:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise WeightsError(f"{path} is a safetensors file: {pip_install('torch')}") from error
    try:
        return load_file(path)
    except SafetensorError as error:
        raise WrongCheckpoint(f"{path} is a damaged safetensors file: {error}") from error


def _unwrapped(state: Any) -> Any:
    while isinstance(state, Mapping):
        inner = next((state[key] for key in WRAPPERS if isinstance(state.get(key), Mapping)), None)
        if inner is None:
            return state
        state = inner
    return state


def _without_prefixes(state: Any) -> Any:
    while isinstance(state, Mapping) and state:
        keys = list(state)
        shared = [
            prefix
            for prefix in PREFIXES
            if all(isinstance(key, str) and key.startswith(prefix) for key in keys)
        ]
        if not shared:
            return state
        state = {key.removeprefix(shared[0]): value for key, value in state.items()}
    return state
