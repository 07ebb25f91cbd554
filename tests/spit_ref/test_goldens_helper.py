"""The helpers that judge results are judged themselves: on known values and on bad data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.goldens import (
    adjusted_rand_index,
    as_batch,
    checkpoint,
    feature_cases,
    logit_cases,
    partition_cases,
    token_cases,
)


@pytest.mark.parametrize(
    ("a", "b", "index"),
    [
        ([0, 0, 1, 1], [1, 1, 0, 0], 1.0),
        ([0, 0, 1, 1], [7, 7, -3, -3], 1.0),
        ([0, 0, 1, 2], [0, 0, 1, 1], 4 / 7),
        ([0, 0, 1, 1], [0, 1, 0, 1], -0.5),
        ([0, 0, 0, 0], [0, 1, 2, 3], 0.0),
        ([0, 0, 0, 0], [5, 5, 5, 5], 1.0),
        ([0, 1, 2, 3], [3, 2, 1, 0], 1.0),
        ([4], [9], 1.0),
    ],
)
def test_adjusted_rand_index_of_known_partitions(a: list[int], b: list[int], index: float) -> None:
    assert adjusted_rand_index(np.array(a), np.array(b)) == pytest.approx(index, abs=1e-12)
    assert adjusted_rand_index(np.array(b), np.array(a)) == pytest.approx(index, abs=1e-12)


LABELS = arrays(np.int64, st.just(12), elements=st.integers(-2, 2))


@settings(deadline=None, max_examples=50)
@given(LABELS, LABELS)
def test_adjusted_rand_index_counts_pairs(a: np.ndarray, b: np.ndarray) -> None:
    pairs = list(itertools.combinations(range(a.size), 2))
    in_a = np.array([a[i] == a[j] for i, j in pairs])
    in_b = np.array([b[i] == b[j] for i, j in pairs])
    expected = in_a.sum() * in_b.sum() / len(pairs)
    best = (in_a.sum() + in_b.sum()) / 2
    index = 1.0 if best == expected else ((in_a & in_b).sum() - expected) / (best - expected)
    assert adjusted_rand_index(a, b) == pytest.approx(index, abs=1e-12)


def test_adjusted_rand_index_sees_one_wrong_region() -> None:
    """The tolerance that labels are held to is finer than one region of a photograph."""
    case = next(c for c in partition_cases() if c.name == "astronaut_224-plain")
    damaged = case.labels.copy()
    largest = np.bincount(damaged.ravel()).argmax()
    damaged[damaged == largest] = (largest + 1) % (damaged.max() + 1)
    assert adjusted_rand_index(case.labels, damaged) < 0.998
    shuffled = np.random.default_rng(0).permutation(case.labels.ravel())
    assert abs(adjusted_rand_index(case.labels.ravel(), shuffled)) < 0.01


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((2, 3), int), np.zeros((3, 2), int), "one size"),
        (np.zeros(3, int), np.zeros(4, int), "one size"),
        (np.zeros(0, int), np.zeros(0, int), "one size"),
        (np.zeros(3), np.zeros(3, int), "integers"),
        (np.zeros(3, int), np.full(3, np.nan), "integers"),
    ],
)
def test_adjusted_rand_index_refuses_bad_data(a: np.ndarray, b: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        adjusted_rand_index(a, b)


def test_every_golden_is_found() -> None:
    """A case that is silently left out would test nothing."""
    partitions = partition_cases()
    assert len(partitions) == 23
    assert sum(case.is_photograph for case in partitions) == 9
    assert {case.kind for case in partitions} == {"plain", "compact", "threshold_0.1"}
    assert sum(case.counts is None for case in partitions) == 1
    assert {case.name for case in feature_cases()} == {"coffee_96", "chelsea_120x160"}
    assert len({case.name for case in token_cases()}) == 6
    assert len({case.name for case in logit_cases()}) == 6
    assert checkpoint(True).is_file() and checkpoint(False).is_file()


def test_golden_arrays_fit_each_other() -> None:
    for case in partition_cases():
        assert case.labels.shape == case.pixels.shape[:2]
        assert case.counts is None or case.counts[-1] == case.labels.max() + 1
    for token in token_cases():
        assert token.tokens.shape == (token.labels.max() + 1, 1280 if token.gradient else 1024)
    for logit in logit_cases():
        assert logit.labels.shape == logit.pixels.shape[:2] and logit.logits.shape == (10,)


def test_as_batch_puts_channels_first() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    batch = as_batch(pixels)
    assert batch.shape == (1, 3, 2, 4) and batch.is_contiguous()
    assert int(batch[0, 1, 1, 2]) == pixels[1, 2, 1]
