"""Stages and figures on a GPU."""

from __future__ import annotations

import json
import time

from spit_edge.runtime import Session
from spit_edge.runtime.__main__ import main
from tests.gpu.test_sessions import each_backend
from tests.simulators.gpu_rig import bits


def test_stages_take_no_longer_than_the_batch(engine_bundle, images) -> None:
    with Session.open(engine_bundle("tensorrt-split"), "tensorrt-split") as session:
        wanted = bits(session.run(images))
        for _ in range(20):
            start = time.perf_counter()
            taken = session.stages(images)
            wall = (time.perf_counter() - start) * 1e3
            assert sorted(taken) == ["features", "labels", "trunk"]
            assert min(taken.values()) > 0 and sum(taken.values()) < wall
        assert bits(session.run(images)) == wanted


@each_backend
def test_figures(engine_bundle, tmp_path, name) -> None:
    file = tmp_path / "figures.json"
    bundle = str(engine_bundle(name).path)
    assert main(["bench", bundle, "--backend", name, "--runs", "30", "--json", str(file)]) == 0
    figures = json.loads(file.read_bytes())
    assert figures["gpu"] and figures["gpu_memory"] is not None
    assert (figures["stages"] is None) == (name == "tensorrt")
    single, double = (rate["images_per_second"] for rate in figures["throughput"])
    assert double > 0.7 * single
