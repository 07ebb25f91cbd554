"""TensorRT's Python API in versions that are not installed: its names, and stubs for mypy.

``python -m tests.simulators.tensorrt_api VERSION ...`` writes
``tests/data/tensorrt_api/VERSION.txt``: a line for every class with its members, and one for
every function and value.

The bindings of each version are wheels of a megabyte on PyPI, the libraries they load are not.
Stand-ins with the same entry points, of which none is called, let the bindings be imported.
(The published ``tensorrt-stubs`` have syntax errors, and no version for 10.3 or 11.)
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

DATA = Path(__file__).parents[1] / "data" / "tensorrt_api"
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")
ENTRY_POINTS = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getInferLibVersion",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
)
LIST_NAMES = """
import inspect, tensorrt_bindings as trt
for name, value in sorted(vars(trt).items()):
    if not name.startswith("_") and not inspect.ismodule(value):
        members = dir(value) if inspect.isclass(value) else []
        print(name, *(m for m in members if not m.startswith("_")))
"""


def fetch(version: str, folder: Path) -> dict[str, str]:
    """Put bindings and stand-ins into ``folder``; the environment in which they can be imported."""
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
    _run([*download, str(folder), f"tensorrt-cu12-bindings=={version}"])
    for wheel in folder.glob("*.whl"):
        zipfile.ZipFile(wheel).extractall(folder)
    source = folder / "stand_in.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in ENTRY_POINTS))
    for library in LIBRARIES:
        name = f"lib{library}.so.{version.split('.')[0]}"
        soname = f"-Wl,-soname,{name}"
        _run(["cc", "-shared", "-fPIC", soname, "-o", str(folder / name), str(source)])
    return {**os.environ, "LD_LIBRARY_PATH": str(folder), "PYTHONPATH": str(folder)}


def names(version: str, folder: Path) -> str:
    """All names, as in the data files."""
    return _run([sys.executable, "-c", LIST_NAMES], fetch(version, folder))


def stubs(environment: dict[str, str], folder: Path) -> Path:
    """A folder with a stub package ``tensorrt`` for mypy; ``environment`` from :func:`fetch`."""
    stubgen = "import sys; from mypy.stubgen import main; main(sys.argv[1:])"
    options = ["--inspect-mode", "-m", "tensorrt_bindings.tensorrt", "-o", str(folder / "out")]
    _run([sys.executable, "-c", stubgen, *options], environment)
    text = (folder / "out" / "tensorrt_bindings" / "tensorrt.pyi").read_text()
    package = folder / "stubs" / "tensorrt"
    package.mkdir(parents=True)
    # One docstring, from which signatures are taken, has an argument without default at the end.
    text = re.sub(r"(channel_axis: [\w.]+)\)", r"\1 = ...)", text)
    (package / "__init__.pyi").write_text(text)
    return package.parent


def known(version: str) -> dict[str, set[str]]:
    """The checked-in names: members by class; all else has none."""
    lines = (DATA / f"{version}.txt").read_text().splitlines()
    return {name: set(members) for name, *members in map(str.split, lines)}


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} ... failed:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    DATA.mkdir(parents=True, exist_ok=True)
    for wanted in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as work:
            (DATA / f"{wanted}.txt").write_text(names(wanted, Path(work)))
