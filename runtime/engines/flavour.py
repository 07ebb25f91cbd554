"""Which TensorRT there is: TensorRT itself (10.0 or newer) or TensorRT-RTX, with the same API."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal

from spit_edge.base.errors import SpitError
from spit_edge.base.install import pip_install
from spit_edge.runtime.errors import BackendUnavailable

FlavourName = Literal["tensorrt", "tensorrt-rtx"]
FLAVOURS: tuple[FlavourName, ...] = ("tensorrt", "tensorrt-rtx")
"""In the order in which they are preferred."""

_OLDEST = {"tensorrt": (10, 0), "tensorrt-rtx": (1, 0)}
_MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}


def _cure(name: FlavourName) -> str:
    if name == "tensorrt-rtx":
        return pip_install("tensorrt-rtx")
    return (
        "on a Jetson install python3-libnvinfer and make the environment with "
        f"--system-site-packages, elsewhere {pip_install('gpu')}"
    )


@dataclass(frozen=True)
class Flavour:
    """An imported TensorRT: its Python module and version, as in "10.3.0"."""

    name: FlavourName
    version: str
    module: Any

    @property
    def title(self) -> str:
        return _title(self.name)

    @property
    def is_rtx(self) -> bool:
        return self.name == "tensorrt-rtx"

    def __str__(self) -> str:
        return f"{self.title} {self.version}"


def find_flavour(name: FlavourName | Literal["auto"] = "auto") -> Flavour:
    """Import the TensorRT of that name, for "auto" the first that there is.

    Raises BackendUnavailable, which says why it cannot be imported and what to do.
    """
    reasons = {}
    for candidate in FLAVOURS if name == "auto" else (name,):
        try:
            return _import(candidate)
        except _Unusable as error:
            reasons[candidate] = str(error)
    cure = " or ".join(_cure(candidate) for candidate in reasons)
    raise BackendUnavailable(f"{', '.join(reasons.values())}: {cure}")


def version_numbers(version: str) -> tuple[int, ...]:
    """ "10.3.0.post1" as (10, 3, 0)."""
    numbers = []
    for part in version.split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)


class _Unusable(SpitError):
    """Why a TensorRT cannot be used."""


def _import(name: FlavourName) -> Flavour:
    title = _title(name)
    try:
        module = importlib.import_module(_MODULES[name])
    except ModuleNotFoundError as error:
        if error.name == _MODULES[name]:
            raise _Unusable(f"{title} is not installed") from error
        raise _Unusable(f"{title} lacks the module {error.name}") from error
    # Missing libraries are an ImportError or an OSError, packages that cannot serve this platform
    # raise a RuntimeError; all mean the same.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise _Unusable(f"{title} cannot be loaded ({reason})") from error
    version = str(getattr(module, "__version__", ""))
    if not version or not hasattr(module, "Builder"):  # type stubs alone look like a package
        raise _Unusable(f"{title} is not installed: another package uses its name")
    if version_numbers(version) < _OLDEST[name]:
        oldest = ".".join(str(number) for number in _OLDEST[name])
        raise _Unusable(f"{title} {version} is too old: at least {oldest} is needed")
    return Flavour(name, version, module)


def _title(name: FlavourName) -> str:
    return "TensorRT-RTX" if name == "tensorrt-rtx" else "TensorRT"
