"""Numbers that users give: their ranges, once, for command lines (as argparse types) and calls."""

from __future__ import annotations

import argparse
import math
import operator
import re
from dataclasses import dataclass
from typing import Any

from spit_edge.base.contracts import MOST_PIXELS, REGION_FEATURES
from spit_edge.base.errors import OptionError


@dataclass(frozen=True)
class Whole:
    """Whole numbers from ``low`` to ``high``, both included."""

    low: int
    high: int | None = None

    def __str__(self) -> str:
        if self.high is None:
            return f"a whole number of at least {self.low}"
        return f"a whole number from {self.low} to {self.high}"

    def __contains__(self, value: int) -> bool:
        return self.low <= value and (self.high is None or value <= self.high)

    def __call__(self, text: str) -> int:
        """An argument of a command line."""
        # int() itself takes more, "1_000" among others, and refuses thousands of digits.
        value = int(text) if re.fullmatch(r"[+-]?[0-9]{1,30}", text) else None
        if value is None or value not in self:
            raise argparse.ArgumentTypeError(f"must be {self}, not {text!r}")
        return value

    def checked(self, name: str, value: Any) -> int:
        """An argument of a call; OptionError if it is not in the range."""
        try:
            number = operator.index(value)
        except TypeError:
            number = None
        if number is None or isinstance(value, bool) or number not in self:
            raise OptionError(f"{name} must be {self}, not {value!r}")
        return number


@dataclass(frozen=True)
class Above:
    """Finite numbers above ``low``."""

    low: float = 0.0

    def __call__(self, text: str) -> float:
        """An argument of a command line."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not self.low < value < math.inf:
            raise argparse.ArgumentTypeError(f"must be a number above {self.low:g}, not {text!r}")
        return value


COUNT = Whole(1)
WARMUP = Whole(0)
THREADS = Whole(1, 256)
"""What the native ops take."""
SEED = Whole(0, 2**63 - 1)
"""What torch, the ops and their inputs in graphs take alike."""
CLASSES = Whole(1, 1 << 20)
"""A head of more is a mistake: with 768 channels it has 3 GB."""
TOKENS = Whole(1, int(REGION_FEATURES.attribute("max_tokens").high))
BATCH = Whole(1, 1 << 16)
SIDE = Whole(1, MOST_PIXELS)


def checked_size(height: Any, width: Any) -> tuple[int, int]:
    """Height and width of images that the ops take; OptionError for others."""
    height, width = SIDE.checked("height", height), SIDE.checked("width", width)
    if height * width > MOST_PIXELS:
        raise OptionError(f"images must have up to 2^26 pixels, not {height} x {width}")
    return height, width


def image_size(text: str) -> tuple[int, int]:
    """ "384x512" (height x width) or "384", as an argument of a command line."""
    parts = text.lower().split("x")
    if len(parts) not in (1, 2) or not all(re.fullmatch("[0-9]{1,9}", part) for part in parts):
        raise argparse.ArgumentTypeError(f"must be HxW, as in 384x512, not {text!r}")
    try:
        return checked_size(int(parts[0]), int(parts[-1]))
    except OptionError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
