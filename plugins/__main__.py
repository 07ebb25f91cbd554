"""``python -m plugins``: the ops' contracts, CUDA kernels and TensorRT plugin library."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from spit_edge.base.made_here import file_sha256, remember
from spit_edge.plugins.contract_tables import cpp_tables
from spit_edge.plugins.contracts import CONTRACTS
from spit_edge.plugins.cuda_build import ARCHITECTURES, CudaBuildError
from spit_edge.plugins.op_tables import contract_table, print_kernels
from spit_edge.plugins.plugin_build import JETSONS, build_plugins, find_build
from spit_edge.plugins.plugin_library import BUILT, FILE_NAME, PluginLibraryError, read_library


def main(arguments: Sequence[str] | None = None) -> int:
    """0: done; 1: something does not compile or is no library; 2: the command line is wrong."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except (CudaBuildError, PluginLibraryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m plugins", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    contracts = commands.add_parser("contracts", help="inputs, outputs and attributes of the ops")
    contracts.add_argument(
        "--cpp", action="store_true", help="as the header that the TensorRT plugins include"
    )
    contracts.set_defaults(command=_contracts)

    kernels = commands.add_parser(
        "kernels", help="compile the CUDA kernels; registers, memory and launches (needs no GPU)"
    )
    kernels.add_argument("--nvcc", type=Path, help="path of nvcc (default: look for it)")
    kernels.set_defaults(command=_kernels)

    build = commands.add_parser(
        "build", help="compile the TensorRT plugin library (needs no GPU); prints its path"
    )
    build.add_argument(
        "--tensorrt-include",
        type=Path,
        metavar="DIR",
        help="folder of NvInferRuntime.h (default: TENSORRT_ROOT/include or the system's)",
    )
    build.add_argument("--cuda", type=Path, metavar="DIR", help="CUDA toolkit (default: of nvcc)")
    build.add_argument(
        "--host-arch",
        choices=("x86_64", "aarch64"),
        help=f"machine that will load the library [{platform.machine()}]",
    )
    build.add_argument(
        "--cudart",
        type=Path,
        metavar="FILE",
        help="libcudart_static.a for that machine, or a wheel of nvidia-cuda-runtime that has it "
        "[of the toolkit; if it has none, pip gets the wheel]",
    )
    build.add_argument(
        "--variant",
        choices=("cuda", "host"),
        default="cuda",
        help="host: computes on the CPU, for tests without a GPU [cuda]",
    )
    build.add_argument("--out", type=Path, metavar="FILE", help=f"[{BUILT}/MACHINE/{FILE_NAME}]")
    build.set_defaults(command=_build)
    for command in (kernels, build):
        command.add_argument(
            "--arch",
            type=_architectures,
            default=JETSONS,
            metavar="SM,...",
            help="compute capabilities times ten, or 'all' [87,110]",
        )

    info = commands.add_parser("info", help="what a plugin library is and what it is for")
    info.add_argument("library", type=Path)
    info.set_defaults(command=_info)

    trust = commands.add_parser(
        "trust", help="let this machine run a library that lies in a bundle and was built elsewhere"
    )
    trust.add_argument("library", type=Path)
    trust.set_defaults(command=_trust)
    return parser


def _contracts(options: argparse.Namespace) -> None:
    if options.cpp:
        print(cpp_tables(), end="")
        return
    for contract in CONTRACTS:
        _console().print(contract_table(contract))


def _kernels(options: argparse.Namespace) -> None:
    print_kernels(_console(), options.arch, options.nvcc)


def _build(options: argparse.Namespace) -> None:
    found = find_build(
        architectures=options.arch,
        machine=options.host_arch,
        variant=options.variant,
        tensorrt_include=options.tensorrt_include,
        cuda=options.cuda,
        cudart=options.cudart,
    )
    say(f"TensorRT {found.tensorrt_version} headers in {found.tensorrt}")
    say(f"CUDA headers in {found.cuda}, compiler {found.nvcc or found.compiler}")
    library = build_plugins(found, options.out, say=say)
    for_gpus = ", ".join(f"sm_{a}" for a in library.architectures) or "the CPU"
    say(f"version {library.version} for {library.machine}, {for_gpus}")
    print(library.path)


def _info(options: argparse.Namespace) -> None:
    library = read_library(options.library)
    print(f"version        {library.version}")
    print(f"variant        {library.variant}")
    print(f"machine        {library.machine}")
    print(f"CUDA           {library.cuda_version}")
    print(f"TensorRT       {library.tensorrt} (headers)")
    print(f"architectures  {', '.join(f'sm_{a}' for a in library.architectures)}")
    contracts = ", ".join(f"{op} v{version}" for op, version in library.contracts.items())
    print(f"contracts      {contracts}")


def _trust(options: argparse.Namespace) -> None:
    remember(file_sha256(read_library(options.library).path))


def say(what: str) -> None:
    """Progress goes to stderr; what a command is asked for, to stdout."""
    print(what, file=sys.stderr)


def _console() -> Console:
    # A file or pipe gets whole lines; a terminal its own width.
    return Console(width=None if sys.stdout.isatty() else 160)


def _architectures(text: str) -> tuple[int, ...]:
    if text == "all":
        return ARCHITECTURES
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list such as 87,110") from None


if __name__ == "__main__":
    sys.exit(main())
