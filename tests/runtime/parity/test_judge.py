"""The judge is judged: every kind of wrong result must fail its own gate."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from spit_edge.runtime.parity.judge import Expected, compare, tokens_sha256
from spit_edge.runtime.parity.table import parity_table
from spit_edge.runtime.session import Output


@pytest.fixture
def case() -> tuple[Output, Expected]:
    random = np.random.default_rng(0)
    labels = np.array([[0, 0, 1], [2, 1, 1]], np.int32)
    tokens = random.normal(size=(1, 5, 8)).astype(np.float32)
    logits = np.array([[0.5, 2.0, -1.0, 0.25]], np.float32)
    output = Output(
        logits=logits, labels=labels[None].copy(), num_tokens=np.array([3], np.int32), tokens=tokens
    )
    expected = Expected(
        labels=labels,
        num_tokens=3,
        tokens_sha256=tokens_sha256(tokens[0], 3),
        logits=logits[0],
        precision_error=1e-3,
    )
    return output, expected


def test_equal_results_pass(case) -> None:
    row = compare("x", case[0], 0, case[1], "fp32")
    assert row.passed and row.error == 0.0 and row.differing_labels == 0


def test_a_reference_that_overflows_allows_nothing(case) -> None:
    output, expected = case
    beyond = replace(expected, precision_error=float("inf"))
    for other, fails in (
        ([0.5, 9.0, -1.0, 0.25], {"error"}),
        ([9.0, 2, -1, 0], {"error", "top-1"}),
    ):
        logits = np.array([other], np.float32)
        failures = compare("x", replace(output, logits=logits), 0, beyond, "fp16").failures
        assert set(failures) - {"cosine"} == fails


def test_one_label(case) -> None:
    output, expected = case
    output.labels[0, 1, 2] = 2
    row = compare("x", output, 0, expected, "fp32")
    assert row.failures == ("labels",) and row.differing_labels == 1


def test_labels_of_another_shape(case) -> None:
    output, expected = case
    row = compare("x", replace(output, labels=output.labels[:, :, :2]), 0, expected, "fp32")
    assert "labels" in row.failures


def test_last_bit_of_a_token(case) -> None:
    output, expected = case
    output.tokens[0, 2, 7] = np.nextafter(output.tokens[0, 2, 7], np.float32(9))
    assert compare("x", output, 0, expected, "fp32").failures == ("tokens",)


def test_padding_does_not_count(case) -> None:
    output, expected = case
    output.tokens[0, 3:] = 7.0
    assert compare("x", output, 0, expected, "fp32").passed


def test_negative_zero_is_another_bit_pattern() -> None:
    assert tokens_sha256(np.zeros((1, 2)), 1) != tokens_sha256(-np.zeros((1, 2)), 1)


def test_number_of_regions(case) -> None:
    output, expected = case
    row = compare("x", replace(output, num_tokens=np.array([4])), 0, expected, "fp32")
    assert {"num_tokens", "tokens"} <= set(row.failures)


def test_more_regions_than_budget(case) -> None:
    output, expected = case
    row = compare("x", replace(output, num_tokens=np.array([6])), 0, expected, "fp32")
    assert "token budget" in row.failures


@pytest.mark.parametrize(
    ("precision", "shift", "fails"),
    [
        ("fp32", 0.9e-4, False),
        ("fp32", 1.2e-4, True),
        ("fp16", 1.9e-3, False),
        ("fp16", 3e-3, True),
    ],
)
def test_error_limit_follows_precision(case, precision, shift, fails) -> None:
    output, expected = case
    logits = output.logits.copy()
    logits[0, 3] += np.float32(shift)
    row = compare("x", replace(output, logits=logits), 0, expected, precision)
    assert ("error" in row.failures) is fails


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none(case, bad) -> None:
    output, expected = case
    logits = output.logits.copy()
    logits[0, 0] = bad
    with np.errstate(invalid="ignore"):
        row = compare("x", replace(output, logits=logits), 0, expected, "fp16")
    assert {"error", "cosine"} <= set(row.failures)


def test_direction_of_logits(case) -> None:
    output, expected = case
    loose = replace(expected, precision_error=10.0)
    row = compare("x", replace(output, logits=-output.logits), 0, loose, "fp16")
    assert "cosine" in row.failures


def test_top1(case) -> None:
    output, expected = case
    logits = np.array([[2.1, 2.0, -1.0, 0.25]], np.float32)
    tight = compare("x", replace(output, logits=logits), 0, expected, "fp32")
    assert "top-1" in tight.failures
    loose = replace(expected, precision_error=0.9)
    assert "top-1" not in compare("x", replace(output, logits=logits), 0, loose, "fp16").failures


def test_table_names_the_gate(case) -> None:
    from rich.console import Console

    output, expected = case
    output.labels[0, 0, 0] = 1
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(parity_table([compare("photo", output, 0, expected, "fp32")], "t"))
    text = console.export_text()
    assert "FAIL: labels" in text and "1 differ" in text
