"""What a built plugin library says of itself, and whether it serves a GPU and a bundle.

The facts stand as text in the file, so that a library for another machine can be read, too, and
nothing of it runs before it is known to fit.
"""

from __future__ import annotations

import json
import mmap
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from spit_edge.base.contracts import CONTRACTS
from spit_edge.base.errors import SpitError
from spit_edge.base.places import cache_folder, checkout
from spit_edge.plugins.architectures import runs_on

FILE_NAME = "libspit_plugins.so"
VARIABLE = "SPIT_PLUGINS"
"""Environment variable that names a plugin library to use."""
_MARKER = b"SPIT-PLUGINS-INFO {"


class PluginLibraryError(SpitError, RuntimeError):
    """A plugin library is missing, is none, or does not fit."""


@dataclass(frozen=True)
class PluginLibrary:
    """A plugin library's file and facts.

    variant        "cuda", or "host": computes on the CPU, for tests
    machine        processor it runs on, as ``platform.machine()`` says it
    cuda           CUDA it was compiled with, 13000 for 13.0
    tensorrt       version of the headers
    architectures  compute capabilities times ten it has code for
    contracts      versions of the ops' contracts, by op
    """

    path: Path
    version: str
    variant: Literal["cuda", "host"]
    machine: str
    cuda: int
    tensorrt: str
    architectures: tuple[int, ...]
    contracts: dict[str, int]

    @property
    def cuda_version(self) -> str:
        """As people write it: 13.0."""
        return f"{self.cuda // 1000}.{self.cuda % 1000 // 10}"

    def check(
        self, *, contracts: Mapping[str, int] | None = None, architecture: int | None = None
    ) -> None:
        """Raise PluginLibraryError unless it runs here and serves the ``contracts`` (by default the
        ones of this package) and a GPU of compute capability ``architecture`` / 10."""
        if self.machine != platform.machine():
            raise PluginLibraryError(
                f"{self.path} is for {self.machine} and this is a {platform.machine()}: "
                "build one here with spit-edge plugins build"
            )
        wanted = {c.name: c.version for c in CONTRACTS} if contracts is None else contracts
        for op, version in wanted.items():
            if (found := self.contracts.get(op)) != version:
                raise PluginLibraryError(
                    f"{self.path} has {f'version {found}' if found else 'no contract'} of {op} but "
                    f"version {version} is needed: build it again with spit-edge plugins build"
                )
        if architecture is not None and not self.has_code_for(architecture):
            have = ", ".join(f"sm_{a}" for a in self.architectures) or "no GPU"
            raise PluginLibraryError(
                f"{self.path} has code for {have}, not for this GPU's sm_{architecture}: "
                f"spit-edge plugins build --arch {architecture}"
            )

    def has_code_for(self, architecture: int) -> bool:
        """Whether a GPU of compute capability ``architecture`` / 10 runs its machine code."""
        return runs_on(architecture, self.architectures)


def read_library(path: str | os.PathLike[str]) -> PluginLibrary:
    """The facts of a plugin library.  Raises PluginLibraryError if the file is none."""
    file = Path(path)
    try:
        with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as m:
            start = m.find(_MARKER)
            end = m.find(b"\0", start)
            text = m[start + len(_MARKER) - 1 : end] if start >= 0 else b""
    except FileNotFoundError as error:
        raise PluginLibraryError(
            f"there is no plugin library {file}: make one with spit-edge plugins build"
        ) from error
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise PluginLibraryError(f"cannot read {file}: {error}") from error
    try:
        return _parsed(file, json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise PluginLibraryError(f"{file} is not a plugin library of spit-edge") from error


def _parsed(file: Path, facts: Mapping[str, Any]) -> PluginLibrary:
    if facts["variant"] not in ("cuda", "host"):
        raise ValueError(facts["variant"])
    return PluginLibrary(
        path=file,
        version=str(facts["version"]),
        variant=facts["variant"],
        machine=str(facts["machine"]),
        cuda=int(facts["cuda"]),
        tensorrt=str(facts["tensorrt"]),
        architectures=tuple(int(a) for a in facts["architectures"]),
        contracts={str(op): int(version) for op, version in facts["contracts"].items()},
    )


def built_folder() -> Path:
    """Where ``spit-edge plugins build`` puts libraries unless told otherwise, in folders by
    machine: build/plugins of the checkout that this is, else the user's cache folder."""
    root = checkout()
    return cache_folder() / "plugins" if root is None else root / "build" / "plugins"


def find_library(*folders: str | os.PathLike[str]) -> Path:
    """The plugin library to use: of the variable SPIT_PLUGINS, else the first of ``folders`` (such
    as ``plugins`` of a bundle), else the one for this machine in :func:`built_folder`.

    Raises PluginLibraryError if there is none.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named)
    places = [*map(Path, folders), built_folder()]
    for place in places:
        for folder in (place / platform.machine(), place):
            if (file := folder / FILE_NAME).is_file():
                return file
    looked = ", ".join(str(place) for place in places)
    raise PluginLibraryError(
        f"there is no {FILE_NAME} in {looked}, nor does {VARIABLE} name one: "
        "make one with spit-edge plugins build"
    )
