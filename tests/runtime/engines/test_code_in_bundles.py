"""A bundle is data: code in it runs only where it was made, or where the user says so."""

from __future__ import annotations

import ctypes
import json
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from spit_edge.plugins import plugin_library
from spit_edge.plugins.__main__ import main as plugins_main
from spit_edge.plugins.plugin_library import FILE_NAME, VARIABLE
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.engines.plugin_libraries import PluginMissing, plugin_libraries
from spit_edge.runtime.engines.record import Choices, EngineRecord, Platform, sources_of
from spit_edge.runtime.engines.store import (
    engine_entry,
    find_engine,
    onnxruntime_cache,
    save_engine,
)
from spit_edge.runtime.errors import EngineError
from tests.conftest import MakeBundle

SOURCE = r"""
#include <stdio.h>
const char spit_plugins_info_text[] = "SPIT-PLUGINS-INFO %s";
__attribute__((constructor)) static void run(void) { fclose(fopen("%s", "w")); }
"""
ENGINE = memoryview(b"engine")
HERE = Platform(flavour="tensorrt", tensorrt="10.3.0", gpu="Orin", sm=[87], cuda="12.6", plugins={})


@pytest.fixture
def bundle(make_bundle: MakeBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(plugin_library, "built_folder", lambda: tmp_path / "built")
    made = make_bundle(height=48, width=64).path
    return Bundle.open(shutil.copytree(made, tmp_path / "bundle"))


def built(folder: Path) -> Path:
    """Where ``plugins build`` puts a library for this machine."""
    return folder / "built" / platform.machine()


def library(folder: Path, mark: Path) -> Path:
    """A library whose constructor writes ``mark``."""
    facts = {
        "version": "0.1.0", "variant": "cuda", "machine": platform.machine(), "cuda": 12060,
        "tensorrt": "10.3.0", "architectures": [87], "contracts": {},
    }  # fmt: skip
    folder.mkdir(parents=True)
    text = json.dumps(facts).replace('"', '\\"')
    (folder / "code.c").write_text(SOURCE % (text, mark))
    words = ["cc", "-shared", "-fPIC", "-o", folder / FILE_NAME, folder / "code.c"]
    subprocess.run(words, check=True)
    return folder / FILE_NAME


@pytest.mark.parametrize("place", ["bundle", "folder of builds"])
def test_a_library_from_elsewhere_does_not_run(bundle: Bundle, tmp_path: Path, place: str) -> None:
    mark = tmp_path / "mark"
    home = bundle.path / "plugins" if place == "bundle" else built(tmp_path)
    code = library(home, mark)
    for _ in range(2):  # asking does not make it known
        with pytest.raises(PluginMissing, match=r"not built on this machine by you.*plugins trust"):
            plugin_libraries(bundle)
    assert not mark.exists()
    assert plugins_main(["trust", str(code)]) == 0
    (found,) = plugin_libraries(bundle)
    ctypes.CDLL(str(found))
    assert mark.exists()  # so it would have run
    code.write_bytes(code.read_bytes() + b"changed")
    with pytest.raises(PluginMissing, match="not built on this machine by you"):
        plugin_libraries(bundle)


def test_a_library_of_this_machine_is_taken_instead(bundle: Bundle, tmp_path: Path) -> None:
    library(bundle.path / "plugins", tmp_path / "mark")
    ours = library(built(tmp_path), tmp_path / "ours")
    plugins_main(["trust", str(ours)])
    assert plugin_libraries(bundle) == [ours]


def test_a_library_that_was_named_runs(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = library(tmp_path / "mine", tmp_path / "mark")
    assert plugin_libraries(bundle, [named]) == [named]
    monkeypatch.setenv(VARIABLE, str(named))
    assert plugin_libraries(bundle) == [named]


def test_only_libraries_can_be_trusted(tmp_path: Path) -> None:
    (tmp_path / "no.so").write_bytes(b"\x7fELF")
    assert plugins_main(["trust", str(tmp_path / "no.so")]) == 2


def test_engines_run_where_they_were_built(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version-compatible ones bring host code, which their record asks to run."""
    record = EngineRecord(
        part="trunk",
        platform=HERE,
        choices=Choices(version_compatible=True),
        sources=sources_of(bundle, "trunk"),
        engine=engine_entry(ENGINE),
        profile={},
        products={},
        layers=1,
        build_seconds=1.0,
    )
    stored = save_engine(bundle.path / "engines", "orin", ENGINE, record)
    assert find_engine(bundle, "trunk", HERE) == stored
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another machine"))
    with pytest.raises(EngineError, match="this one was not built on this machine by you"):
        find_engine(bundle, "trunk", HERE)


def test_onnxruntime_keeps_its_engines_outside_of_bundles(bundle: Bundle) -> None:
    assert not onnxruntime_cache(bundle).is_relative_to(bundle.path)
