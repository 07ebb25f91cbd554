"""Compiles the CUDA kernels with nvcc and reads what the compiler says about them.

The flags on which exactness rests stand here once; whoever builds the kernels takes them from here.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spit_edge.base.errors import SpitError

KERNELS = Path(__file__).parent / "kernels"
SOURCE = KERNELS / "executors" / "launch.cu"
RECORDER = KERNELS / "executors" / "launch_recorder.cpp"

# No contraction, correctly rounded division and square root, subnormal numbers kept: the same bits
# as on a CPU (docs/algorithm.md, section 7). CMake reads the same file.
EXACT_FLAGS = tuple((KERNELS / "common" / "exact_nvcc_flags.txt").read_text().split())
ARCHITECTURES = (75, 80, 86, 87, 89, 90, 100, 110, 120)
"""Compute capabilities the kernels are built for, times ten."""
USUAL_TOOLKIT = Path("/usr/local/cuda")


class CudaBuildError(SpitError, RuntimeError):
    """nvcc is missing, or it did not compile what it was given."""


@dataclass(frozen=True)
class KernelResources:
    """What one kernel needs on one architecture, as ptxas reports it.

    ``stack_bytes`` are per thread and hold arrays that registers cannot; ``spill_bytes`` are stores
    and loads of values that should have been in registers.
    """

    kernel: str
    architecture: int
    registers: int
    shared_bytes: int
    stack_bytes: int
    spill_bytes: int


def find_nvcc(given: str | os.PathLike[str] | None = None) -> Path:
    """nvcc: the one given, else of CUDA_HOME or CUDA_PATH, of PATH, of the folder where NVIDIA's
    packages for Debian put it, or of those on PyPI.

    Raises CudaBuildError if there is none.
    """
    if given is not None:
        if found := shutil.which(given):
            return Path(found)
        raise CudaBuildError(f"{os.fspath(given)} is not a program; give the path of nvcc")
    for folder in _toolkit_folders():
        if found := shutil.which("nvcc", path=str(folder)):
            return Path(found)
    if found := shutil.which("nvcc"):
        return Path(found)
    # A shell that is not a login shell, as under ssh, has no CUDA in its PATH on a Jetson.
    for folder in (USUAL_TOOLKIT / "bin", *(root / "bin" for root in wheel_toolkits())):
        if found := shutil.which("nvcc", path=str(folder)):
            return Path(found)
    raise CudaBuildError(
        f"no nvcc in CUDA_HOME, CUDA_PATH, PATH, {USUAL_TOOLKIT} or the Python environment; "
        "install the CUDA toolkit, or nvidia-cuda-nvcc, nvidia-nvvm, nvidia-cuda-crt, "
        "nvidia-cuda-runtime and nvidia-cuda-cccl with pip"
    )


def _toolkit_folders() -> list[Path]:
    homes = (os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH"))
    return [Path(home) / "bin" for home in homes if home]


def wheel_toolkits() -> list[Path]:
    """Where NVIDIA's packages on PyPI put what a toolkit has."""
    spec = importlib.util.find_spec("nvidia")
    roots = spec.submodule_search_locations if spec else None
    return [Path(root) / "cu13" for root in roots or ()]


def compile_ptx(nvcc: Path, output: Path, architecture: int = 80, source: Path = SOURCE) -> str:
    """The text of ``source`` in PTX, also left at ``output``."""
    code = f"arch=compute_{architecture},code=compute_{architecture}"
    _run([nvcc, *EXACT_FLAGS, "-ptx", "-gencode", code, "-o", output, source])
    return output.read_text()


def compile_object(
    nvcc: Path,
    output: Path,
    architectures: Sequence[int] = ARCHITECTURES,
    source: Path = SOURCE,
) -> list[KernelResources]:
    """An object with machine code for ``architectures`` at ``output``, and what its kernels need.

    Warnings are errors.
    """
    codes = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in architectures]
    flags = [*EXACT_FLAGS, "-Werror", "all-warnings", "-Xptxas", "-v", "-Xcompiler", "-fPIC"]
    return parse_resources(_run([nvcc, *flags, *codes, "-c", "-o", output, source]))


def link_recorder(nvcc: Path, kernels: Path, output: Path) -> None:
    """The program of launch_recorder.cpp around an object of the kernels."""
    flags = ["-std=c++17", "-O1", "-cudart", "none"]
    _run([nvcc, *flags, "-o", output, RECORDER, kernels])


def parse_resources(report: str) -> list[KernelResources]:
    """What ``ptxas -v`` said, one entry a kernel and architecture, in its order."""
    pattern = re.compile(
        r"Compiling entry function '(?P<name>\w+)' for 'sm_(?P<architecture>\d+)\w?'.*?"
        r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, "
        r"(?P<loads>\d+) bytes spill loads.*?Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
        re.DOTALL,
    )
    found = list(pattern.finditer(report))
    if len(found) != report.count("Compiling entry function"):
        raise CudaBuildError("the report of ptxas has a form that is not known here")
    names = short_names(match["name"] for match in found)
    return [
        KernelResources(
            kernel=names[match["name"]],
            architecture=int(match["architecture"]),
            registers=int(match["registers"]),
            shared_bytes=sum(int(n) for n in re.findall(r"(\d+) bytes smem", match["rest"])),
            stack_bytes=int(match["stack"]),
            spill_bytes=int(match["stores"]) + int(match["loads"]),
        )
        for match in found
    ]


def short_names(mangled: Iterable[str]) -> dict[str, str]:
    """Phases that kernels run, by the kernels' mangled names: ``SumOwned<true, false>``."""
    names = sorted(set(mangled))
    tool = shutil.which("cu++filt") or shutil.which("c++filt")
    if tool is None:
        raise CudaBuildError("neither cu++filt nor c++filt found; install binutils")
    full = _run([tool], "".join(f"{name}\n" for name in names)).splitlines()
    return {name: _phase(text) for name, text in zip(names, full, strict=True)}


def _phase(kernel: str) -> str:
    plain = re.sub(r"spit::(\w+::)?", "", kernel)
    match = re.fullmatch(r"void run_\w+<(?P<phase>.+?) ?>\((?P=phase).*", plain)
    return match["phase"] if match else plain


def _run(command: Sequence[str | Path], text: str | None = None) -> str:
    """What the command printed; raises CudaBuildError if it fails."""
    done = subprocess.run(
        [os.fspath(part) for part in command],
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        # A compiler may quote generated lines of many thousand characters.
        last = "\n".join(line[:200] for line in done.stdout.strip().splitlines()[-20:])
        raise CudaBuildError(f"{Path(command[0]).name} ended with {done.returncode}:\n{last}")
    return done.stdout
