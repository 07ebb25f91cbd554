"""Suites with the smallest settings: what they yield, not how fast anything is."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import bundles, end_to_end, export, features, pytorch_variants, tokenizer, trunk
from benchmarks.__main__ import main
from benchmarks.peers import count_regions, opencv_peers, region_colours, skimage_peers
from benchmarks.photo import astronaut, batch_of
from benchmarks.results import read_results
from benchmarks.suite import Settings
from benchmarks.trunk import matrix_operations
from benchmarks.trunk_runtimes import onnxruntime_trunk, openvino_trunks, quantised, torch_trunks
from spit_edge.export.reference import model_of
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.engines.flavour import Flavour
from spit_edge.runtime.errors import BackendUnavailable, BundleError
from spit_edge.spit_ref import load_model

SIDE = 64


def settings(bundles: Path | None = None) -> Settings:
    return Settings((SIDE,), ("spit_tiny",), ("fp32",), rounds=1, threads=2, bundles=bundles)


@pytest.fixture(scope="module")
def bundle(make_bundle) -> Bundle:
    return Bundle.open(make_bundle(height=SIDE, width=SIDE).path)


def test_tokenizer_has_all_peers_with_as_many_regions() -> None:
    rows = {row.variant: row for row in tokenizer.measure(settings())}
    measured = {name for name, row in rows.items() if row.median is not None}
    assert measured >= {
        "ours, 1 thread", "ours, 2 threads", "PyTorch reference", "OpenCV SEEDS", "OpenCV SLIC",
        "OpenCV LSC", "scikit-image SLIC", "scikit-image Felzenszwalb",
    }  # fmt: skip
    assert rows["ours, 2 threads"].ratio == 1.0
    assert rows["ours, 1 thread"].more == rows["PyTorch reference"].more
    # Without a GPU the variant is there with the reason.
    assert rows["ours, GPU"].median is not None or rows["ours, GPU"].note


def test_peers_come_near_the_number_asked_for() -> None:
    photo = astronaut(224)
    for peers in (opencv_peers, skimage_peers):
        for name, segment in peers(photo, 199):
            assert 170 <= count_regions(segment()) <= 230, name


def test_features_have_all_peers() -> None:
    rows = {row.variant: row for row in features.measure(settings())}
    assert {"ours, 1 thread", "ours, 2 threads", "PyTorch reference"} < set(rows)
    assert "colours only" in rows[features.GRID_SAMPLE].note


def test_grid_samples_are_the_colours_of_boxes() -> None:
    """On squares of 16 pixels a box's samples are its pixels."""
    images = torch.from_numpy(batch_of(astronaut(48)))
    squares = torch.arange(48) // 16
    labels = (squares.view(-1, 1) * 3 + squares).int().unsqueeze(0)
    colours = region_colours(images, labels, 9)
    wanted = images[0].view(3, 3, 16, 3, 16).permute(1, 3, 0, 2, 4).reshape(9, 3, 16, 16)
    torch.testing.assert_close(colours, wanted.float() / 255, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "tokens"), [("spit_tiny", 5), ("spit_s16", 17)])
def test_matrix_operations_are_those_that_pytorch_counts(name, tokens) -> None:
    model = load_model(name, weights="random")
    rows = torch.zeros(1, tokens, model.config.token_size)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.classify(model.embed(rows, torch.tensor([tokens])))
    assert matrix_operations(model.config, tokens) == counter.get_total_flops()


def test_end_to_end_rows(bundle, tmp_path, monkeypatch) -> None:
    def no_compiler(*_: object, **__: object) -> None:
        raise RuntimeError("no compiler\nat all")

    monkeypatch.setattr(pytorch_variants.torch, "compile", no_compiler)
    # Stands for a ViT: what matters is that it runs wherever ours does.
    monkeypatch.setattr(end_to_end, "plain_vit", lambda _: "spit_tiny")
    shutil.copytree(bundle.path, tmp_path / f"spit_tiny-fp32-{SIDE}-random")
    rows = {row.variant: row for row in end_to_end.measure(settings(tmp_path))}
    assert rows["ours, onnxruntime"].ratio == 1.0
    for name in ("ours, onnxruntime", "PyTorch, eager", "PyTorch, eager, our tokenizer"):
        assert 0 < rows[name].more["% of all"] < 200 and rows[name].median > 0
    measured = {name for name, row in rows.items() if row.median is not None}
    backends = {name.removeprefix("ours, ") for name in measured if name.startswith("ours, ")}
    assert {"onnxruntime", "openvino", "onnxruntime-graph"} <= backends
    assert {f"spit_tiny, {backend}" for backend in backends} <= measured
    # It cannot tell what comes before the trunk, so it does not.
    assert not rows["ours, onnxruntime-graph"].more
    compiled = rows["PyTorch, compiled, our tokenizer"]
    assert compiled.median is None and compiled.note == "torch.compile: no compiler"
    assert not [name for name in rows if "tokenizer and features" in name or "stages" in name]


