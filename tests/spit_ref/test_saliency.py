"""Attention flow and prototypes against loops and NumPy's decomposition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from spit_edge.spit_ref.saliency import attention_flow, prototype_pca

Array = NDArray[np.float64]


def some_attentions(blocks: int, batch: int, heads: int, counts: list[int]) -> list[Tensor]:
    """Softmaxes as a trunk gives them: padded keys get nothing, padded queries anything."""
    length = max(counts) + 1
    generator = torch.Generator().manual_seed(blocks + length)
    valid = torch.arange(length) <= torch.tensor(counts).view(-1, 1)
    attentions = []
    for _ in range(blocks):
        scores = 3.0 * torch.randn(batch, heads, length, length, generator=generator)
        attentions.append(scores.masked_fill(~valid[:, None, None], -torch.inf).softmax(dim=-1))
    return attentions


def naive_flow(attentions: list[Array]) -> Array:
    """docs/algorithm.md, section 5, for one image: per block [heads, 1 + T, 1 + T]."""
    heads, length, _ = attentions[0].shape
    received = np.zeros((heads, length))
    for head in range(heads):
        flow = [[0.0] * length for _ in range(length)]
        for block, attention in enumerate(attentions):
            step = [
                [0.9 * attention[head, i, j] + 0.1 * (i == j) for j in range(length)]
                for i in range(length)
            ]
            if block == 0:
                flow = step
                continue
            clipped = [[min(max(value, 1e-8), 1.0) for value in row] for row in flow]
            flow = [
                [sum(clipped[i][k] * step[k][j] for k in range(length)) for j in range(length)]
                for i in range(length)
            ]
        received[head] = flow[0]
    logs = np.array([math.log(max(received[:, j])) for j in range(1, length)])
    if len(logs) == 1:
        return np.zeros(1)
    standard = (logs - logs.mean()) / logs.std()
    return (standard - standard.min()) / (standard.max() - standard.min())


@pytest.mark.parametrize("blocks", [1, 2, 4])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_attention_flow_agrees_with_loops(blocks: int, count: int) -> None:
    attentions = some_attentions(blocks, 1, 3, [count])
    found = attention_flow(attentions, torch.tensor([count]))
    expected = naive_flow([attention[0].double().numpy() for attention in attentions])
    assert found.shape == (1, count)
    assert np.abs(found[0].numpy() - expected).max() <= 1e-4


def test_attention_flow_does_not_see_padding() -> None:
    counts = [5, 1, 9]
    attentions = some_attentions(3, 3, 2, counts)
    found = attention_flow(attentions, torch.tensor(counts))
    assert found.shape == (3, 9)
    for index, count in enumerate(counts):
        own = [attention[index, :, : count + 1, : count + 1] for attention in attentions]
        expected = naive_flow([attention.double().numpy() for attention in own])
        assert np.abs(found[index, :count].numpy() - expected).max() <= 1e-4
        assert not found[index, count:].any()


def test_the_floor_lets_no_padding_flow() -> None:
    """2000 padded tokens, each with a flow of 1e-8, that all look at the second token."""
    attention = torch.full((1, 1, 2004, 2004), 0.0)
    attention[..., 2] = 1.0
    attention[..., :4, :4] = torch.tensor([0.5, 0.3, 1e-6, 0.2])
    found = attention_flow([attention] * 2, torch.tensor([3]))
    own = attention_flow([attention[..., :4, :4]] * 2, torch.tensor([3]))
    assert torch.allclose(found[0, :3], own[0], atol=1e-5)


def test_attention_flow_spans_zero_to_one() -> None:
    found = attention_flow(some_attentions(2, 1, 2, [9]), torch.tensor([9]))
    assert float(found.min()) == 0.0 and float(found.max()) == 1.0


def test_attention_flow_names_the_token_that_is_looked_at() -> None:
    attention = torch.full((1, 1, 5, 5), 0.1)
    attention[..., 3] = 0.6
    assert attention_flow([attention] * 3, torch.tensor([4])).argmax() == 2


def test_attention_flow_of_nothing_is_finite() -> None:
    """A token that no head looks at has a flow whose logarithm would be minus infinity."""
    attention = torch.zeros(1, 2, 4, 4)
    attention[..., 0] = 1.0
    attention[0, 0, 0] = torch.tensor([0.5, 0.0, 0.5, 0.0])
    found = attention_flow([attention], torch.tensor([3]))
    assert found.isfinite().all() and found[0].tolist() == [0.0, 1.0, 0.0]
    flat = torch.full((1, 2, 4, 4), 0.25)
    assert not attention_flow([flat], torch.tensor([3])).any()


def naive_prototypes(features: Array, components: int) -> Array:
    """Of one image's [1 + T, d]: [T, components]."""
    centred = features - features.mean(axis=0)
    axes = np.linalg.svd(centred)[2][:components]
    axes *= np.sign([[axis[np.abs(axis).argmax()]] for axis in axes])
    projected = (centred @ axes.T)[1:]
    standard = (projected - projected.mean(axis=0)) / projected.std(axis=0)
    low, high = standard.min(axis=0), standard.max(axis=0)
    return (standard - low) / (high - low)


@pytest.mark.parametrize("components", [1, 3])
def test_prototypes_agree_with_numpy(components: int) -> None:
    counts = [12, 4, 30]
    embeddings = torch.randn(3, 31, 8, generator=torch.Generator().manual_seed(0))
    embeddings = embeddings * torch.linspace(3.0, 0.2, 8) + 5.0
    found = prototype_pca(embeddings, torch.tensor(counts), components)
    assert found.shape == (3, 30, components) and found.dtype == torch.float32
    for index, count in enumerate(counts):
        own = embeddings[index, : count + 1].double().numpy()
        expected = naive_prototypes(own, components)
        assert np.abs(found[index, :count].numpy() - expected).max() <= 1e-3
        assert not found[index, count:].any()


def test_prototypes_do_not_turn_with_the_sign_of_an_axis() -> None:
    generator = torch.Generator().manual_seed(0)
    line = torch.randn(1, 20, 1, generator=generator) * torch.tensor([0.5, -2.0, 1.0])
    found = prototype_pca(line, torch.tensor([19]))[0, :, 0]
    along = -line[0, 1:, 1]  # the largest entry of the axis, -2, is made positive
    assert torch.allclose(found, (along.max() - along) / (along.max() - along.min()), atol=1e-5)


@pytest.mark.parametrize("components", [1, 2, 5])
def test_prototypes_of_one_token_are_zero(components: int) -> None:
    """One value cannot be spread over [0, 1], and two points have one axis alone."""
    embeddings = torch.randn(1, 2, 8, generator=torch.Generator().manual_seed(0))
    found = prototype_pca(embeddings, torch.tensor([1]), components)
    assert found.shape == (1, 1, components) and not found.any()


def test_components_that_do_not_exist_are_zero() -> None:
    embeddings = torch.randn(1, 3, 8, generator=torch.Generator().manual_seed(0))
    found = prototype_pca(embeddings, torch.tensor([2]), 5)
    assert sorted(found[0, :, 0].tolist()) == [0.0, 1.0]
    assert found.isfinite().all() and not found[..., 3:].any()
