"""CUDA's runtime as a static library, for this machine or another one."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from spit_edge.plugins.cuda_build import CudaBuildError

FILE_NAME = "libcudart_static.a"
_TARGETS = {"x86_64": ("x86_64-linux",), "aarch64": ("aarch64-linux", "sbsa-linux")}
_ELSEWHERE = "install the CUDA toolkit's package for that machine, or name the file with --cudart"
_FIRST_WITH_STATIC_LIBRARY = 13
"""Major number of CUDA from which on the wheels have it, and a name without the number."""


def find_cudart(machine: str, toolkit: Path) -> Path | None:
    """The library for ``machine`` in a toolkit; None if it has none."""
    folders = [toolkit / "targets" / name / "lib" for name in _TARGETS[machine]]
    if machine == platform.machine():
        folders += [toolkit / "lib64", toolkit / "lib"]
    for folder in folders:
        if (file := folder / FILE_NAME).is_file():
            return file
    return None


def fetch_cudart(machine: str, nvcc: Path, folder: Path) -> Path:
    """Let pip bring the wheel of nvcc's CUDA; the library, in ``folder``.

    Raises CudaBuildError, which says where else it is to be had.
    """
    cuda = _version(nvcc)
    if int(cuda.split(".")[0]) < _FIRST_WITH_STATIC_LIBRARY:
        raise CudaBuildError(
            f"PyPI has {FILE_NAME} for {machine} only from CUDA {_FIRST_WITH_STATIC_LIBRARY}.0 on "
            f"and this is {cuda}: {_ELSEWHERE}"
        )
    words = ["-m", "pip", "download", "--quiet", "--no-input", "--no-deps", "--only-binary"]
    words += [":all:", "--platform", f"manylinux2014_{machine}", "--dest", str(folder)]
    done = subprocess.run(
        [sys.executable, *words, f"nvidia-cuda-runtime=={cuda}.*"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = sorted(folder.glob("nvidia_cuda_runtime-*.whl"))
    if done.returncode != 0 or not wheels:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise CudaBuildError(f"no {FILE_NAME} for {machine}: {_ELSEWHERE} (pip: {said})")
    return unpack_cudart(wheels[0], folder)


def unpack_cudart(cudart: Path, folder: Path) -> Path:
    """The library itself, taken out of a wheel into ``folder`` if a wheel is what was given."""
    if cudart.suffix != ".whl":
        return cudart
    try:
        with zipfile.ZipFile(cudart) as wheel:
            inside = [n for n in wheel.namelist() if n.endswith(f"/{FILE_NAME}")]
            data = wheel.read(inside[0])
    except (OSError, zipfile.BadZipFile, IndexError) as error:
        raise CudaBuildError(f"{cudart} has no {FILE_NAME}") from error
    library = folder / FILE_NAME
    library.write_bytes(data)
    return library


def _version(nvcc: Path) -> str:
    """ "13.0" """
    try:
        said = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise CudaBuildError(f"{nvcc} does not run: {error.strerror}") from error
    if found := re.search(r"release (\d+\.\d+)", said.stdout):
        return found[1]
    raise CudaBuildError(f"{nvcc} does not say its version")
