"""Images in either layout, alone and as views give the same bits."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spit_edge.plugins.native import ops

ROOT = Path(__file__).parents[3]
FOLDERS = ("export", "plugins", "runtime", "spit_ref")
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 3, 14, 11), dtype=np.uint8)
LAST = np.ascontiguousarray(IMAGES.transpose(0, 2, 3, 1))
VIEWS: list[Any] = [
    LAST,
    IMAGES[:, :, ::-1].copy()[:, :, ::-1],
    np.stack([IMAGES, IMAGES], -1)[..., 0],
    np.repeat(LAST, 2, 0)[::2],
    torch.from_numpy(LAST),
    torch.from_numpy(IMAGES).to(memory_format=torch.channels_last),
]
SCRIPT = """import numpy as np
import torch
from numpy.typing import NDArray
from spit_edge.plugins import region_features, superpixel_merge

def arrays(images: NDArray[np.uint8]) -> None:
    labels, counts = superpixel_merge(images, levels=3)
    reveal_type(labels)
    reveal_type(counts)
    reveal_type(region_features(images, labels, counts, bins=8))

def tensors(images: torch.Tensor) -> None:
    labels, counts = superpixel_merge(images, levels=3)
    reveal_type(labels)
    reveal_type(counts)
    reveal_type(region_features(images, labels, counts, bins=8))

superpixel_merge(np.zeros((1, 3, 8, 8), np.uint8), level=3)
"""


@pytest.mark.parametrize("view", VIEWS)
def test_same_bits(view: Any) -> None:
    labels, counts = ops.superpixel_merge(IMAGES)
    tokens = ops.region_features(IMAGES, labels, counts)
    found = ops.superpixel_merge(view)
    np.testing.assert_array_equal(found[0], labels)
    np.testing.assert_array_equal(ops.region_features(view, *found), tokens)
    one = ops.superpixel_merge(view[0])
    assert tuple(one[0].shape) == (1, 14, 11)
    np.testing.assert_array_equal(one[0], labels[:1])
    np.testing.assert_array_equal(ops.region_features(view[0], *one), tokens[:1, : counts[0]])


def test_strided_labels() -> None:
    labels, counts = ops.superpixel_merge(IMAGES)
    strided = np.stack([labels, labels], -1)[..., 0], np.stack([counts, counts], -1)[..., 0]
    wanted = ops.region_features(IMAGES, labels, counts)
    np.testing.assert_array_equal(ops.region_features(IMAGES, *strided), wanted)


def test_where_both_layouts_fit() -> None:
    images = IMAGES[..., :3]
    first, counts = ops.superpixel_merge(images)
    assert first.shape == (2, 14, 3)
    known = ops.region_features(images, first, counts)
    np.testing.assert_array_equal(known, ops.region_features(images, first, counts, layout="NCHW"))
    last, counts = ops.superpixel_merge(images, layout="NHWC")
    assert last.shape == (2, 3, 14)
    known = ops.region_features(images, last, counts)  # by the labels
    np.testing.assert_array_equal(known, ops.region_features(images, last, counts, layout="NHWC"))


def test_types(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    # The folders under the package's name: mypy does not follow an editable installation.
    links = tmp_path / "links" / "spit_edge"
    links.mkdir(parents=True)
    for place in (*(ROOT / "spit_edge").iterdir(), *(ROOT / name for name in FOLDERS)):
        (links / place.name).symlink_to(place)
    checker = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "script.py"]
    environment = {**os.environ, "MYPYPATH": str(tmp_path / "links")}
    done = subprocess.run(
        checker, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    shown = re.findall(r'Revealed type is "(.*)"', done.stdout)
    assert len(shown) == SCRIPT.count("reveal_type("), done.stdout
    for one in shown:
        assert "Any" not in one.replace("tuple[Any, ...]", "shape"), one
        assert "int32" in one or "_32Bit" in one or "Tensor" in one, one
    wrong = set(re.findall(r"script\.py:(\d+): error: .*overload", done.stdout))
    assert wrong == {str(len(SCRIPT.splitlines()))}, done.stdout
