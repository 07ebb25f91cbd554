"""Exports of the models with random regions: fixed seeds, seeds as an input, PCA trees."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from spit_edge.base.progress import Steps
from spit_edge.export.build import build
from spit_edge.export.options import BuildOptions
from spit_edge.runtime.session import Session
from spit_edge.spit_ref import pca_tree_tessellation, voronoi_tessellation


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    def bundle(**options):
        out = tmp_path_factory.mktemp("rvit") / "bundle"
        # Plain and of this seed as in test_models.py, so that all share one trace.
        usual = {"gradient": False, "weights": "random", "seed": 3, "height": 64, "width": 80}
        return build(BuildOptions("rvit_s16", **usual, out=out, **options), Steps(quiet=True))

    return bundle


def ops_of(built) -> list[str]:
    model = onnx.load(str(built.path / "model.onnx"), load_external_data=False)
    return [node.op_type for node in model.graph.node]


def test_fixed_seed(make) -> None:
    built = make()
    assert built.passed and "VoronoiTessellation" in ops_of(built)
    images = np.zeros((2, 64, 80, 3), np.uint8)
    with Session.open(built.path) as session:
        output = session.run(images)
        with pytest.raises(ValueError, match="--seed-input"):
            session.run(images, seeds=[1, 2])
    wanted, counts = voronoi_tessellation(3, 64, 80)
    assert all(np.array_equal(labels, wanted[0]) for labels in output.labels)
    assert output.num_tokens.tolist() == [int(counts)] * 2


def test_seeds_as_input_give_fresh_cells(make) -> None:
    built = make(seed_input=True)
    assert built.passed
    images = np.zeros((3, 64, 80, 3), np.uint8)
    seeds = [7, -1, 2**62]
    for backend in ("onnxruntime", "onnxruntime-graph", "torch"):
        with Session.open(built.path, backend) as session:
            assert np.array_equal(session.run(images, seeds=seeds).labels, voronoi_tessellation(
                seeds, 64, 80)[0])  # fmt: skip
            own = session.run(images[:1]).labels
            with pytest.raises(ValueError, match="3 images need 3 seeds, not 2"):
                session.run(images, seeds=seeds[:2])
        assert np.array_equal(own, voronoi_tessellation(3, 64, 80)[0])


def test_pca_tree_cells_are_constants(make) -> None:
    built = make(tessellation="pca_tree")
    assert built.passed and "VoronoiTessellation" not in ops_of(built)
    with Session.open(built.path) as session:
        output = session.run(np.zeros((1, 64, 80, 3), np.uint8))
    assert np.array_equal(output.labels, pca_tree_tessellation(3, 64, 80)[0])


def test_seed_input_is_for_voronoi_cells(tmp_path) -> None:
    for options in (
        BuildOptions("spit_tiny", weights="random", seed_input=True, out=tmp_path / "x"),
        BuildOptions(
            "rvit_s16",
            weights="random",
            tessellation="pca_tree",
            seed_input=True,
            out=tmp_path / "x",
        ),
    ):
        with pytest.raises(ValueError, match="Voronoi"):
            build(options, Steps(quiet=True))
    assert not list(tmp_path.iterdir())
