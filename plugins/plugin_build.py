"""Builds the TensorRT plugin library with CMake; needs headers of TensorRT and CUDA, but no GPU."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Literal

from spit_edge.base.drafts import draft_folder
from spit_edge.base.errors import FileError
from spit_edge.base.files import check_writable, file_sha256, whole_file
from spit_edge.base.made_here import remember
from spit_edge.base.progress import Steps
from spit_edge.plugins.architectures import usual_architectures
from spit_edge.plugins.cuda_build import CudaBuildError, find_nvcc, wheel_toolkits
from spit_edge.plugins.cuda_runtime import fetch_cudart, find_cudart, unpack_cudart
from spit_edge.plugins.plugin_library import FILE_NAME, PluginLibrary, built_folder, read_library

SOURCE = Path(__file__).parent / "tensorrt"

Variant = Literal["cuda", "host"]
_TRIPLES = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}


class PluginBuildError(CudaBuildError):
    """Something is missing to build the plugin library, or it does not compile."""


@dataclass(frozen=True)
class PluginBuild:
    """All that a build needs, found.

    tensorrt, cuda  folders of headers
    cudart          libcudart_static.a for ``machine``, or a wheel that has it; None: pip gets it
    compiler        C++ compiler for ``machine``
    """

    machine: str
    variant: Variant
    architectures: tuple[int, ...]
    tensorrt: Path
    tensorrt_version: str
    cuda: Path
    compiler: str
    nvcc: Path | None = None
    cudart: Path | None = None


def find_build(
    *,
    architectures: Sequence[int] | None = None,
    machine: str | None = None,
    variant: Variant = "cuda",
    tensorrt_include: Path | None = None,
    cuda: Path | None = None,
    cudart: Path | None = None,
) -> PluginBuild:
    """Look for everything; raises PluginBuildError, which says what to install.

    architectures     compute capabilities times ten; None: see usual_architectures.  Those that
                      this nvcc does not know are left out with a warning
    tensorrt_include  folder of NvInferRuntime.h; None: of TENSORRT_ROOT, else where packages of
                      Debian, JetPack and SBSA put it
    cuda              a CUDA toolkit; None: the one of nvcc
    cudart            libcudart_static.a for ``machine``, or a wheel of nvidia-cuda-runtime that has
                      it; None: of the toolkit, and where that has none, pip gets the wheel
    """
    host = machine or platform.machine()
    if host not in _TRIPLES:
        raise PluginBuildError(f"there is no TensorRT for {host}: choose {' or '.join(_TRIPLES)}")
    headers = _tensorrt_headers(host, tensorrt_include)
    compiler = _compiler(host)
    if variant == "host":
        return PluginBuild(host, variant, (), *headers, _cuda_headers(cuda), compiler)
    toolkit, nvcc = _toolkit(cuda)
    wanted = usual_architectures(host) if architectures is None else architectures
    return PluginBuild(
        host,
        variant,
        _known(nvcc, wanted),
        *headers,
        toolkit / "include",
        compiler,
        nvcc,
        cudart or find_cudart(host, toolkit),
    )


def build_plugins(
    build: PluginBuild, output: Path | None = None, steps: Steps | None = None
) -> PluginLibrary:
    """Compile the library to ``output``: None is MACHINE/libspit_plugins.so in built_folder().

    The file is written beside its place and renamed.  Raises PluginBuildError with the compiler's
    words.
    """
    steps = steps or Steps(quiet=True)
    target = output or built_folder() / build.machine / FILE_NAME
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        check_writable(target)
    except (OSError, FileError) as error:
        raise PluginBuildError(f"there is no place for the library: {error}") from error
    with draft_folder(target.parent, "build") as folder:
        fetched = build.nvcc and build.cudart is None
        source = f", with CUDA's runtime for {build.machine} from pip" if fetched else ""
        with steps.step(f"configuring{source}"):
            definitions = cmake_definitions(build, folder)
            _run([find_cmake(), "-S", SOURCE, "-B", folder, *definitions])
        with steps.step("compiling"):
            _run([find_cmake(), "--build", folder, "--parallel", str(os.cpu_count() or 1)])
        made = folder / FILE_NAME
        library = read_library(made)
        if library.machine != build.machine:
            raise PluginBuildError(f"{build.compiler} compiles for {library.machine}")
        with whole_file(target) as stream:
            stream.write(made.read_bytes())
        remember(file_sha256(made)[0])
    return read_library(target)


def find_cmake() -> str:
    """CMake of this Python environment, where pip puts it, else of PATH."""
    beside = shutil.which("cmake", path=str(Path(sys.executable).parent))
    return beside or "cmake"


def cmake_definitions(build: PluginBuild, folder: Path) -> list[str]:
    """What CMake has to be told of a build in ``folder``."""
    given: dict[str, object] = {
        "SPIT_VERSION": metadata.version("spit-edge"),
        "SPIT_VARIANT": build.variant,
        "SPIT_ARCHITECTURES": ";".join(str(a) for a in build.architectures),
        "TENSORRT_INCLUDE": build.tensorrt,
        "CUDA_INCLUDE": build.cuda,
        "CMAKE_CXX_COMPILER": build.compiler,
    }
    if build.machine != platform.machine():
        given |= {"CMAKE_SYSTEM_NAME": "Linux", "CMAKE_SYSTEM_PROCESSOR": build.machine}
    if build.nvcc:
        given |= {"NVCC": build.nvcc, "CUDART_STATIC": _cudart(build, build.nvcc, folder)}
    return [f"-D{name}={value}" for name, value in given.items()]


def _tensorrt_headers(machine: str, given: Path | None) -> tuple[Path, str]:
    """Folder and version of TensorRT's headers."""
    places = [given] if given else _header_places(machine)
    for place in places:
        if (place / "NvInferRuntime.h").is_file():
            return place, _tensorrt_version(place)
    looked = ", ".join(str(place) for place in places)
    raise PluginBuildError(
        f"no NvInferRuntime.h in {looked}: install libnvinfer-headers-dev (JetPack has it in "
        "nvidia-jetpack-dev), or name the folder with --tensorrt-include or TENSORRT_ROOT"
    )


