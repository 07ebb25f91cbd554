"""What to install for a part of this package that is optional: its extras, as pip is told them.

The package is on no index, so that ``pip install 'spit-edge[...]'`` works nowhere; what an extra
consists of can be had from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

PACKAGE = "spit-edge"


def pip_install(extra: str) -> str:
    """The command that installs what ``extra`` needs: ``pip install 'openvino>=2025.0'``.

    ValueError if there is no such extra.
    """
    needs = " ".join(f"'{need}'" for need in dict.fromkeys(_needs(extra)))
    if not needs:
        raise ValueError(f"{PACKAGE} has no extra {extra!r}")
    return f"pip install {needs}"


def _needs(extra: str) -> Iterator[str]:
    # Devices that are deployed to ask for versions with the standard library alone.
    from packaging.requirements import Requirement

    for line in requires(PACKAGE) or []:
        need = Requirement(line)
        if need.marker is None or not need.marker.evaluate({"extra": extra}):
            continue
        if need.name == PACKAGE:
            for inner in sorted(need.extras):
                yield from _needs(inner)
        else:
            yield f"{need.name}{need.specifier}"


def installed_versions(*packages: str) -> dict[str, str]:
    """Versions of those of ``packages`` that are installed, by name."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
