"""Errors: one family, and the token budget's numbers."""

from __future__ import annotations

import pickle

import pytest

from spit_edge.base.errors import SpitError
from spit_edge.runtime.errors import (
    BackendUnavailable,
    BundleError,
    ImageError,
    TokenBudgetExceeded,
)


@pytest.mark.parametrize("kind", [BackendUnavailable, BundleError, ImageError, TokenBudgetExceeded])
def test_one_except_clause_catches_all(kind: type[Exception]) -> None:
    assert issubclass(kind, SpitError)


def test_the_budget_error_says_what_to_do() -> None:
    error = TokenBudgetExceeded(300, 256, 2)
    assert (error.num_tokens, error.budget, error.image) == (300, 256, 2)
    message = str(error)
    assert "images[2] has 300" in message and "budget is 256" in message
    assert "--max-tokens 300" in message and "truncate=True" in message


def test_the_budget_error_survives_pickling() -> None:
    copy = pickle.loads(pickle.dumps(TokenBudgetExceeded(num_tokens=300, budget=256, image=2)))
    assert str(copy) == str(TokenBudgetExceeded(300, 256, 2))
    assert copy.image == 2