def _header_places(machine: str) -> list[Path]:
    root = os.environ.get("TENSORRT_ROOT")
    places = [Path(root) / "include"] if root else []
    places += [
        Path("/usr/include") / _TRIPLES[machine],
        Path("/usr/include"),
        Path("/usr/local/tensorrt/include"),
        Path("/opt/tensorrt/include"),
    ]
    # A package with headers of TensorRT, which serves tests on machines without one.
    if (spec := util.find_spec("kernel_lens")) and spec.submodule_search_locations:
        places += [Path(p) / "include" / "tensorrt" for p in spec.submodule_search_locations]
    return places


def _tensorrt_version(folder: Path) -> str:
    """ "10.14.1", from NvInferVersion.h, where a number may stand behind another name."""
    try:
        text = (folder / "NvInferVersion.h").read_text(errors="replace")
    except OSError as error:
        raise PluginBuildError(f"cannot read {folder / 'NvInferVersion.h'}: {error}") from error
    pairs = re.findall(r"^#define\s+(\w+)\s+(\w+)", text, re.MULTILINE)
    defined: dict[str, str] = dict(pairs)
    named = [defined.get(f"NV_TENSORRT_{part}", "") for part in ("MAJOR", "MINOR", "PATCH")]
    parts = [defined.get(value, value) for value in named]
    if not all(part.isdecimal() for part in parts):
        raise PluginBuildError(f"{folder / 'NvInferVersion.h'} names no version")
    if int(parts[0]) < 10:
        raise PluginBuildError(
            f"the headers in {folder} are of TensorRT {'.'.join(parts)}: at least 10.0 is needed"
        )
    return ".".join(parts)


def _cuda_headers(given: Path | None) -> Path:
    """Folder of CUDA's headers, maybe those of the wheels: the host variant needs no more."""
    try:
        return _toolkit(given)[0] / "include"
    except PluginBuildError:
        for root in wheel_toolkits():
            if given is None and (root / "include" / "cuda_runtime_api.h").is_file():
                return root / "include"
        raise


def _toolkit(given: Path | None) -> tuple[Path, Path]:
    """The CUDA toolkit's folder, and nvcc."""
    try:
        nvcc = find_nvcc(None if given is None else given / "bin" / "nvcc")
    except CudaBuildError as error:
        raise PluginBuildError(str(error)) from error
    if given is not None:
        return given, nvcc
    # nvcc may be a link or a script elsewhere: it knows its own folder.
    words = _run([nvcc, "--dryrun", "-x", "cu", "-c", os.devnull, "-o", os.devnull])
    found = re.search(r"^#\$ TOP=(.+)$", words, re.MULTILINE)
    return (Path(found[1].strip()).resolve() if found else nvcc.resolve().parent.parent), nvcc


def _cudart(build: PluginBuild, nvcc: Path, folder: Path) -> Path:
    """The library itself."""
    try:
        if build.cudart is None:
            return fetch_cudart(build.machine, nvcc, folder)
        return unpack_cudart(build.cudart, folder)
    except CudaBuildError as error:
        raise PluginBuildError(str(error)) from error


def _compiler(machine: str) -> str:
    if machine == platform.machine():
        names = [os.environ.get("CXX", ""), "g++", "c++"]
        package = "g++"
    else:
        names = [f"{_TRIPLES[machine]}-g++"]
        package = f"g++-{_TRIPLES[machine].replace('_', '-')}"
    for name in filter(None, names):
        if found := shutil.which(name):
            return found
    raise PluginBuildError(f"no C++ compiler for {machine}: install {package}")


def _known(nvcc: Path, architectures: Sequence[int]) -> tuple[int, ...]:
    """Those that nvcc compiles for; of the others, a warning."""
    if not architectures:
        raise PluginBuildError("name the GPUs to build for: --arch 87 for example")
    known = {int(a) for a in re.findall(r"compute_(\d+)", _run([nvcc, "--list-gpu-arch"]))}
    unknown = ", ".join(f"sm_{a}" for a in architectures if a not in known)
    can = ", ".join(str(a) for a in sorted(known))
    if not (left := tuple(a for a in architectures if a in known)):
        raise PluginBuildError(
            f"{nvcc} cannot compile for {unknown}, only for {can}: "
            "choose of these with --arch, or use another CUDA"
        )
    if unknown:
        warnings.warn(
            f"{unknown} left out: {nvcc} compiles only for {can}; another CUDA may do it",
            stacklevel=3,
        )
    return left


def _run(command: Iterable[str | Path]) -> str:
    words = [os.fspath(word) for word in command]
    try:
        done = subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
    except FileNotFoundError as error:
        raise PluginBuildError(f"{words[0]} is not installed") from error
    if done.returncode != 0:
        lines = [line[:400] for line in done.stdout.splitlines()[-30:]]
        raise PluginBuildError("\n".join([f"{words[0]} failed:", *lines]))
    return done.stdout
