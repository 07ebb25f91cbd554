"""Which back end is taken: those of this package, of others, and those that are broken."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from spit_edge.base.install import pip_install
from spit_edge.base.progress import Steps
from spit_edge.runtime import BackendUnavailable, BundleError, Session
from spit_edge.runtime.__main__ import main
from spit_edge.runtime.backends.records import RECORDS
from spit_edge.runtime.backends.registry import backend_names, find_record, make_artefact
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.parity.self_check import self_check

ROOT = Path(__file__).resolve().parents[3]
BACKEND = '''
"""Runs the trunk from a file of its own, which is no ONNX: where to find the trunk."""
from pathlib import Path
from spit_edge.runtime.backends.cpu.onnxruntime import OnnxRuntimeBackend
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.errors import BackendUnavailable


def place(bundle):
    return bundle.path / "other" / "trunk.txt"


def make(bundle, steps):
    file = place(bundle)
    if not file.exists():
        with steps.step("writing the trunk"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(str(bundle.path))
    return file


class Other(OnnxRuntimeBackend):
    def __init__(self, bundle, threads=None):
        if not place(bundle).exists():
            raise BackendUnavailable(f"there is no {place(bundle)}")
        super().__init__(Bundle.open(Path(place(bundle).read_text())), threads)
'''


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution with a back end "other", as pip would: a folder of metadata."""

    def install(record: str, backend: str = BACKEND, name: str = "other") -> None:
        place = tmp_path / "site"
        metadata = place / "other_backend-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: other-backend\nVersion: 1")
        points = f"[spit_edge.backends]\n{name} = other_record:RECORD\n"
        (metadata / "entry_points.txt").write_text(points)
        head = "from spit_edge.runtime.backends.records import BackendRecord\n"
        (place / "other_record.py").write_text(head + dedent(record))
        (place / "other_backend.py").write_text(backend)
        monkeypatch.syspath_prepend(place)
        importlib.invalidate_caches()

    yield install
    for module in ("other_record", "other_backend"):
        sys.modules.pop(module, None)


@pytest.fixture
def bundle(make_bundle, tmp_path):
    """One of its own, for artefacts."""
    copied = shutil.copytree(make_bundle(height=40, width=56).path, tmp_path / "bundle")
    return Bundle.open(copied)


def record(**more: object) -> str:
    fields = {"place": "other_backend:Other", "part": "trunk", "name": "other", **more}
    return f"RECORD = BackendRecord({', '.join(f'{k}={v!r}' for k, v in fields.items())})"


def without_others(monkeypatch, *kept: str) -> None:
    """Of this package's back ends, only ``kept``."""
    for name in set(RECORDS) - set(kept):
        monkeypatch.delitem(RECORDS, name)


def test_own_back_ends(monkeypatch) -> None:
    assert set(RECORDS) <= set(backend_names())
    ranked = sorted((r for r in RECORDS.values() if r.rank is not None), key=lambda r: r.rank)
    assert [r.name for r in ranked] == [
        "tensorrt", "tensorrt-split", "onnxruntime", "openvino", "torch",
    ]  # fmt: skip
    assert all(name == record.name for name, record in RECORDS.items())


def test_every_extra_is_in_pyproject() -> None:
    """Read with the packages' own eyes: what pip is told of exists."""
    toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    project = toml.loads((ROOT / "pyproject.toml").read_text())["project"]
    for record in RECORDS.values():
        assert record.extra in project["optional-dependencies"], record.name
        assert pip_install(str(record.extra)).startswith("pip install '")
    assert "spit_edge.backends" not in project.get("entry-points", {})


