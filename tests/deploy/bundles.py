"""Variations of a bundle."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from pathlib import Path

import numpy as np

_LINES = itertools.count(1)


def variation(bundle: Path, place: Path) -> Path:
    """A bundle in which parity.json has bytes that no other has, and that mean the same."""
    copy = Path(shutil.copytree(bundle, place))
    path = copy / "parity.json"
    path.write_bytes(path.read_bytes() + b"\n" * next(_LINES))
    return _listed(copy, path.name)


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
