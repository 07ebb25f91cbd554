"""Every name of TensorRT's that the runtime uses exists in the oldest and the newest version."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulators.tensorrt_api import fetch, known, stubs

ROOT = Path(__file__).parents[3]
VERSIONS = ("10.0.1", "10.3.0", "11.4.0.106")
ONLY_RTX = {"ComputeCapability"}
"""Used behind a check for TensorRT-RTX."""
MODULES = {"trt", "module"}
"""What variables and attributes that hold TensorRT's module are called."""


def chain(node: ast.expr) -> list[str]:
    """["a", "b", "c"] for the expression a.b.c, [] for what is no such chain."""
    if isinstance(node, ast.Attribute):
        before = chain(node.value)
        return [*before, node.attr] if before else []
    return [node.id] if isinstance(node, ast.Name) else []


def class_of(annotation: ast.expr | None) -> str | None:
    """ "Builder" for the annotation trt.Builder."""
    names = chain(annotation) if annotation is not None else []
    return names[1] if len(names) == 2 and names[0] == "trt" else None


def uses(path: Path) -> Iterator[tuple[str, ...]]:
    """Names below TensorRT's module, as ("DataType", "HALF") or ("IBuilderConfig", "set_flag").

    Members of variables count where the variable is annotated.
    """
    for scope in ast.walk(ast.parse(path.read_text())):
        if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        arguments = [*scope.args.args, *scope.args.kwonlyargs]
        typed = {argument.arg: class_of(argument.annotation) for argument in arguments}
        for node in ast.walk(scope):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                typed[node.target.id] = class_of(node.annotation)
        for node in ast.walk(scope):
            names = chain(node) if isinstance(node, ast.Attribute) else []
            if (kind := typed.get(names[0]) if names else None) is not None:
                yield kind, names[1]
            for place, name in enumerate(names[:-1]):
                if name in MODULES:
                    yield tuple(names[place + 1 : place + 3])


def found(files: list[Path]) -> set[tuple[str, ...]]:
    return {use for path in files for use in uses(path)} - {(name,) for name in ONLY_RTX}


def unknown(used: set[tuple[str, ...]], version: str) -> list[str]:
    """Those that a version does not have."""
    api = known(version)
    return sorted(
        ".".join(names)
        for names in used
        if names[0] not in api or (len(names) > 1 and names[1] not in api[names[0]])
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_every_name_exists(version) -> None:
    used = found(sorted((ROOT / "runtime").rglob("*.py")))
    assert ("IBuilderConfig", "set_memory_pool_limit") in used  # the walk finds members
    assert ("BuilderFlag", "VERSION_COMPATIBLE") in used and len(used) > 40
    assert unknown(used, version) == []


def test_the_walk_finds_what_does_not_exist(tmp_path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "def f(config: trt.IBuilderConfig, flavour):\n"
        "    config.set_flag(flavour.module.BuilderFlag.FP16)\n"
        "    config.set_flags()\n"
        "    parser: trt.OnnxParser = flavour.module.OnnxParser2()\n"
        "    parser.parse_from_fyle(flavour.module.LayerType.MATRIX_MULTIPLY)\n"
    )
    wrong = ["IBuilderConfig.set_flags", "OnnxParser.parse_from_fyle", "OnnxParser2"]
    assert unknown(found([program]), "10.3.0") == wrong
    assert unknown(found([program]), "11.4.0.106") == ["BuilderFlag.FP16", *wrong]


def test_names_of_tensorrt_rtx_exist() -> None:
    rtx = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    used = found(sorted((ROOT / "runtime").rglob("*.py"))) | {
        *((name,) for name in ONLY_RTX),
        ("IBuilderConfig", "num_compute_capabilities"),
        ("IBuilderConfig", "set_compute_capability"),
    }
    for first, *rest in used:
        value = getattr(rtx, first)
        assert not rest or hasattr(value, rest[0]), (first, *rest)


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS[1:])
def test_calls_have_the_right_types(version, tmp_path) -> None:
    """mypy against the real signatures; needs a C compiler and the network."""
    try:
        environment = fetch(version, tmp_path)
    except (RuntimeError, OSError) as error:
        pytest.skip(str(error))
    folder = stubs(environment, tmp_path)
    # pybind11 gives some methods no signature.
    mypy = [
        sys.executable,
        "-m",
        "mypy",
        "--allow-untyped-calls",
        "-p",
        "spit_edge.runtime.engines",
    ]
    command = [*mypy, "--cache-dir", str(tmp_path / "cache")]
    environment = {**os.environ, "MYPYPATH": str(folder)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
