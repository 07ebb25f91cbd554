"""The parity report: what the page says, that it needs nothing else, and that it is whole."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import shutil
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import spit_edge.export.report.gather
from spit_edge.export.__main__ import main
from spit_edge.export.precision.layers import LayerError
from spit_edge.export.report import pictures
from spit_edge.export.report.chart import layer_chart
from spit_edge.export.report.contents import difference, layer_series
from spit_edge.runtime.images import folder as folder_of_images
from spit_edge.runtime.images import sample_photos
from spit_edge.runtime.parity.judge import GATES
from tests.export.precision.test_bisect import BREAKS, weights_file
from tests.reports import Page, report_of, with_wrong_labels


@pytest.fixture(scope="module")
def passing(make_bundle, tmp_path_factory) -> tuple[str, Path]:
    out = tmp_path_factory.mktemp("report") / "out.html"
    bundle = make_bundle(precision="fp16", outputs=("attention",))
    return report_of(bundle.path, out), out


@pytest.fixture(scope="module")
def failing(make_bundle, tmp_path_factory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("report")
    bundle = with_wrong_labels(make_bundle(precision="fp16").path, folder / "bundle")
    return report_of(bundle, folder / "out.html"), folder / "out.html"


@pytest.fixture(scope="module")
def both(passing, failing) -> dict[str, str]:
    return {"passing": passing[0], "failing": failing[0]}


@pytest.mark.parametrize("kind", ["passing", "failing"])
def test_the_page_needs_nothing_else(both, kind) -> None:
    page = Page(both[kind])
    assert not page.of("script") and not page.of("link") and not page.of("iframe")
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset", "xlink:href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:image/webp;base64,", "#"))
    assert not re.search(r"https?://|url\(|@import", both[kind])


@pytest.mark.parametrize("kind", ["passing", "failing"])
def test_the_page_can_be_read_without_seeing_it(both, kind) -> None:
    page = Page(both[kind])
    assert page.of("html")[0]["lang"] == "en" and len(page.of("h1")) == 1
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        named = attributes.get("aria-labelledby") or attributes.get("href", "#")[1:]
        assert set((named or "").split()) <= set(ids)
    alts = [a["alt"] for a in page.of("img")]
    assert all(alts) and len(alts) == len(set(alts))
    assert all(a.get("scope") in ("col", "row") for a in page.of("th"))


def test_a_passing_bundle_says_so(passing) -> None:
    text = " ".join(Page(passing[0]).text.split())
    assert "✓ Pass bundle" in text and "Fail" not in text and "✗" not in text
    assert "On onnxruntime, all 3 images pass every gate" in text
    assert text.count("equal all") == 3 and text.count("✓ holds") == len(GATES)


def test_a_failing_bundle_is_red_and_names_gate_and_place(failing) -> None:
    html, _ = failing
    page = Page(html)
    text = " ".join(page.text.split())
    assert "✗ Fail" in text and "1 of 3 images fail on onnxruntime: labels in 1." in text
    assert "16 labels differ, first in row 100, column 50" in text
    assert page.of("header")[0]["class"] == "fail"
    assert next(a["class"] for a in page.of("section") if "class" in a) == "image bad"
    assert text.count("✗ labels") == 1 and text.count("equal all") == 2
    assert html.index("✗ fails</strong> in astronaut") < html.index('id="image-0"')


def test_pictures_are_the_images(passing, make_bundle) -> None:
    shown = {a["alt"]: a["src"] for a in Page(passing[0]).of("img")}
    assert len(shown) == 3 * 9
    plain = decoded(shown["chelsea"]).astype(int)
    stored = np.asarray(Image.open(make_bundle(precision="fp16").path / "check" / "chelsea.png"))
    assert plain.shape == stored.shape and np.abs(plain - stored).mean() < 4  # lossy WebP
    colours = decoded(shown["Mean colours of chelsea, reference"])
    photograph = Image.open(make_bundle(precision="fp16").path / "check" / "chelsea.png")
    assert colours.shape == (224, 224, 3)
    mean = np.asarray(photograph.convert("RGB")).reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(colours.reshape(-1, 3).mean(axis=0), mean, atol=0.5)
    for what in ("Mean colours", "Labels", "Borders"):
        pair = [shown[f"{what} of coffee, {side}"] for side in ("reference", "onnxruntime")]
        assert pair[0] == pair[1]
        assert pair[0] != shown[f"{what} of chelsea, reference"]


def decoded(address: str) -> np.ndarray:
    content = base64.b64decode(address.removeprefix("data:image/webp;base64,"))
    return np.asarray(Image.open(io.BytesIO(content)))


def test_it_says_when_and_how_it_was_made(passing, make_bundle) -> None:
    html, path = passing
    facts = json.loads(path.with_suffix(".json").read_text())
    bundle = make_bundle(precision="fp16", outputs=("attention",)).path
    assert facts["command"] == f"spit-edge validate {bundle} --report {path}"
    made = datetime.fromisoformat(facts["created"])
    assert abs((datetime.now(timezone.utc) - made).total_seconds()) < 3600
    assert facts["created"][:10] in html and facts["command"] in html


@pytest.mark.parametrize(
    ("errors", "step", "ticks"),
    [
        ([2.5e-4, 7e-4], 9.8e-4, ["3e-4", "5e-4", "7e-4", "1e-3"]),
        ([1e-7, 3e-3], 9.8e-4, ["1e-7", "1e-6", "1e-5", "1e-4", "1e-3"]),
        ([1e-3], 1e-3, ["1e-3", "2e-3", "5e-4"]),
        ([math.inf, 2e-3], 1e-3, None),
    ],
)
def test_the_chart_shows_the_range_of_the_data(errors, step, ticks) -> None:
    layers = [
        LayerError(name=f"blocks.{i}.up", relative=e, largest=e, magnitude=1.0, not_finite=0,
                   image="x")
        for i, e in enumerate(errors)
    ]  # fmt: skip
    chart = layer_chart([layer_series("a", "b", layers, step)], step)
    if ticks is not None:
        assert sorted(text for _, text in chart.ticks) == sorted(ticks)
    finite = [m.y for line in chart.lines for m in line.marks if m.finite] + [chart.step]
    assert chart.top < min(finite) and max(finite) < chart.bottom
    assert all(chart.top <= y <= chart.bottom for y, _ in chart.ticks)
    if ticks is not None and len(errors) > 1:  # no part of the axis is left empty
        used = max(finite) - min(finite)
        assert used > 0.8 * (chart.bottom - chart.top)


def test_the_json_beside_it_has_the_same_facts(passing, make_bundle) -> None:
    facts = json.loads(passing[1].with_suffix(".json").read_text())
    stored = json.loads((make_bundle(precision="fp16", outputs=("attention",)).path
                         / "parity.json").read_text())  # fmt: skip
    assert [image["parity"] for image in facts["images"]] == stored["backends"]["onnxruntime"]
    assert facts["passed"] is True and [g["name"] for g in facts["gates"]] == list(GATES)
    for image in facts["images"]:
        assert image["tokens"]["differing"] == 0 and image["tokens"]["largest"] == 0.0
        assert image["logits"]["largest"] == image["parity"]["error"]
        assert len(image["top"]) == 5 and image["top"][0]["index"] == image["parity"]["top1"]
        assert 0.0 < image["attention"]["largest"] < 0.05
    assert [s["measured"] for s in facts["layers"]] == ["PyTorch", "ONNX Runtime"]


def test_file_names_are_text(make_bundle, tmp_path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    name = "<img src=x onerror=alert(1)>&amp;\"'{{ 7*7 }}.jpg"
    shutil.copy(sample_photos()["coffee"], folder / name)
    html = report_of(make_bundle(precision="fp16").path, tmp_path / "out.html", images=folder)
    page = Page(html)
    assert name in page.text and "<img src=x" not in html
    assert all("onerror" not in attributes for _, attributes in page.tags)
    assert any(name in str(a["alt"]) for a in page.of("img"))
    assert "All" not in page.text.split("Gates")[0]  # one image is spoken of as one


def test_overflow_is_shown_where_it_begins(tmp_path) -> None:
    change, (broken,) = BREAKS["proj"][0], BREAKS["proj"][1]
    weights, bundle = str(weights_file(tmp_path, change)), str(tmp_path / "bundle")
    main(["build", "--model", "spit_tiny", "--fp16", "--image-size", "112", "--weights", weights,
          "--out", bundle])  # fmt: skip
    assert main(["validate", bundle, "--report", str(tmp_path / "out.html")]) == 1
    facts = json.loads((tmp_path / "out.json").read_text())
    assert [series["overflow"] for series in facts["layers"]] == [broken, broken]
    text = " ".join(Page((tmp_path / "out.html").read_text()).text.split())
    assert f"First not finite: {broken}" in text and "none allowed" in text
    assert "The reference itself is not finite in fp16" in text


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_other_precisions(make_bundle, tmp_path, precision) -> None:
    backend = "torch" if precision == "bf16" else "onnxruntime"
    bundle = make_bundle(precision=precision).path
    html = report_of(bundle, tmp_path / "out.html", backend=backend)
    facts = json.loads((tmp_path / "out.json").read_text())
    measured = {"fp32": ["ONNX Runtime"], "bf16": ["PyTorch"]}[precision]
    assert [series["measured"] for series in facts["layers"]] == measured
    assert "not among the bundle's outputs" in Page(html).text


@pytest.mark.parametrize("place", ["missing/out.html", "out.json", "out"])
def test_places_that_cannot_be_are_refused_at_once(make_bundle, tmp_path, place, capsys) -> None:
    bundle = str(make_bundle(precision="fp16").path)
    assert main(["validate", bundle, "--report", str(tmp_path / place)]) == 2
    assert Path(place).parts[0] in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_a_report_does_not_change_the_bundle(make_bundle, tmp_path, capsys) -> None:
    bundle = Path(shutil.copytree(make_bundle().path, tmp_path / "bundle"))
    before = (bundle / "parity.json").read_bytes()
    for place in ("parity.html", "check/out.html"):
        assert main(["validate", str(bundle), "--report", str(bundle / place)]) == 2
        assert "would change the bundle" in capsys.readouterr().err
    assert (bundle / "parity.json").read_bytes() == before


def test_a_report_is_whole_or_not_there(make_bundle, tmp_path, monkeypatch) -> None:
    (tmp_path / "out.html").write_text("old")

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spit_edge.export.report.writing.data_uri", fail)
    with pytest.raises(KeyboardInterrupt):
        report_of(make_bundle(precision="fp16").path, tmp_path / "out.html")
    assert [path.name for path in tmp_path.iterdir()] == ["out.html"]
    assert (tmp_path / "out.html").read_text() == "old"


def test_images_are_taken_one_at_a_time(make_bundle, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(4):
        shutil.copy(sample_photos()["coffee"], folder / f"{index}.jpg")
    events: list[str] = []
    load = folder_of_images.load_image
    examine = spit_edge.export.report.gather.Examiner.examine
    monkeypatch.setattr(
        folder_of_images, "load_image", lambda *args: (events.append("load"), load(*args))[1]
    )
    monkeypatch.setattr(
        spit_edge.export.report.gather.Examiner,
        "examine",
        lambda *args: (events.append("examine"), examine(*args))[1],
    )
    report_of(make_bundle(precision="fp16").path, tmp_path / "out.html", images=folder)
    assert events == ["load", "examine"] * 4


# Pictures and numbers


def test_difference_map() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    labels = np.zeros((20, 30), np.int32)
    assert pictures.difference_map(image, labels, labels.copy()) is None
    other = labels.copy()
    other[0, 29] = 1
    picture = np.asarray(Image.open(io.BytesIO(pictures.difference_map(image, other, labels))))
    red = (picture == (225, 29, 72)).all(axis=2)
    assert red.sum() == 4 and red[:2, 28:].all()


def test_labels_have_colours_of_their_own() -> None:
    labels = np.arange(300, dtype=np.int32).reshape(15, 20)
    picture = np.asarray(Image.open(io.BytesIO(pictures.label_map(labels)))).reshape(-1, 3)
    assert len(np.unique(picture, axis=0)) >= 295
    steps = np.abs(np.diff(picture.astype(int), axis=0)).sum(axis=1)
    assert steps.min() > 60


def test_heat_grows_brighter() -> None:
    labels = np.arange(11, dtype=np.int32)[None]
    values = np.linspace(0, 1, 11).astype(np.float32)
    picture = np.asarray(Image.open(io.BytesIO(pictures.heat_map(values, labels))))[0]
    assert (np.diff(picture.astype(int) @ (2126, 7152, 722)) > 0).all()
    cut = np.asarray(Image.open(io.BytesIO(pictures.heat_map(values[:5], labels))))[0]
    assert (cut[5:] == picture[0]).all() and (cut[:5] == picture[:5]).all()


def test_differences_count_bits() -> None:
    zeros = np.zeros(4, np.float32)
    assert difference(zeros, zeros).differing == 0
    assert difference(-zeros, zeros).differing == 4 and difference(-zeros, zeros).largest == 0.0
    found = difference(np.array([3, 0, 0, 4], np.float32), zeros)
    assert (found.differing, found.of, found.largest, found.rms) == (2, 4, 4.0, 2.5)
    assert difference(zeros[:2], zeros).largest is None
