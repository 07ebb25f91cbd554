"""Names of a package that are imported on first use, as PEP 562 has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, modules: Mapping[str, Iterable[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of a package.

    package  its ``__name__``
    modules  the names that come from each module
    """
    places = {name: module for module, names in modules.items() for name in names}

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(places[name]), name)
        # Found by Python itself from now on.
        setattr(import_module(package), name, value)
        return value

    def names() -> list[str]:
        special = {name for name in vars(import_module(package)) if name.startswith("__")}
        return sorted(special | set(places))

    return get, names
