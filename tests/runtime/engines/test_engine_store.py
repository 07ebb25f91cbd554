"""Engines in a bundle: found by platform, verified, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.cuda.gpu import Gpu
from spit_edge.runtime.engines.flavour import Flavour
from spit_edge.runtime.engines.record import (
    Choices,
    EngineRecord,
    Platform,
    ShapeRange,
    decode,
    encode,
    key,
    misfit,
    sources_of,
)
from spit_edge.runtime.engines.store import (
    cache_path,
    engine_entry,
    find_engine,
    load_cache,
    save_cache,
    save_engine,
)
from spit_edge.runtime.errors import EngineError

DATA = memoryview(b"an engine" * 1000)
ORIN = Platform(
    flavour="tensorrt",
    tensorrt="10.3.0",
    gpu="Orin (nvgpu)",
    sm=[87],
    cuda="12.6",
    plugins={"libspit_plugins.so": "ab" * 32},
)


def changed(**fields) -> Platform:
    return msgspec.structs.replace(ORIN, **fields)


def record_of(bundle: Bundle, platform: Platform = ORIN, **choices) -> EngineRecord:
    return EngineRecord(
        part="full",
        platform=platform,
        choices=Choices(**choices),
        sources=sources_of(bundle, "full"),
        engine=engine_entry(DATA),
        profile={"images": ShapeRange([1, 3, 48, 64], [1, 3, 48, 64], [8, 3, 48, 64])},
        products={"HALF": 13, "FLOAT": 1},
        layers=340,
        build_seconds=12.5,
    )


@pytest.fixture
def bundle(make_bundle, tmp_path) -> Bundle:
    """A bundle in a folder of its own, to put engines beside."""
    made = Bundle.open(make_bundle(height=48, width=64).path, verify=False)
    return Bundle(tmp_path, made.manifest)


def saved(bundle: Bundle, platform: Platform = ORIN, **choices):
    record = record_of(bundle, platform, **choices)
    return save_engine(bundle.path / "engines", key(platform, "full"), DATA, record)


def test_this_machine_as_a_platform() -> None:
    gpu = Gpu("Orin (nvgpu)", 87, 8 << 30, 4 << 30, "12.6", "12.8")
    plugins = {"libspit_plugins.so": "ab" * 32}
    assert Platform.of(Flavour("tensorrt", "10.3.0", None), gpu, plugins) == ORIN


def test_the_name_says_what_an_engine_is_for() -> None:
    name = "orin-nvgpu-sm87-tensorrt10.3.0-cuda12.6-pluginsabababab-full"
    assert key(ORIN, "full") == name
    different = [
        changed(gpu="Thor"), changed(sm=[110]), changed(tensorrt="10.16.1"), changed(cuda="13.2"),
        changed(flavour="tensorrt-rtx"), changed(plugins={"libspit_plugins.so": "cd" * 32}),
    ]  # fmt: skip
    assert len({key(p, "full") for p in (ORIN, *different)} | {key(ORIN, "trunk")}) == 8
    many = changed(gpu=None, cuda=None, sm=[86, 120], flavour="tensorrt-rtx", plugins={})
    assert key(many, "trunk") == "sm86+120-tensorrt-rtx10.3.0-trunk"


def test_a_stored_engine_is_found(bundle) -> None:
    stored = saved(bundle)
    assert find_engine(bundle, "full", ORIN) == stored
    assert stored.path.read_bytes() == DATA
    names = sorted(path.name for path in stored.path.parent.iterdir())
    assert names == [f"{key(ORIN, 'full')}.engine", f"{key(ORIN, 'full')}.json"]


@pytest.mark.parametrize(
    ("here", "says"),
    [
        (changed(tensorrt="10.16.1"), "built for tensorrt 10.3.0, not 10.16.1"),
        (changed(flavour="tensorrt-rtx"), "built for tensorrt, not tensorrt-rtx"),
        (changed(gpu="Thor"), r"built for Orin \(nvgpu\), not Thor"),
        (changed(sm=[110]), "built for SM 87, not SM 110"),
        (changed(cuda="13.2"), "built for CUDA 12.6, not 13.2"),
        (changed(plugins={}), r"libspit_plugins.so \(abababab\), not no plugins"),
        (changed(plugins={"libspit_plugins.so": "cd" * 32}), r"\(abababab\), not .*cdcdcdcd"),
    ],
)
def test_an_engine_of_another_platform_is_refused(bundle, here, says) -> None:
    saved(bundle)
    with pytest.raises(EngineError, match=f"{says}.*spit-edge engine"):
        find_engine(bundle, "full", here)


def test_compatible_engines_go_further(bundle) -> None:
    def fits(built: EngineRecord, **here) -> bool:
        return misfit(built, changed(**here)) is None

    newer = record_of(bundle, version_compatible=True)
    assert fits(newer, tensorrt="10.16.1") and fits(newer)
    assert not fits(newer, tensorrt="10.2.9") and not fits(newer, tensorrt="11.0.0")
    wider = record_of(bundle, hardware_compatible=True)
    assert fits(wider, gpu="L4", sm=[89]) and not fits(wider, gpu="T4", sm=[75])
    several = record_of(bundle, changed(gpu=None, cuda=None, sm=[86, 89]))
    assert fits(several, gpu="L4", sm=[89]) and not fits(several, gpu="B", sm=[120])


def test_the_narrowest_engine_is_taken(bundle) -> None:
    saved(bundle, changed(gpu=None, cuda=None, sm=[80, 87]))
    single = saved(bundle, changed(gpu=None, cuda=None))
    assert find_engine(bundle, "full", ORIN) == single
    own = saved(bundle)
    assert find_engine(bundle, "full", ORIN) == own


def test_a_damaged_engine_is_refused(bundle) -> None:
    stored = saved(bundle)
    data = bytearray(DATA)
    data[4321] ^= 1
    stored.path.write_bytes(data)
    with pytest.raises(EngineError, match="damaged, its SHA-256"):
        find_engine(bundle, "full", ORIN)
    stored.path.write_bytes(data[:-1])
    with pytest.raises(EngineError, match="damaged, it has 8999 bytes instead of 9000"):
        find_engine(bundle, "full", ORIN)
    stored.path.unlink()
    with pytest.raises(EngineError, match="its engine file cannot be read"):
        find_engine(bundle, "full", ORIN)
    stored.path.with_suffix(".json").write_text("{")
    with pytest.raises(EngineError, match="its JSON file is not valid"):
        find_engine(bundle, "full", ORIN)


def test_an_engine_of_another_export_is_refused(bundle) -> None:
    record = record_of(bundle)
    other = msgspec.structs.replace(record, sources={**record.sources, "model.onnx": "0" * 64})
    save_engine(bundle.path / "engines", "any", DATA, other)
    with pytest.raises(EngineError, match="any: built from another export"):
        find_engine(bundle, "full", ORIN)


def test_no_engine_and_those_of_the_other_part(bundle) -> None:
    for _ in range(2):
        with pytest.raises(EngineError, match=r"trunk graph fits \(there is none in"):
            find_engine(bundle, "trunk", ORIN)
        saved(bundle)


def test_a_record_survives_its_file(bundle) -> None:
    record = record_of(bundle)
    assert decode(encode(record)) == record
    for bad in (b"\xff", b"[]", b'{"part": "half"}', b"[" * 100_000):
        with pytest.raises(EngineError, match="not valid"):
            decode(bad)


@pytest.mark.parametrize("home", ["", "not/absolute"])
def test_where_the_timing_cache_is(home, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_path("orin") == tmp_path / "spit-edge" / "timing" / "orin.cache"
    monkeypatch.setenv("XDG_CACHE_HOME", home)
    monkeypatch.setenv("HOME", "/home/ada")
    assert cache_path("orin") == Path("/home/ada/.cache/spit-edge/timing/orin.cache")


class FakeConfig:
    """Knows caches that begin with "good" and, of those, takes its own device's."""

    taken: bytes | None = None

    def create_timing_cache(self, content: bytes):
        return content if content == b"" or content.startswith(b"good") else None

    def set_timing_cache(self, cache: bytes, *, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        if cache == b"good, of another device":
            return False
        self.taken = cache
        return True

    def get_timing_cache(self):
        return SimpleNamespace(serialize=lambda: bytearray(b"good and new"))


@pytest.mark.parametrize(
    ("stored", "taken"),
    [
        (b"good", b"good"),
        (b"good, of another device", b""),
        (b"garbage", b""),
        (None, b""),
    ],
)
def test_a_timing_cache_that_does_not_fit_is_replaced(stored, taken, tmp_path) -> None:
    path, config = tmp_path / "timing" / "orin.cache", FakeConfig()
    if stored is not None:
        path.parent.mkdir()
        path.write_bytes(stored)
    flavour = Flavour("tensorrt", "10.3.0", None)
    assert load_cache(flavour, config, path) == config.taken == taken
    save_cache(flavour, config, path)
    assert path.read_bytes() == b"good and new"


def test_a_timing_cache_that_cannot_be_written_does_no_harm(tmp_path) -> None:
    (tmp_path / "timing").write_text("no folder")
    save_cache(Flavour("tensorrt", "10.3.0", None), FakeConfig(), tmp_path / "timing" / "a.cache")


def test_tensorrt_rtx_has_no_timing_cache(tmp_path) -> None:
    flavour, config = Flavour("tensorrt-rtx", "1.4", None), FakeConfig()
    assert load_cache(flavour, config, tmp_path / "a") is None and config.taken is None
    save_cache(flavour, config, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
