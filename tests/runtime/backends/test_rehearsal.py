"""The tests for GPUs, rehearsed on the simulated one: that they themselves are right."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from spit_edge.runtime import session as sessions
from spit_edge.runtime.backends import registry as backends
from spit_edge.runtime.backends.records import RECORDS
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.cuda.kernels import TokenizerLibrary
from tests.gpu import test_sessions
from tests.gpu.test_kernels import test_cells, test_float_pixels, test_superpixels, test_tokens
from tests.gpu.test_sessions import (
    BACKENDS,
    test_batches_in_flight_keep_their_results,
    test_batches_of_any_size,
    test_closed_sessions_give_their_memory_back,
    test_graphs_change_nothing,
    test_images_on_the_gpu,
    test_split_form_equals_the_whole,
    test_thousand_frames_take_no_more_memory,
    test_two_sessions_in_two_threads,
)
from tests.gpu.test_sessions import test_engine_passes_the_gates_of_the_reference as gates
from tests.simulators.fake_tensorrt import FakeLibrary
from tests.simulators.gpu_rig import Rig, simulated_gpu

__all__ = [
    "test_batches_in_flight_keep_their_results",
    "test_batches_of_any_size",
    "test_cells",
    "test_closed_sessions_give_their_memory_back",
    "test_float_pixels",
    "test_graphs_change_nothing",
    "test_images_on_the_gpu",
    "test_split_form_equals_the_whole",
    "test_superpixels",
    "test_thousand_frames_take_no_more_memory",
    "test_tokens",
    "test_two_sessions_in_two_threads",
]


@pytest.fixture(scope="module")
def images(photographs) -> np.ndarray:
    return np.ascontiguousarray(photographs(40, 56).transpose(0, 3, 1, 2))


@pytest.fixture
def rig(make_bundle, monkeypatch) -> Iterator[Rig]:
    bundle = Bundle.open(make_bundle(height=40, width=56).path)
    with simulated_gpu(bundle, 1) as rig:

        def open_engine(bundle: Bundle, part: str):
            (name,) = [r.name for r in RECORDS.values() if r.artefact and r.part == part]
            return Rig(rig.cuda, bundle).open(name)

        for backend in BACKENDS.values():
            monkeypatch.setattr(f"{backend.__module__}.open_engine", open_engine)
        monkeypatch.setattr(sessions, "open_backend", open_backend)
        monkeypatch.setattr(test_sessions, "FRAMES", 30)
        monkeypatch.setattr(test_sessions, "ROUNDS", 1)
        yield rig


def open_backend(name: str, bundle: Bundle, threads: int | None):
    if name in BACKENDS:
        return name, BACKENDS[name](bundle, threads)
    return backends.open_backend(name, bundle, threads)


@pytest.fixture
def engine_bundle(rig, make_bundle):
    def make(backend: str, **wanted) -> Bundle:
        return Bundle.open(make_bundle(height=40, width=56, **wanted).path)

    return make


@pytest.fixture
def library(rig) -> TokenizerLibrary:
    return TokenizerLibrary(FakeLibrary(rig.cuda))


@pytest.mark.parametrize("outputs", [(), ("tokens",)])
@pytest.mark.parametrize("name", BACKENDS)
def test_gates(engine_bundle, name, outputs) -> None:
    gates(engine_bundle, name, "fp32", outputs)
