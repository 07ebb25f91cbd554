"""Names of the ImageNet-1k classes.

``data/imagenet1k.txt`` is torchvision's list (``torchvision/models/_meta.py``, BSD-3-Clause,
Copyright (c) Soumith Chintala 2016), one name per line in the order of the logits.
"""

from __future__ import annotations

from functools import cache
from importlib import resources


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
