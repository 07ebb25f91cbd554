"""Class names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spit_edge.runtime.classes import class_name


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