def test_without_any_back_end_there_are_reasons(bundle, tmp_path, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BackendUnavailable("not today")

    monkeypatch.setattr(end_to_end.Session, "open", refuse)
    shutil.copytree(bundle.path, tmp_path / f"spit_tiny-fp32-{SIDE}-random")
    rows = list(end_to_end.measure(settings(tmp_path)))
    assert len(rows) == len(end_to_end.BACKENDS) and {row.median for row in rows} == {None}
    assert "not today" in {row.note for row in rows}


def test_engines_are_built_for_back_ends_that_need_one(bundle, monkeypatch) -> None:
    orders = []
    monkeypatch.setattr(bundles, "find_flavour", lambda: Flavour("tensorrt", "10.3.0", None))
    monkeypatch.setattr(bundles, "ensure_engine", lambda order, _: orders.append(order.part))
    for backend in end_to_end.BACKENDS:
        bundles.make_engine(bundle, backend)
    assert orders == ["full", "trunk"]


def test_bundles_that_fail_are_not_measured(tmp_path, monkeypatch) -> None:
    failed = SimpleNamespace(passed=False, path=tmp_path / "b")
    monkeypatch.setattr(bundles, "build", lambda *_: failed)
    with pytest.raises(BundleError, match="does not give the reference's results"):
        bundles.BundleShelf(tmp_path).get("spit_tiny", "fp32", SIDE)


def test_trunk_rows(bundle, make_bundle, tmp_path, monkeypatch) -> None:
    half = make_bundle(height=SIDE, width=SIDE, precision="fp16")
    for made, precision in ((bundle, "fp32"), (half, "fp16")):
        shutil.copytree(made.path, tmp_path / f"spit_tiny-{precision}-{SIDE}-random")
    monkeypatch.setattr(trunk, "PEAK_SIDE", 64)
    rows = {row.variant: row for row in trunk.measure(settings(tmp_path))}
    assert rows[trunk.OURS].ratio == 1.0 and rows[trunk.HALF].more["% of peak"] > 0
    assert {"ONNX Runtime, int8", "OpenVINO, bf16", "torch, fp32", "torch, bf16"} < set(rows)
    peaks = [row for name, row in rows.items() if name.startswith(trunk.PEAK)]
    assert len(peaks) == 2 and all(row.ratio is None for row in peaks)


def test_plain_vits_have_the_same_trunk() -> None:
    assert end_to_end.plain_vit("spit_b16") == "vit_b16"
    assert end_to_end.plain_vit("spit_tiny") is None and end_to_end.plain_vit("vit_b16") is None


def test_trunks_compute_the_same(bundle, tmp_path) -> None:
    model = model_of(bundle.manifest)
    rows = [model.tokenizer.tokens(torch.from_numpy(batch_of(astronaut(SIDE)))).rows.numpy()]
    trunks = {trunk.OURS: onnxruntime_trunk(bundle.trunk, 1), **dict(torch_trunks(model))}
    trunks["ONNX Runtime, int8"] = onnxruntime_trunk(quantised(bundle, tmp_path), 1)
    with contextlib.suppress(ImportError):
        trunks |= dict(openvino_trunks(bundle, 1))
    errors = trunk._accuracy(trunks, rows)
    for name, figures in errors.items():
        limit = 1e-4 if name.endswith("fp32") else 0.5
        assert figures["logit error"] < limit, name
    # Lower precision is not free: were it 0, nothing would have been quantised.
    assert errors["ONNX Runtime, int8"]["logit error"] > 1e-6
    assert errors["torch, fp32"]["same top-1"] == "1 of 1"


def test_speed_is_told_as_a_part_of_the_peak_of_the_same_type() -> None:
    peak = f"{trunk.PEAK} {trunk.PEAK_SIDE}², torch"
    speeds = {"OpenVINO, bf16": 50.0, "x, int8": 9.0, f"{peak} fp32": 10.0, f"{peak} bf16": 200.0}
    assert trunk._figures("OpenVINO, bf16", speeds) == {"GFLOP/s": 50.0, "% of peak": 25.0}
    assert trunk._figures("x, int8", speeds) == {"GFLOP/s": 9.0}
    assert trunk._figures(f"{peak} fp32", speeds) == {"GFLOP/s": 10.0}


def test_a_failed_export_says_why() -> None:
    with pytest.raises(export.ExportFailed, match="resnet50"):
        export.run_export("resnet50", "fp32")


def test_export_rows(monkeypatch) -> None:
    runs = iter([(4.0, 100), (2.0, 300)])

    asked = 0

    def fake(model: str, precision: str) -> export.Export:
        nonlocal asked
        asked += 1
        if model == "spit_l16":
            raise export.ExportFailed("killed")
        seconds, memory = next(runs)
        files = {"model.onnx": 1, "trunk.onnx": 2, "model.onnx.data": 5, "manifest.json": 1}
        return export.Export(
            seconds, memory * export.MIB, {n: s * export.MIB for n, s in files.items()}
        )

    monkeypatch.setattr(export, "run_export", fake)
    two = Settings((), ("spit_tiny", "spit_l16"), ("fp32",), rounds=2, threads=2)
    row, failed = export.measure(two)
    # One that fails is a row, and asked once.
    assert failed.median is None and failed.note == "killed" and asked == 3
    assert row.median == 3000.0 and row.variant == "spit_tiny" and row.ratio is None
    assert row.more == {"peak MiB": 300.0, "weights MiB": 5.0, "graphs MiB": 3.0, "bundle MiB": 9.0}


@pytest.mark.slow
def test_an_export_is_measured() -> None:
    made = export.run_export("spit_tiny", "fp32")
    assert made.seconds > 1 and 100 * export.MIB < made.peak_memory < 8000 * export.MIB
    assert made.files["model.onnx.data"] > 400_000


def test_one_command_measures_prints_and_writes(tmp_path, capsys) -> None:
    words = ["features", "--sizes", "48", "--rounds", "5", "--threads", "1"]
    assert main([*words, "--json", str(tmp_path / "all.json"), "--out", str(tmp_path)]) == 0
    (made,) = read_results(tmp_path / "all.json")
    assert made == read_results(tmp_path / "features.json")[0]
    assert made.threads == 1 and made.rounds == 5 and made.machine.cores >= 1
    measured = [row for row in made.rows if row.median is not None]
    assert {row.size for row in measured} == {48} and "ours, 1 thread" in capsys.readouterr().out
