"""The stages of a run, timed on the CPU and on a simulated GPU."""

from __future__ import annotations

import time

import numpy as np
import pytest

from spit_edge.runtime import BackendUnavailable, ExecutionError, ImageError, Session
from spit_edge.runtime.backends.cpu.onnxruntime import OnnxRuntimeBackend
from spit_edge.runtime.backends.cpu.tokenizer import NativeTokenizer
from spit_edge.runtime.backends.cpu.trunk_backend import Stopwatch
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.cuda.api import Event, Stream
from tests.simulators.fake_cuda import Status
from tests.simulators.gpu_rig import bits, simulated_gpu

STAGES = ["features", "labels", "trunk"]


@pytest.fixture(scope="module")
def bundle(make_bundle) -> Bundle:
    return Bundle.open(make_bundle(height=40, width=56).path)


@pytest.fixture(scope="module")
def images(photographs) -> np.ndarray:
    return photographs(40, 56)


def test_stopwatch_adds_up() -> None:
    clock = Stopwatch()
    for stage in ("a", "b", "a"):
        time.sleep(0.01)
        clock.lap(stage)
    assert clock.milliseconds["a"] >= 20 and 10 <= clock.milliseconds["b"] < 1000


def test_stages_on_the_cpu(bundle, images, monkeypatch) -> None:
    def slow(name: str) -> None:
        real = getattr(NativeTokenizer, name)

        def call(*arguments):
            time.sleep(0.05)
            return real(*arguments)

        monkeypatch.setattr(NativeTokenizer, name, call)

    with Session.open(bundle, "onnxruntime") as session:
        quick = session.stages(images)
        assert sorted(quick) == STAGES and min(quick.values()) > 0
        slow("regions")
        slow("tokens")
        taken = session.stages(images)
        # Once for the batch, and once for each of three images.
        assert taken["labels"] > 50 and taken["features"] > 150 > taken["trunk"]


def test_cpus_compute_no_padding(bundle, images, monkeypatch) -> None:
    """The trunk gets as many rows as an image has superpixels, not the whole budget."""
    given = []

    def spy(backend, tokens, counts):
        given.append((tokens.shape[1], int(counts[0])))
        return real(backend, tokens, counts)

    real = OnnxRuntimeBackend.trunk
    monkeypatch.setattr(OnnxRuntimeBackend, "trunk", spy)
    with Session.open(bundle, "onnxruntime") as session:
        output = session.run(images, tokens=True)
    assert [rows for rows, _ in given] == [count for _, count in given]
    assert [count for _, count in given] == output.num_tokens.tolist()
    assert output.tokens.shape[1] > max(output.num_tokens)


def test_stages_that_cannot_be_told_apart(bundle, images) -> None:
    with Session.open(bundle, "onnxruntime-graph") as session:
        assert session.stages(images) is None
    with pytest.raises(BackendUnavailable, match="closed"):
        session.stages(images)
    with Session.open(bundle, "onnxruntime") as session, pytest.raises(ImageError, match="size"):
        session.stages(images[:, 1:])


@pytest.mark.parametrize("seed", range(6))
def test_stages_on_a_simulated_gpu(bundle, images, seed) -> None:
    """Also between other batches, whose results do not change by it."""
    with simulated_gpu(bundle, seed) as rig, rig.session("tensorrt-split") as session:
        wanted = bits(session.run(images))
        for _ in range(3):
            before = session.submit(images)
            events = rig.cuda.live()["events"]
            taken = session.stages(images)
            assert rig.cuda.live()["events"] == events  # those of the stages are released
            assert sorted(taken) == STAGES and min(taken.values()) > 0
            assert bits(before.result()) == wanted


def test_stages_of_a_broken_gpu_are_an_error(bundle, images) -> None:
    with simulated_gpu(bundle) as rig, rig.session("tensorrt-split") as session:
        rig.cuda.fail("cudaEventElapsedTime", Status.cudaErrorIllegalAddress)
        with pytest.raises(ExecutionError, match="cudaErrorIllegalAddress"):
            session.stages(images)


def test_only_timed_events_tell_time(bundle) -> None:
    with (
        simulated_gpu(bundle),
        Stream() as stream,
        Event(timed=True) as first,
        Event(timed=True) as second,
        Event() as plain,
    ):
        for event in (first, second, plain):
            event.record(stream)
        second.synchronize()
        assert second.milliseconds_since(first) > 0
        stream.synchronize()
        with pytest.raises(ExecutionError):
            plain.milliseconds_since(first)