@pytest.mark.parametrize("record", RECORDS.values(), ids=lambda record: record.name)
def test_places_exist(record) -> None:
    try:
        module = importlib.import_module(record.place.partition(":")[0])
    except ImportError as error:
        assert error.name and not error.name.startswith("spit_edge")
        return
    assert callable(getattr(module, record.place.partition(":")[2]))
    if record.artefact:
        module, _, name = record.artefact.partition(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_the_table_is_cheap() -> None:
    program = (
        "import sys, spit_edge.runtime.backends.registry as r; r.backend_names()\n"
        "heavy = ('torch', 'onnx', 'onnxruntime', 'openvino', 'tensorrt', 'cuda')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_unknown_backend_lists_the_known(bundle, install) -> None:
    install(record())
    with pytest.raises(BackendUnavailable, match=r"auto, onnxruntime, .*other, .*torch"):
        Session.open(bundle, "tensorflow")


def test_others_are_chosen_by_their_rank(bundle, install) -> None:
    install(record(rank=0))
    (bundle.path / "other").mkdir()
    (bundle.path / "other" / "trunk.txt").write_text(str(bundle.path))
    with Session.open(bundle) as first:
        assert first.backend == "other"
        assert [row.failures for row in self_check(first)] == [()] * 3


@pytest.mark.parametrize("rank", [None, 35])
def test_others_come_behind_or_not_at_all(bundle, install, rank) -> None:
    install(record(rank=rank))
    with Session.open(bundle) as session:
        assert session.backend == "onnxruntime"
    with pytest.raises(BackendUnavailable, match=r"there is no .*trunk\.txt"):
        Session.open(bundle, "other")


def test_an_artefact_is_made_once(bundle, install) -> None:
    install(record(artefact="other_backend:make"))
    made = make_artefact("other", bundle, Steps(quiet=True))
    assert made == bundle.path / "other" / "trunk.txt"
    before = made.stat().st_mtime_ns
    assert make_artefact("other", bundle, Steps(quiet=True)) == made
    assert made.stat().st_mtime_ns == before
    with Session.open(bundle, "other") as session, Session.open(bundle, "onnxruntime") as ours:
        image = np.zeros((40, 56, 3), np.uint8)
        assert session.run(image).logits.tobytes() == ours.run(image).logits.tobytes()
    assert make_artefact("onnxruntime", bundle, Steps(quiet=True)) is None


def test_others_are_listed_without_being_imported(install, capsys) -> None:
    install("raise SystemExit('imported')")
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    assert "other" in capsys.readouterr().out and "other_record" not in sys.modules


def test_a_name_of_ours_stays_ours(install) -> None:
    install(record(name="onnxruntime"), name="onnxruntime")
    assert find_record("onnxruntime") is RECORDS["onnxruntime"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("raise RuntimeError('of no use')", "cannot be loaded: RuntimeError: of no use"),
        ("import no_such_package", "cannot be loaded: ModuleNotFoundError: .*no_such_package"),
        ("RECORD = object", "is not the BackendRecord of other"),
        (record(name="another"), "is not the BackendRecord of other"),
    ],
)
def test_records_of_others_that_are_broken(bundle, install, monkeypatch, text, says) -> None:
    install(text)
    with pytest.raises(BackendUnavailable, match=f"other_record:RECORD {says}"):
        Session.open(bundle, "other")
    with Session.open(bundle) as session:
        assert session.backend == "onnxruntime"
    without_others(monkeypatch)
    with pytest.raises(BackendUnavailable, match=f"bundle here .other: .*{says}"):
        Session.open(bundle)


@pytest.mark.parametrize(
    ("backend", "says"),
    [
        ("raise AttributeError('_ARRAY_API not found')", "loaded: AttributeError: _ARRAY_API not"),
        ("raise RuntimeError", "cannot be loaded: RuntimeError"),
        ("raise ImportError", r"cannot be loaded \(ImportError\): install what"),
        ("import no_such_package", "needs no_such_package: install what its package needs"),
        ("", r"cannot be loaded: AttributeError: .*Other"),
        ("def Other(bundle, threads): raise OSError('cut off')", "not start: OSError: cut off"),
        ("def Other(bundle, threads): import no_such_package", "needs no_such_package"),
        ("def Other(bundle, threads): 1 / 0", "does not start: ZeroDivisionError"),
    ],
)
def test_back_ends_that_fail_let_the_next_one_try(
    bundle, install, monkeypatch, backend, says
) -> None:
    install(record(rank=0), backend)
    with pytest.raises(BackendUnavailable, match=f"the backend other .*{says}"):
        Session.open(bundle, "other")
    with Session.open(bundle) as session:
        assert session.backend == "onnxruntime"
    without_others(monkeypatch)
    with pytest.raises(BackendUnavailable, match=f"no backend can run this bundle here .*{says}"):
        Session.open(bundle)


def test_what_to_install_is_said(bundle, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for module in list(sys.modules):
        if module.endswith((".onnxruntime_session", ".cpu.onnxruntime", ".gpu.onnxruntime")):
            monkeypatch.delitem(sys.modules, module)
    for name in ("onnxruntime", "onnxruntime-cuda"):
        with pytest.raises(BackendUnavailable, match=f"{name} needs onnxruntime: pip install 'onn"):
            Session.open(bundle, name)


def test_a_damaged_bundle_is_nobodys_fault(bundle) -> None:
    bundle.trunk.write_bytes(b"no graph")
    with pytest.raises(BundleError, match="cannot load"):
        Session.open(bundle)
