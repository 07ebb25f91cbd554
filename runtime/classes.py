"""Classes of logits: the likeliest, and their ImageNet-1k names.

``data/imagenet1k.txt`` is torchvision's list (``torchvision/models/_meta.py``, BSD-3-Clause,
Copyright (c) Soumith Chintala 2016), one name per line in the order of the logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Guess:
    """A class that an image may be of; ``share`` of the softmax."""

    index: int
    name: str
    logit: float
    share: float


def likeliest(logits: NDArray[np.float32], top: int) -> list[Guess]:
    """The ``top`` likeliest classes of logits [classes], the likeliest first."""
    values = logits.astype(np.float64)
    shares = np.exp(values - values.max())
    shares /= shares.sum()
    return [
        Guess(int(i), class_name(int(i), len(values)), float(values[i]), float(shares[i]))
        for i in np.argsort(-values, kind="stable")[: max(top, 0)]
    ]


def class_name(index: int, classes: int) -> str:
    """What logit ``index`` of ``classes`` stands for; "class 7" where there is no list of names.

    Raises IndexError unless 0 <= index < classes.
    """
    if not 0 <= index < classes:
        raise IndexError(f"class {index} of {classes} does not exist")
    names = _imagenet_names()
    return names[index] if classes == len(names) else f"class {index}"


@cache
def _imagenet_names() -> tuple[str, ...]:
    source = resources.files("spit_edge.runtime") / "data" / "imagenet1k.txt"
    return tuple(source.read_text(encoding="utf-8").splitlines())
