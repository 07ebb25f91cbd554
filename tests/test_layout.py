"""The shape of the project: which package may import which, and how big files get."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"spit_ref", "plugins", "runtime", "export", "benchmarks", "tests"}
# plugins binds what computes the ops.
MAY_IMPORT = {
    "spit_ref": {"spit_ref"},
    "plugins": {"plugins", "spit_ref"},
    "runtime": {"runtime", "plugins"},
    "export": {"export", "runtime", "plugins", "spit_ref"},
}
LIGHT = {"torch", "onnx", "onnx_ir", "onnxscript", "spit_ref", "export", "scipy"}


def imports_of(path: Path) -> set[str]:
    """Top-level names a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def files_of(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_imports_point_one_way(package: str) -> None:
    assert files_of(package)
    for path in files_of(package):
        forbidden = imports_of(path) & (PACKAGES - MAY_IMPORT[package])
        assert not forbidden, f"{path.relative_to(ROOT)} imports {sorted(forbidden)}"


def test_runtime_names_no_heavy_package() -> None:
    for path in files_of("runtime"):
        assert not imports_of(path) & LIGHT, path


@pytest.mark.parametrize("module", ["runtime", "runtime.__main__", "runtime.check_data"])
def test_runtime_loads_without_heavy_packages(module: str) -> None:
    program = (
        f"import sys, {module}; "
        f"print([name for name in {sorted(LIGHT | {'onnxruntime'})!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_no_import_cycles() -> None:
    graph = {module_name(path): modules_of(path) for p in MAY_IMPORT for path in files_of(p)}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"cycle: {' -> '.join([*above, name])}"
        if name not in done:
            for other in sorted(graph[name] & set(graph)):
                visit(other, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def modules_of(path: Path) -> set[str]:
    """Modules a file imports when it is loaded; ``from package import module`` is the module."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            folder = ROOT.joinpath(*node.module.split("."))
            inner = {a.name for a in node.names if (folder / f"{a.name}.py").is_file()}
            found |= {f"{node.module}.{name}" for name in inner}
            if len(inner) < len(node.names):
                found.add(node.module)
    return found


def test_files_fit_in_a_head() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for package in MAY_IMPORT
        for path in files_of(package)
        if (lines := len(path.read_text().splitlines())) > 300
    }
    assert not long
