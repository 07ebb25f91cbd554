"""The Python environment of a release: made once, looked at before it is believed."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spit_edge.export.deploy.agent.protocol import Refused, attempt, run, step
from spit_edge.export.deploy.agent.releases import VENVS

_READY = "ready"
"""A file that says an environment is complete: what it holds, versions by name."""
_OURS = "spit-edge"
_NO_VENV = (
    "python3 on the device cannot make environments: install python3-venv there "
    "(sudo apt-get install python3-venv)"
)
_INVENTORY = """
import base64, hashlib, json, sysconfig
from importlib import metadata
places = {sysconfig.get_path(name) for name in ("purelib", "platlib")}
found = {}
for package in metadata.distributions(path=list(places)):
    found[package.metadata["Name"]] = package.version
    for file in package.files or ():
        if file.hash is None:
            continue
        digest = hashlib.new(file.hash.mode)
        with open(file.locate(), "rb") as stream:
            while data := stream.read(1 << 20):
                digest.update(data)
        value = base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")
        if value != file.hash.value:
            raise SystemExit(f"{file} is not what was installed")
print(json.dumps(found))
"""
"""Versions by name of what an environment itself holds, every file as it was installed."""


def make_venv(root: Path, folder: Path, wanted: Mapping[str, Any]) -> Path:
    """The environment ``wanted["key"]``, made unless there is a whole one.

    It sees the system's packages, so that numpy and TensorRT are the ones of the device.  A
    damaged one stays as long as it is in use.
    """
    key = str(wanted["key"])
    for venv in _environments(root, key):
        if not (venv / _READY).exists():
            shutil.rmtree(venv, ignore_errors=True)  # nothing uses what was never complete
        elif is_whole(venv):
            return venv
    if not wanted["possible"]:
        raise Refused(_NO_VENV)
    venv = root / VENVS / key
    if venv.exists():
        venv = venv.with_name(f"{key}-{secrets.token_hex(4)}")
    with step("making the Python environment"):
        run([sys.executable, "-m", "venv", "--system-site-packages", str(venv)])
    with step(wanted["what"]):
        runtime = f"{_OURS}[{wanted['extras']}] @ {_url(folder, wanted)}"
        pip(venv, folder, runtime, *wanted["requires"])
    holds = run([python_of(venv), "-I", "-c", _INVENTORY])
    fresh = venv / f".{_READY}.new"
    fresh.write_text(holds)
    fresh.replace(venv / _READY)
    return venv


def is_whole(venv: Path) -> bool:
    """Whether its Python starts and all that was installed is there, unchanged."""
    with step("checking the Python environment"):
        try:
            promised = json.loads((venv / _READY).read_text() or "{}")  # empty: of older versions
            done = attempt([python_of(venv), "-I", "-c", _INVENTORY])
            holds = json.loads(done.stdout) if done.returncode == 0 else {}
            return _OURS in holds and promised.items() <= holds.items()
        except (OSError, ValueError, AttributeError):
            return False


def has_venv(root: Path, key: str) -> bool:
    """Whether there is one that says that it is complete."""
    return any((venv / _READY).exists() for venv in _environments(root, key))


def use_venv(folder: Path, venv: Path) -> None:
    """Let a release point to its environment.

    It may be the one in use, with another environment: so not before the new one has passed.
    """
    link, fresh = folder / "venv", folder / ".venv.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path("..") / ".." / VENVS / venv.name)
    fresh.replace(link)


def pip(venv: Path, folder: Path, *requirements: str) -> None:
    """Install from the release's wheelhouse, if it has one, else from pip's index."""
    house = folder / "wheelhouse"
    offline = ["--no-index", "--find-links", str(house)] if house.is_dir() else []
    words = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    run([python_of(venv), *words, *offline, *requirements], env=path_of(venv))


def python_of(venv: Path) -> str:
    """Its Python."""
    return str(venv / "bin" / "python")


def path_of(venv: Path) -> dict[str, str]:
    """The variable PATH with its programs first."""
    return {"PATH": f"{venv / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


def _environments(root: Path, key: str) -> list[Path]:
    return sorted((root / VENVS).glob(f"{key}*"))


def _url(folder: Path, wanted: Mapping[str, Any]) -> str:
    return (folder / str(wanted["file"])).resolve().as_uri()
