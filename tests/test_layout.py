"""The shape of the project: which package may import which, and how big files get."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# The folder of each package; installed they are spit_edge and what is in it.
FOLDERS = {
    "spit_edge": "spit_edge",
    "spit_edge.base": "spit_edge/base",
    **{f"spit_edge.{name}": name for name in ("spit_ref", "plugins", "runtime", "export")},
}
# The ground floor is for all; plugins binds what computes the ops.
MAY_IMPORT = {
    "spit_edge.base": {"spit_edge.base"},
    "spit_edge.spit_ref": {"spit_edge.base", "spit_edge.spit_ref"},
    "spit_edge.plugins": {"spit_edge.base", "spit_edge.plugins", "spit_edge.spit_ref"},
    "spit_edge.runtime": {"spit_edge.base", "spit_edge.runtime", "spit_edge.plugins"},
    "spit_edge.export": {
        "spit_edge.base",
        "spit_edge.export",
        "spit_edge.runtime",
        "spit_edge.plugins",
        "spit_edge.spit_ref",
    },
}
# Names that no product file may import: they exist in a checkout only.
CHECKOUT_ONLY = {"benchmarks", "tests", "export", "plugins", "runtime", "spit_ref"}
LIGHT = {"torch", "onnx", "onnx_ir", "onnxscript", "scipy"}
RUNTIME_NEEDS_NOT = LIGHT | {"spit_edge.spit_ref", "spit_edge.export"}


def imports_of(path: Path) -> set[str]:
    """Packages that a file imports, anywhere in it: ours by package, others by their first name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {package(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "spit_edge":
            found |= {package(f"spit_edge.{alias.name}") for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(package(node.module))
    return found


def package(module: str) -> str:
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] == "spit_edge" else 1])


def files_of(package: str) -> list[Path]:
    return sorted((ROOT / FOLDERS[package]).rglob("*.py"))


@pytest.mark.parametrize("package", sorted(MAY_IMPORT))
def test_imports_point_one_way(package: str) -> None:
    assert files_of(package)
    for path in files_of(package):
        imported = imports_of(path)
        ours = {name for name in imported if name.startswith("spit_edge")}
        forbidden = (ours - MAY_IMPORT[package]) | (imported & CHECKOUT_ONLY)
        assert not forbidden, f"{path.relative_to(ROOT)} imports {sorted(forbidden)}"


def test_runtime_names_no_heavy_package() -> None:
    for path in files_of("spit_edge.runtime"):
        assert not imports_of(path) & LIGHT, path


@pytest.mark.parametrize(
    "module",
    ["spit_edge", "spit_edge.runtime", "spit_edge.runtime.__main__", "spit_edge.runtime.parity"],
)
def test_runtime_loads_without_heavy_packages(module: str) -> None:
    heavy = sorted(RUNTIME_NEEDS_NOT | {"onnxruntime"})
    program = f"import sys, {module}; print([n for n in {heavy!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_no_import_cycles() -> None:
    graph = {module_name(path): modules_of(path) for path in product_files()}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"cycle: {' -> '.join([*above, name])}"
        if name not in done:
            for other in sorted(graph[name] & set(graph)):
                visit(other, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_no_cycles_between_the_folders_of_a_package() -> None:
    for package, folder in FOLDERS.items():
        if package == "spit_edge":
            continue
        graph: dict[str, set[str]] = {}
        for path in files_of(package):
            room = room_of(module_name(path), package)
            inner = {m for m in modules_of(path) if m.startswith(f"{package}.")}
            graph.setdefault(room, set()).update(
                {room_of(module, package) for module in inner} - {room}
            )
        while leaves := {room for room, others in graph.items() if not others & set(graph)}:
            graph = {room: others for room, others in graph.items() if room not in leaves}
        assert not graph, f"{folder}: a circle through {sorted(graph)}"


def room_of(module: str, package: str) -> str:
    """The folder or file right inside the package that a module is in."""
    return module.removeprefix(f"{package}.").split(".")[0] if module != package else ""


def product_files() -> list[Path]:
    return sorted({path for name in FOLDERS for path in files_of(name)})


def module_name(path: Path) -> str:
    inner = path.relative_to(ROOT).with_suffix("").parts
    parts = inner if inner[0] == "spit_edge" else ("spit_edge", *inner)
    return ".".join(parts).removesuffix(".__init__")


def modules_of(path: Path) -> set[str]:
    """Modules a file imports when it is loaded; ``from package import module`` is the module."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {a.name for a in node.names if is_module(f"{node.module}.{a.name}")}
            found |= {f"{node.module}.{name}" for name in inner}
            if len(inner) < len(node.names):
                found.add(node.module)
    return found


def is_module(name: str) -> bool:
    parts = name.split(".")
    place = ROOT.joinpath(*parts)
    if parts[0] == "spit_edge" and parts[1:2] != ["base"]:
        place = ROOT.joinpath(*parts[1:])
    return place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def test_files_fit_in_a_head() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in product_files()
        if (lines := len(path.read_text().splitlines())) > 300
    }
    assert not long
