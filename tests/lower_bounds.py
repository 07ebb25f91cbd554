"""Prints the oldest versions that pyproject.toml allows as constraints for pip.

Packages that constraints.txt pins keep that version: of torch there is no CPU build of every one.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
OURS = "spit-edge"


def bounds_of(pyproject: dict[str, Any]) -> dict[str, str]:
    """The version behind ``>=`` of every requirement that counts for this Python, by name."""
    project = pyproject["project"]
    lines = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    bounds: dict[str, str] = {}
    for line in lines:
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        if name == OURS or (requirement.marker and not requirement.marker.evaluate()):
            continue
        (low,) = (part.version for part in requirement.specifier if part.operator == ">=")
        if bounds.setdefault(name, low) != low:
            raise ValueError(f"pyproject.toml has two lower bounds of {name}")
    return bounds


def pinned(constraints: str) -> Iterator[str]:
    """The lines of constraints.txt that pin a package."""
    return (line for line in constraints.splitlines() if re.match(r"[\w.-]+==", line))


def main() -> None:
    """Print a line per package."""
    pins = list(pinned((ROOT / "constraints.txt").read_text()))
    names = {canonicalize_name(pin.partition("==")[0]) for pin in pins}
    bounds = bounds_of(tomllib.loads((ROOT / "pyproject.toml").read_text()))
    print(*pins, *(f"{n}=={low}" for n, low in bounds.items() if n not in names), sep="\n")


if __name__ == "__main__":
    main()
