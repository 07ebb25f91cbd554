"""A release made ready: its Python environment, plugin library and engine, and its check."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spit_edge.export.deploy.agent.protocol import Refused, attempt, refuse_killed, run, say, step
from spit_edge.export.deploy.agent.releases import VENVS

READY = "ready"
"""A file that says an environment is complete."""
PLUGIN = Path("bundle") / "plugins" / "libspit_plugins.so"
_NO_VENV = (
    "python3 on the device cannot make environments: install python3-venv there "
    "(sudo apt-get install python3-venv)"
)


def make_venv(root: Path, folder: Path, wanted: Mapping[str, Any]) -> Path:
    """The environment ``wanted["key"]``, made unless it is complete.

    It sees the system's packages, so that numpy and TensorRT are the ones of the device.
    """
    venv = root / VENVS / str(wanted["key"])
    if not (venv / READY).exists():
        if not wanted["possible"]:
            raise Refused(_NO_VENV)
        with step("making the Python environment"):
            shutil.rmtree(venv, ignore_errors=True)
            run([sys.executable, "-m", "venv", "--system-site-packages", str(venv)])
        with step(wanted["what"]):
            runtime = f"spit-edge[{wanted['extras']}] @ {_url(folder, wanted)}"
            _pip(venv, folder, runtime, *wanted["requires"])
        (venv / READY).touch()
    return venv


def use_venv(folder: Path, venv: Path) -> None:
    """Let a release point to its environment.

    It may be the one in use, with another environment: so not before the new one has passed.
    """
    link, fresh = folder / "venv", folder / ".venv.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(Path("..") / ".." / VENVS / venv.name)
    fresh.replace(link)


def place_plugin(venv: Path, folder: Path, wanted: Mapping[str, Any]) -> None:
    """The plugin library that was chosen, or one built here for the GPU; once."""
    place = folder / PLUGIN
    if not place.exists():
        _place_plugin(venv, folder, place, wanted)
    if wanted["prebuilt"]:  # what is built here is known here
        run([_python(venv), "-m", "spit_edge.plugins", "trust", str(place)], env=_path(venv))


def _place_plugin(venv: Path, folder: Path, place: Path, wanted: Mapping[str, Any]) -> None:
    place.parent.mkdir(exist_ok=True)
    if wanted["prebuilt"]:
        with step("taking the prebuilt plugin library"):
            fresh = place.with_name(".new")
            fresh.unlink(missing_ok=True)
            os.link(folder / wanted["prebuilt"], fresh)
            fresh.replace(place)
        return
    with step(f"building the plugin library for sm_{wanted['sm']}"):
        for rest in place.parent.glob(".build-*"):
            shutil.rmtree(rest)
        environment = _path(venv)
        if shutil.which("cmake") is None:
            _pip(venv, folder, "cmake>=3.20")
        if shutil.which("make") is None:
            _pip(venv, folder, "ninja")
            environment["CMAKE_GENERATOR"] = "Ninja"
        command = [
            "-m",
            "spit_edge.plugins",
            "build",
            "--arch",
            str(wanted["sm"]),
            "--out",
            str(place),
        ]
        run([_python(venv), *command], env=environment)


def build_engine(venv: Path, folder: Path, part: str) -> None:
    """The engine, unless there is one that fits."""
    with step(f"building the engine of the {part} graph"):
        bundle = str(folder / "bundle")
        run(
            [_python(venv), "-m", "spit_edge.runtime", "engine", bundle, "--part", part],
            env=_path(venv),
        )


def check(venv: Path, folder: Path, backend: str) -> bool:
    """Whether the bundle's own images give the reference's answers; sends the parity table."""
    words = ["check", str(folder / "bundle"), "--backend", backend]
    with step(f"checking on {backend}"):
        done = attempt([*_runtime(venv), *words], _path(venv))
    refuse_killed(done)
    # Without a table nothing was compared, whatever the status.
    if done.returncode not in (0, 1) or not done.stdout:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise Refused(f"the check did not run: {last}")
    say("table", text=done.stdout)
    return done.returncode == 0


def measure(venv: Path, folder: Path, backend: str, seconds: float) -> None:
    """Send the table of latencies."""
    words = ["bench", str(folder / "bundle"), "--backend", backend, "--seconds", str(seconds)]
    with step("measuring"):
        text = run([*_runtime(venv), *words], _path(venv))
    say("table", text=text)


def _pip(venv: Path, folder: Path, *requirements: str) -> None:
    house = folder / "wheelhouse"
    offline = ["--no-index", "--find-links", str(house)] if house.is_dir() else []
    pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    run([_python(venv), *pip, *offline, *requirements], env=_path(venv))


def _url(folder: Path, wanted: Mapping[str, Any]) -> str:
    return (folder / str(wanted["file"])).resolve().as_uri()


def _runtime(venv: Path) -> list[str]:
    return [_python(venv), "-m", "spit_edge.runtime"]


def _python(venv: Path) -> str:
    return str(venv / "bin" / "python")


def _path(venv: Path) -> dict[str, str]:
    return {"PATH": f"{venv / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
