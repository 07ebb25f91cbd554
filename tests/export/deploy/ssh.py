"""A stand-in for ssh, by which a device answers as it likes."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import pytest

_ARGUMENTS = """\
while [ $# -gt 0 ]; do
    case "$1" in -o|-F|-l|-O) shift 2;; --) shift; break;; -*) shift;; *) break;; esac
done
shift  # the host
command=$*
"""


def stand_in(folder: Path, answer: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an ssh on PATH that runs ``answer``, of sh, for calls to Python on the device.

    ``$command`` is what the device is to run; the processes' numbers are in the file returned.
    """
    (folder / "bin").mkdir(exist_ok=True)
    program, pids = folder / "bin" / "ssh", folder / "pids"
    program.write_text(
        f'#!/bin/bash\n{_ARGUMENTS}echo $$ >> {pids}\ncase "$command" in *python3*|rsync*)\n'
        f"{answer}\n;; esac\nexit 0\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return pids


def alive(pids: Path) -> list[int]:
    """Those of the stand-in's processes that still run."""
    found = [int(line) for line in pids.read_text().split()] if pids.exists() else []
    return [pid for pid in found if _runs(pid)]


def options(folder: Path) -> list[str]:
    """By which a bundle can be packed without anything being built; the wheel is none."""
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    wheel = folder / f"spit_edge-0.1.0-{python}-{python}-linux_{platform.machine()}.whl"
    wheel.write_bytes(b"never reached")
    return ["--no-plugins", "--allow-random-weights", "--wheel", str(wheel)]


def _runs(pid: int) -> bool:
    """A process that has ended and that nobody has asked for its status has no words any more."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False
