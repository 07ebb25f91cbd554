"""The native kernels as PyTorch ops: the reference's bits, traceable, and under a model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spit_edge.plugins import torch_ops
from spit_edge.plugins.implementation import IMPLEMENTATIONS
from spit_edge.plugins.native import ops
from spit_edge.spit_ref import load_model, region_features, superpixel_merge
from tests.conftest import GOLDENS


@pytest.fixture
def images(photographs) -> torch.Tensor:
    return torch.from_numpy(photographs(70, 90).transpose(0, 3, 1, 2).copy())


@pytest.mark.parametrize("compactness", [None, 0.1])
def test_same_bits_as_the_reference(images, compactness) -> None:
    labels, counts = torch_ops.superpixel_merge(images, compactness=compactness)
    wanted, wanted_counts = superpixel_merge(images, compactness=compactness)
    assert torch.equal(labels, wanted) and torch.equal(counts, wanted_counts)
    tokens = torch_ops.region_features(images, labels, counts, sigma=0.05)
    assert torch.equal(tokens, region_features(images, labels, counts, sigma=0.05))


@pytest.mark.parametrize("pixels", ["uint8", "unit", "imagenet"])
def test_ops_of_a_graph_match_their_definition_on_raw_values(pixels) -> None:
    raw = np.random.default_rng(0).normal(size=(2, 3, 21, 17)).astype(np.float32)
    raw = raw * (120.0 if pixels == "uint8" else 0.8) + (128.0 if pixels == "uint8" else 0.3)
    raw[0, 0, :3, :3] = [np.nan, np.inf, -np.inf]
    options = {"pixels": pixels, "levels": 3, "compactness": 0.1, "final_threshold": 0.05}
    labels, counts = IMPLEMENTATIONS["SuperpixelMerge"](raw, **options)
    wanted = superpixel_merge(torch.from_numpy(raw), **options)
    assert np.array_equal(labels, wanted[0]) and np.array_equal(counts, wanted[1])
    rows = {
        "pixels": pixels, "max_tokens": 9, "bins": 16, "sigma": 0.05, "gradient": 1,
        "interpolation": "nearest",
    }  # fmt: skip
    (tokens,) = IMPLEMENTATIONS["RegionFeatures"](raw, labels, counts, **rows)
    wanted_tokens = region_features(torch.from_numpy(raw), *wanted, **rows)
    assert tokens.tobytes() == wanted_tokens.numpy().tobytes()


def test_ops_use_as_many_threads_as_pytorch(images, monkeypatch) -> None:
    seen = []
    for name in ("superpixel_merge", "region_features"):
        real = getattr(ops, name)

        def spy(*given, real=real, threads=None, **named):
            seen.append(threads)
            return real(*given, threads=threads, **named)

        monkeypatch.setattr(ops, name, spy)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch_ops.region_features(images, *torch_ops.superpixel_merge(images))
    finally:
        torch.set_num_threads(before)
    assert seen == [1, 1]


def test_torch_accepts_the_ops(images) -> None:
    torch.library.opcheck(torch_ops.superpixel_merge_op, (images, 4, 0.0, 0.0))
    labels, counts = superpixel_merge(images)
    torch.library.opcheck(
        torch_ops.region_features_op, (images, labels, counts, 64, 16, 0.05, True, "bilinear")
    )


def test_an_accelerated_model_gives_the_same_answer(images) -> None:
    model = load_model("spit_tiny", weights=GOLDENS / "tiny_gradient.pth")
    with torch.no_grad():
        wanted = model(images)
        found = torch_ops.accelerate(model)(images)
    assert torch.equal(found.labels, wanted.labels) and torch.equal(found.logits, wanted.logits)
