"""Class names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spit_edge.runtime.classes import class_name, likeliest


@pytest.mark.parametrize(
    ("index", "name"),
    [(0, "tench"), (1, "goldfish"), (281, "tabby"), (967, "espresso"), (999, "toilet tissue")],
)
def test_imagenet_names(index: int, name: str) -> None:
    assert class_name(index, 1000) == name


def test_every_imagenet_class_has_a_name_of_its_own() -> None:
    names = [class_name(index, 1000) for index in range(1000)]
    assert len(set(names)) == 1000
    assert all(name and name == name.strip() for name in names)


def test_other_heads_have_numbers() -> None:
    assert class_name(7, 10) == "class 7"
    index: Any = np.int64(7)
    assert class_name(index, 1001) == "class 7"


@pytest.mark.parametrize(("index", "classes"), [(-1, 1000), (1000, 1000), (10, 10), (-1, 10)])
def test_classes_that_do_not_exist(index: int, classes: int) -> None:
    with pytest.raises(IndexError, match=f"class {index} of {classes}"):
        class_name(index, classes)


def test_likeliest() -> None:
    logits = np.log(np.array([0.1, 0.5, 0.1, 0.3], np.float32))
    found = likeliest(logits, 3)
    assert [(guess.index, guess.name) for guess in found] == [
        (1, "class 1"),
        (3, "class 3"),
        (0, "class 0"),  # as likely as class 2, and before it
    ]
    np.testing.assert_allclose([guess.share for guess in found], [0.5, 0.3, 0.1], rtol=1e-6)
    assert found[0].logit == float(logits[1])
    assert len(likeliest(logits, 9)) == 4 and likeliest(logits, -1) == []
