"""What the device does, as commands, and what it makes of their ends."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spit_edge.export.deploy import remote
from spit_edge.export.deploy.agent import environment, install, protocol

Calls = list[tuple[list[str], dict[str, str]]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Recorded instead of made; the last one writes what it was asked for."""
    made: Calls = []

    def run(command: list[str], env: dict[str, str]) -> str:
        made.append((command[1:], env))
        if "--out" in command:
            Path(command[-1]).touch()
        return ""

    monkeypatch.setattr(install, "run", run)
    monkeypatch.setattr(environment, "run", run)
    return made


@pytest.fixture
def release(tmp_path: Path) -> Path:
    (tmp_path / "bundle").mkdir()
    return tmp_path


def test_what_was_killed_says_so() -> None:
    """The kernel ends what takes too much memory; what it printed before is no reason."""
    words = ["/bin/sh", "-c", "echo building; kill -9 $$"]
    with pytest.raises(protocol.Refused, match="sh was killed by signal 9, probably for want of"):
        protocol.run(words)
    with pytest.raises(protocol.Refused, match=r"signal 15$"):
        protocol.run(["/bin/sh", "-c", "kill -15 $$"])


def has(monkeypatch: pytest.MonkeyPatch, *programs: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name if name in programs else None)


def test_built_with_the_tools_of_the_device(release: Path, calls: Calls, monkeypatch) -> None:
    has(monkeypatch, "cmake", "make")
    for _ in range(2):  # the second time, it is there
        install.place_plugin(release / "venv", release, {"prebuilt": None, "sm": 87})
    ((command, env),) = calls
    out = str(release / "bundle" / "plugins" / "libspit_plugins.so")
    assert command == ["-m", "spit_edge.plugins", "build", "--arch", "87", "--out", out]
    assert env["PATH"].startswith(str(release / "venv" / "bin")) and "CMAKE_GENERATOR" not in env


def test_tools_that_are_missing_come_with_pip(release: Path, calls: Calls, monkeypatch) -> None:
    has(monkeypatch)
    (release / "wheelhouse").mkdir()
    install.place_plugin(release / "venv", release, {"prebuilt": None, "sm": 87})
    cmake, ninja, (_, env) = calls
    assert cmake[0][-1] == "cmake>=3.20" and ninja[0][-1] == "ninja" and "--no-index" in ninja[0]
    assert env["CMAKE_GENERATOR"] == "Ninja"


def test_a_prebuilt_one_is_taken(release: Path, calls: Calls) -> None:
    (release / "plugins").mkdir()
    library = release / "plugins" / "libspit_plugins.so"
    library.write_bytes(b"library")
    wanted = {"prebuilt": "plugins/libspit_plugins.so", "sm": None}
    install.place_plugin(release / "venv", release, wanted)
    placed = release / "bundle" / "plugins" / "libspit_plugins.so"
    assert placed.samefile(library)
    trust = ["-m", "spit_edge.plugins", "trust", str(placed)]
    assert [command for command, _ in calls] == [trust]


def test_what_is_sent_needs_the_standard_library_alone() -> None:
    program = (
        "import json, sys, types\n"
        "for name, text in json.load(sys.stdin):\n"
        "    module = sys.modules[name] = types.ModuleType(name)\n"
        "    exec(compile(text, name, 'exec'), module.__dict__)\n"
        "print(module.main.__module__)\n"
    )
    # Isolated, and without the packages that are installed.
    words = [sys.executable, "-I", "-S", "-c", program]
    sent = json.dumps(remote._sources())
    done = subprocess.run(words, input=sent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "spit_edge.export.deploy.agent.main"
