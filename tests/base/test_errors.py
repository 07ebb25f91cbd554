"""Errors have one root."""

from __future__ import annotations

import inspect
from importlib import import_module

from spit_edge.base.errors import SpitError
from tests.test_layout import module_name, product_files


def test_every_error_of_ours_is_a_spit_error() -> None:
    names = [name for name in map(module_name, product_files()) if not name.endswith("__main__")]
    assert len(names) > 150
    found = set()
    for name in names:
        module = import_module(name)
        found |= {
            value
            for value in vars(module).values()
            if inspect.isclass(value)
            and issubclass(value, Exception)
            and not issubclass(value, Warning)
            and value.__module__.startswith("spit_edge")
        }
    assert len(found) > 20
    assert not [error for error in found if not issubclass(error, SpitError)]
