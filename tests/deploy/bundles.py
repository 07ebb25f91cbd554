"""Variations of a bundle."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np


def variation(bundle: Path, place: Path, name: str = "parity.json") -> Path:
    """A bundle in which one file has other bytes that mean the same: another release."""
    copy = Path(shutil.copytree(bundle, place))
    path = copy / name
    path.write_bytes(path.read_bytes() + b"\n")
    return _listed(copy, name)


def wrong_answers(bundle: Path, place: Path) -> Path:
    """A bundle, sound in itself, whose check expects other labels."""
    copy = Path(shutil.copytree(bundle, place))
    path = copy / "check" / "expected.npz"
    with np.load(path) as stored:
        data = dict(stored)
    data["labels"][0, 0, 0] += 1
    np.savez_compressed(path, **data)
    return _listed(copy, "check/expected.npz")


def _listed(bundle: Path, name: str) -> Path:
    """Its manifest with the file as it is."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    data = (bundle / name).read_bytes()
    manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    return bundle
