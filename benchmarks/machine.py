"""Where and with what figures were taken, and who else was using the cores meanwhile."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import time
from pathlib import Path

import msgspec

from spit_edge.base.install import installed_versions

QUIET = 0.1
"""Cores that others may use for figures to count as taken on an idle machine."""

_FLAGS = ("avx2", "fma", "f16c", "avx512f", "avx512_bf16", "avx512_vnni", "avx512_fp16", "amx_bf16",
          "asimd", "asimdhp", "bf16", "i8mm", "sve")  # fmt: skip
_PACKAGES = (
    "spit-edge",
    "numpy",
    "torch",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "opencv-contrib-python-headless",
    "scikit-image",
    "onnxruntime-extensions",
    "tensorrt",
    "tensorrt-rtx",
    "cuda-bindings",
)


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Memory in GiB; ``flags`` are the CPU's vector and matrix extensions."""

    cpu: str
    architecture: str
    cores: int
    memory: float
    flags: list[str]
    gpu: str | None
    system: str


class Company(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What else ran: load averages of a minute, before and after, and the mean number of cores
    that other processes used in between (None where the system does not say)."""

    load_before: float
    load_after: float
    others: float | None

    @property
    def quiet(self) -> bool:
        return self.others is not None and self.others < QUIET


class Watch:
    """Counts the processor time of others from its making on."""

    def __init__(self) -> None:
        self._load = os.getloadavg()[0]
        self._start, self._busy, self._own = time.monotonic(), _busy_seconds(), _own_seconds()

    def company(self) -> Company:
        """What else ran so far.  Child processes must have ended."""
        elapsed = time.monotonic() - self._start
        busy, others = _busy_seconds(), None
        if busy is not None and self._busy is not None:
            own = _own_seconds() - self._own
            others = round(max(0.0, busy - self._busy - own) / elapsed, 2)
        after = os.getloadavg()[0]
        return Company(load_before=round(self._load, 2), load_after=round(after, 2), others=others)


def _busy_seconds() -> float | None:
    """Processor time of all processes since the start of the system."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return None
    # Stolen time is that of other guests on the same host.
    user, nice, system, _idle, _wait, irq, soft, stolen = (int(field) for field in fields[1:9])
    return (user + nice + system + irq + soft + stolen) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def machine() -> Machine:
    """This machine."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    facts = _cpu_facts()
    present = set((facts.get("flags") or facts.get("Features") or "").split())
    return Machine(
        cpu=facts.get("model name") or facts.get("CPU part") or platform.processor(),
        architecture=platform.machine(),
        cores=os.cpu_count() or 1,
        memory=round(pages / 2**30, 1),
        flags=[flag for flag in _FLAGS if flag in present],
        gpu=gpu_name(),
        system=f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    )


def _cpu_facts() -> dict[str, str]:
    """The first core's entries of /proc/cpuinfo."""
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n", 1)[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def gpu_name() -> str | None:
    """The GPU that CUDA gives, if there is one."""
    from spit_edge.runtime.cuda.gpu import current_device
    from spit_edge.runtime.errors import BackendUnavailable

    try:
        device = current_device()
    except BackendUnavailable:
        return None
    return f"{device.name}, SM {device.sm}"


def versions() -> dict[str, str]:
    """Versions of the packages that take part, as far as they are installed."""
    return installed_versions(*_PACKAGES)


def commit() -> str:
    """The commit of the sources, with a + if other tracked files than results differ from it; ""
    without git."""
    folder = Path(__file__).parent
    sources = ["--", ":(top)", ":(top,exclude)benchmarks/results"]
    try:
        done = [
            subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "-uno", *sources])
        ]
    except (OSError, subprocess.CalledProcessError):
        return ""
    head, changes = (one.stdout.strip() for one in done)
    return f"{head}+" if changes else head
