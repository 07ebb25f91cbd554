"""A release made ready in its environment: plugin library and engine, and its check."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spit_edge.export.deploy.agent.environment import path_of, pip, python_of
from spit_edge.export.deploy.agent.protocol import Refused, attempt, refuse_killed, run, say, step

PLUGIN = Path("bundle") / "plugins" / "libspit_plugins.so"


def place_plugin(venv: Path, folder: Path, wanted: Mapping[str, Any]) -> None:
    """The plugin library that was chosen, or one built here for the GPU; once."""
    place = folder / PLUGIN
    if not place.exists():
        _place_plugin(venv, folder, place, wanted)
    if wanted["prebuilt"]:  # what is built here is known here
        run([python_of(venv), "-m", "spit_edge.plugins", "trust", str(place)], env=path_of(venv))


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
        environment = path_of(venv)
        if shutil.which("cmake") is None:
            pip(venv, folder, "cmake>=3.20")
        if shutil.which("make") is None:
            pip(venv, folder, "ninja")
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
        run([python_of(venv), *command], env=environment)


def build_engine(venv: Path, folder: Path, part: str) -> None:
    """The engine, unless there is one that fits."""
    with step(f"building the engine of the {part} graph"):
        bundle = str(folder / "bundle")
        run(
            [python_of(venv), "-m", "spit_edge.runtime", "engine", bundle, "--part", part],
            env=path_of(venv),
        )


def check(venv: Path, folder: Path, backend: str) -> bool:
    """Whether the bundle's own images give the reference's answers; sends the parity table."""
    words = ["check", str(folder / "bundle"), "--backend", backend]
    with step(f"checking on {backend}"):
        done = attempt([*_runtime(venv), *words], path_of(venv))
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
        text = run([*_runtime(venv), *words], path_of(venv))
    say("table", text=text)


def _runtime(venv: Path) -> list[str]:
    return [python_of(venv), "-m", "spit_edge.runtime"]
