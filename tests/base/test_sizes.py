"""Sizes for people."""

from __future__ import annotations

import pytest

from spit_edge.base.sizes import size_text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.00 kB"),
        (418_200, "418 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (9_995_000, "10.0 MB"),
        (44_060_000, "44.1 MB"),
        (99_950_000, "100 MB"),
        (1_184_000_000, "1.18 GB"),
        (2_000_000_000_000, "2000 GB"),
    ],
)
def test_three_digits(size: int, text: str) -> None:
    assert size_text(size) == text
