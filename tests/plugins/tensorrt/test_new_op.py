"""The op of docs/new-op.md, added to a copy of the tree, built, and compared with its reference."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spit_edge.plugins.plugin_build import (
    PluginBuildError,
    cmake_definitions,
    find_build,
    find_cmake,
)

ROOT = Path(__file__).parents[3]
PROGRAM = """
import ctypes, sys
import numpy as np, torch
from spit_edge.base.contracts import REGION_SIZES, ContractError
from spit_edge.plugins.generate import generated, members
from spit_edge.spit_ref.region_sizes import region_sizes

assert all(path.read_text() == text for path, text in generated().items())

class SpitSizes(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_void_p if kind.endswith("*") else ctypes.c_int32)
        for kind, name, _ in members(REGION_SIZES)
    ]

library = ctypes.CDLL(sys.argv[1])
library.spit_fault_text.restype = ctypes.c_char_p
library.spit_region_sizes_workspace.restype = ctypes.c_size_t
labels = np.random.default_rng(0).integers(0, 50, (3, 31, 17), dtype=np.int32)
sizes = np.full((3, 40), -1, np.int32)
a = SpitSizes(labels.ctypes.data, 3, 31, 17, 40, sizes.ctypes.data)
needed = library.spit_region_sizes_workspace(ctypes.byref(a))
room = np.zeros(needed + 256, np.uint8)
a.workspace = room.ctypes.data + -room.ctypes.data % 256
assert library.spit_region_sizes(ctypes.byref(a), None) == 0
wanted = region_sizes(torch.from_numpy(labels), max_tokens=40).numpy()
assert sizes.tobytes() == wanted.tobytes() and wanted.sum() > 0

a.max_tokens = 0
assert library.spit_region_sizes(ctypes.byref(a), None) == 1
try:
    region_sizes(torch.from_numpy(labels), max_tokens=0)
except ContractError as error:
    assert library.spit_fault_text().decode() == str(error), str(error)
    print(error)
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it is installed, with the op of the page."""
    root = tmp_path_factory.mktemp("tree")
    package = root / "spit_edge"
    left_out = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(ROOT / "spit_edge", package, ignore=left_out)
    for folder in ("plugins", "spit_ref"):
        shutil.copytree(ROOT / folder, package / folder, ignore=left_out)
    page = (ROOT / "docs" / "new-op.md").read_text()
    contract, reference, kernels = re.findall(r"```(?:python|cpp)\n(.*?)```", page, re.DOTALL)
    contracts = package / "base" / "contracts.py"
    text = contracts.read_text()
    before, tuple_, after = text.partition("CONTRACTS: tuple[Contract, ...] = (")
    contracts.write_text(f"{before}{contract}\n\n{tuple_}REGION_SIZES, {after}")
    (package / "spit_ref" / "region_sizes.py").write_text(reference)
    place = package / "plugins" / "kernels" / "sizes"
    place.mkdir()
    (place / "region_sizes.hpp").write_text(kernels)
    run([sys.executable, "-S", package / "plugins" / "generate.py"])
    return root


def run(command: list, cwd: Path | None = None, **environment: str) -> str:
    done = subprocess.run(
        [os.fspath(word) for word in command],
        cwd=cwd,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_op_of_the_page_equals_its_reference(tree: Path) -> None:
    try:
        build = find_build(variant="host")
    except PluginBuildError as error:
        pytest.skip(str(error))
    source = tree / "spit_edge" / "plugins" / "tensorrt"
    folder = tree / "build"
    definitions = cmake_definitions(build, folder)
    run([find_cmake(), "-S", source, "-B", folder, *definitions])
    run([find_cmake(), "--build", folder, "--parallel"])
    packages = Path(np.__file__).parents[1]
    library = folder / "libspit_plugins.so"
    said = run(
        [sys.executable, "-S", "-c", PROGRAM, library],
        cwd=tree,
        PYTHONPATH=f"{tree}{os.pathsep}{packages}",
    )
    assert said == "RegionSizes: max_tokens must lie in [1, 1048576], not 0\n"
