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
    return listed(copy, "parity.json", (copy / "parity.json").read_bytes() + b"\n" * next(_LINES))


def wrong_answers(bundle: Path, place: Path) -> Path:
    """A bundle, sound in itself, whose check expects other labels."""
    copy = Path(shutil.copytree(bundle, place))
    path = copy / "check" / "expected.npz"
    with np.load(path) as stored:
        data = dict(stored)
    data["labels"][0, 0, 0] += 1
    np.savez_compressed(path, **data)
    return listed(copy, "check/expected.npz", path.read_bytes())


def listed(bundle: Path, name: str, data: bytes) -> Path:
    """The bundle with other data in a file, and a manifest that knows."""
    (bundle / name).write_bytes(data)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    return bundle
