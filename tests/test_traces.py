"""The traces that tests share are those that the exporter makes."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from spit_edge.export.graph.model import save_graph, trunk_graph
from spit_edge.export.options import BuildOptions
from spit_edge.runtime.bundle.manifest import PrecisionPlan
from spit_edge.spit_ref import load_model
from tests.conftest import GOLDENS


def saved(graph: ir.Model, folder: Path) -> list[bytes]:
    folder.mkdir()
    save_graph(graph, folder / "trunk.onnx", {}, "weights")
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def test_shared_traces_are_fresh_ones_to_the_byte(traces, tmp_path) -> None:
    model = load_model("spit_tiny", weights=GOLDENS / "tiny_gradient.pth")
    options = BuildOptions("spit_tiny", precision="fp16", outputs=("tokens", "attention"))
    fresh = saved(trunk_graph(model, options), tmp_path / "fresh")
    assert len(fresh) == 2
    assert saved(traces(model, options), tmp_path / "first") == fresh
    small = BuildOptions("spit_tiny", precision="fp16", height=48, width=64, outputs=("attention",))
    assert saved(traces(model, small), tmp_path / "again") == fresh


def test_what_a_trunk_depends_on_tells_traces_apart(traces) -> None:
    """A key for each; otherwise a bundle would get another's graph."""
    models = [load_model("spit_tiny", weights="random", gradient=g, seed=s)
              for g, s in ((True, 0), (True, 1), (False, 0))]  # fmt: skip
    plan = PrecisionPlan(model="spit_tiny", precision="fp16", fp32=["embedder"])
    options = [
        BuildOptions("spit_tiny"),
        BuildOptions("spit_tiny", precision="fp16"),
        BuildOptions("spit_tiny", precision="fp16", plan=plan),
        BuildOptions("spit_tiny", outputs=("attention",)),
        BuildOptions("spit_tiny", outputs=("attention", "embeddings")),
        BuildOptions("spit_tiny", outputs=("embeddings", "attention")),
    ]
    keys = {traces.key(model, option) for model in models for option in options}
    assert len(keys) == len(models) * len(options)
