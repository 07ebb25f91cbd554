"""A Jetson's power mode and clocks, read from what its commands and sysfs say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MODE = re.compile(r"NV Power Mode: *(\S+)")
_CLOCK = re.compile(
    r"^(cpu\d+|GPU|EMC)\b.*?\bMinFreq=(\d+) MaxFreq=(\d+) CurrentFreq=(\d+)", re.MULTILINE
)
_DEVFREQ = re.compile(r"[0-9a-f]+\.(gpu|g[pva]\d+b)|gpu-gpc-\d+")
"""The GPU under /sys/class/devfreq: Orin's and older, and Thor's."""


@dataclass(frozen=True)
class Clock:
    """Of a CPU core or cluster, the GPU or the memory (EMC): limits and current value in MHz."""

    name: str
    minimum: float
    maximum: float
    current: float

    @property
    def locked(self) -> bool:
        """Whether it cannot change, as after ``jetson_clocks``."""
        return self.minimum == self.maximum


def power_mode(text: str) -> str | None:
    """The name, "25W", in what ``nvpmodel -q`` prints."""
    found = _MODE.search(text)
    return None if found is None else found[1]


def parse_clocks(text: str) -> tuple[Clock, ...]:
    """The clocks in what ``jetson_clocks --show`` prints, as root only."""
    clocks = []
    for name, *values in _CLOCK.findall(text):
        # Cores are given in kHz, the rest in Hz.
        unit = 1e3 if name.startswith("cpu") else 1e6
        clocks.append(Clock(name, *(int(value) / unit for value in values)))
    return tuple(clocks)


def read_clocks(sysfs: Path) -> tuple[Clock, ...]:
    """CPU clusters and GPU from the file system at ``sysfs`` (``/sys``), which takes no root."""
    found = (*_cpu_clusters(sysfs), *_gpus(sysfs))
    return tuple(clock for clock in found if clock is not None)


def _cpu_clusters(sysfs: Path) -> Iterator[Clock | None]:
    for policy in sorted((sysfs / "devices/system/cpu/cpufreq").glob("policy*")):
        name = policy.name.replace("policy", "cpu")
        yield _clock(name, policy, "scaling_{}_freq", unit=1e3)


def _gpus(sysfs: Path) -> Iterator[Clock | None]:
    for device in sorted((sysfs / "class/devfreq").glob("*")):
        if _DEVFREQ.fullmatch(device.name):
            yield _clock("GPU", device, "{}_freq", unit=1e6)


def _clock(name: str, folder: Path, pattern: str, unit: float) -> Clock | None:
    try:
        values = [
            int((folder / pattern.format(which)).read_text()) / unit
            for which in ("min", "max", "cur")
        ]
    except (OSError, ValueError):
        return None
    return Clock(name, *values)
