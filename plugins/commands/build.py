"""``build``: compile the TensorRT plugin library."""

from __future__ import annotations

import argparse
import platform
import warnings
from pathlib import Path

from spit_edge.base.command_line import DONE
from spit_edge.base.progress import Steps
from spit_edge.plugins.architectures import JETSONS, why_of_no_use
from spit_edge.plugins.commands.architectures import add_architectures
from spit_edge.plugins.plugin_build import build_plugins, find_build
from spit_edge.plugins.plugin_library import FILE_NAME, built_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``build``."""
    parser.add_argument(
        "--tensorrt-include",
        type=Path,
        metavar="DIR",
        help="folder of NvInferRuntime.h [TENSORRT_ROOT/include, or the system's]",
    )
    parser.add_argument("--cuda", type=Path, metavar="DIR", help="CUDA toolkit [of nvcc]")
    parser.add_argument(
        "--host-arch",
        choices=("x86_64", "aarch64"),
        help=f"machine that will load the library [{platform.machine()}]",
    )
    parser.add_argument(
        "--cudart",
        type=Path,
        metavar="FILE",
        help="libcudart_static.a for that machine, or a wheel of nvidia-cuda-runtime that has it "
        "[of the toolkit; if it has none, pip gets the wheel]",
    )
    parser.add_argument(
        "--variant",
        choices=("cuda", "host"),
        default="cuda",
        help="host: computes on the CPU, for tests without a GPU [cuda]",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help=f"[{built_folder()}/MACHINE/{FILE_NAME}]"
    )
    jetsons = ",".join(map(str, JETSONS))
    add_architectures(parser, None, f"the GPU of this machine, else {jetsons}")


def run(options: argparse.Namespace) -> int:
    """Build the library and print its path."""
    found = find_build(
        architectures=options.arch,
        machine=options.host_arch,
        variant=options.variant,
        tensorrt_include=options.tensorrt_include,
        cuda=options.cuda,
        cudart=options.cudart,
    )
    steps = Steps()
    steps.line(f"TensorRT {found.tensorrt_version} headers in {found.tensorrt}")
    steps.line(f"CUDA headers in {found.cuda}, compiler {found.nvcc or found.compiler}")
    if found.variant == "cuda" and (why := why_of_no_use(found.machine, found.architectures)):
        warnings.warn(why, stacklevel=2)
    library = build_plugins(found, options.out, steps)
    for_gpus = ", ".join(f"sm_{a}" for a in library.architectures) or "the CPU"
    steps.line(f"version {library.version} for {library.machine}, {for_gpus}")
    print(library.path)
    return DONE
