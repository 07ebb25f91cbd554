"""Wheels for a device without a network, packed from what is installed here."""

from __future__ import annotations

import base64
import hashlib
import sys
import sysconfig
import zipfile
from importlib import import_module, metadata
from pathlib import Path

from spit_edge import plugins

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = {
    "spit_edge": "spit_edge",
    **{f"spit_edge/{name}": name for name in ("export", "plugins", "runtime", "spit_ref")},
}
HOUSE = (
    "numpy", "pillow", "msgspec", "rich", "markdown-it-py", "mdurl", "pygments",
    "onnxruntime", "flatbuffers", "packaging", "protobuf", "shtab",
)  # fmt: skip


def runtime_wheel(folder: Path) -> Path:
    """This package's wheel, with the native library that is installed."""
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    tag = f"{python}-{python}-{platform}"
    project = import_module("tomllib").loads((ROOT / "pyproject.toml").read_text())["project"]
    name = f"spit_edge-{project['version']}"
    files: dict[str, bytes] = {}
    for installed, folder_here in FOLDERS.items():
        for path in sorted((ROOT / folder_here).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                inner = path.relative_to(ROOT / folder_here).as_posix()
                files[f"{installed}/{inner}"] = path.read_bytes()
    native = import_module("spit_edge.plugins.native._native").__file__
    assert native is not None and Path(plugins.__file__).parent.parent == ROOT
    # It may lie among the installed packages instead of the sources.
    files[f"spit_edge/plugins/native/{Path(native).name}"] = Path(native).read_bytes()
    requires = [f"Requires-Dist: {need}" for need in project["dependencies"]]
    for extra, needs in project["optional-dependencies"].items():
        requires += [f"Provides-Extra: {extra}"]
        requires += [f'Requires-Dist: {n}; extra == "{extra}"' for n in needs if ";" not in n]
    head = ["Metadata-Version: 2.1", "Name: spit-edge", f"Version: {project['version']}", *requires]
    files[f"{name}.dist-info/METADATA"] = ("\n".join(head) + "\n").encode()
    points = {"console_scripts": project["scripts"], **project.get("entry-points", {})}
    lines = [
        line
        for group, entries in points.items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in entries.items()))
    ]
    files[f"{name}.dist-info/entry_points.txt"] = ("\n".join(lines) + "\n").encode()
    wheel = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: false\nTag: {tag}\n"
    files[f"{name}.dist-info/WHEEL"] = wheel.encode()
    return _write(folder / f"{name}-{tag}.whl", files, f"{name}.dist-info/RECORD")


def installed_wheel(package: str, folder: Path) -> Path:
    """A wheel of an installed package, without its scripts."""
    distribution = metadata.distribution(package)
    files: dict[str, bytes] = {}
    info = ""
    for path in distribution.files or []:
        place = Path(str(distribution.locate_file(path)))
        name = path.as_posix()
        if name.startswith("..") or name.endswith(".pyc") or not place.is_file():
            continue
        if name.endswith(".dist-info/WHEEL"):
            info = name.removesuffix("/WHEEL")
        files[name] = place.read_bytes()
    files.pop(f"{info}/RECORD", None)
    files.pop(f"{info}/entry_points.txt", None)
    tags = [
        line.partition(": ")[2]
        for line in files[f"{info}/WHEEL"].decode().splitlines()
        if line.startswith("Tag: ")
    ]
    stem = info.removesuffix(".dist-info")
    return _write(folder / f"{stem}-{tags[-1]}.whl", files, f"{info}/RECORD")


def _write(target: Path, files: dict[str, bytes], record: str) -> Path:
    rows = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as wheel:
        for name, data in files.items():
            wheel.writestr(name, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            rows.append(f"{name},sha256={digest},{len(data)}\n")
        wheel.writestr(record, "".join(rows) + f"{record},,\n")
    return target
