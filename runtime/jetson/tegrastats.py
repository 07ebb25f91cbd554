"""Lines of ``tegrastats``: the power of a Jetson.

Rails are printed as "NAME 5251mW/8535mW" (now, average), from Jetson Linux 39 on with a third
value, and on JetPack 4 as "NAME 1750/1628".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_RAIL = re.compile(r"(?<!\S)([A-Za-z]\w*) (-?\d+)(?:mW(?:/-?\d+mW)+|/\d+(?!\S))")
_RAM = re.compile(r"(?<!\S)RAM \d+/\d+MB")
"""Every line has it."""

_WHOLE = ("VIN", "VDD_IN", "POM_5V_IN")
"""Rails that feed all the others: AGX Thor's board, Orin NX, Orin Nano and Xavier NX, Nano."""
_FED_BY_ANOTHER = frozenset({"VDDQ_VDD2_1V8AO"})
"""AGX Orin: behind VIN_SYS_5V0."""


@dataclass(frozen=True)
class Reading:
    """One line: watts by name of the rail; a resting one may read slightly below 0."""

    rails: Mapping[str, float]

    @property
    def counted(self) -> tuple[str, ...]:
        """The rails that make up the whole: the one that feeds all, or else the sum."""
        for name in _WHOLE:
            if name in self.rails:
                return (name,)
        return tuple(name for name in self.rails if name not in _FED_BY_ANOTHER)

    @property
    def watts(self) -> float | None:
        """Power of the whole; None without rails."""
        return sum(self.rails[name] for name in self.counted) if self.rails else None


def parse_line(line: str) -> Reading | None:
    """A line of ``tegrastats``; None for what is none."""
    if _RAM.search(line) is None:
        return None
    # NC: a channel that is not connected.
    return Reading({name: int(value) / 1e3 for name, value in _RAIL.findall(line) if name != "NC"})
