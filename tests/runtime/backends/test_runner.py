"""The TensorRT runners on a simulated GPU: order, lifetime and results (see ``fake_cuda``)."""

from __future__ import annotations

import itertools
import threading
import warnings
from collections.abc import Iterator

import numpy as np
import pytest

from spit_edge.runtime import (
    BackendUnavailable,
    ExecutionError,
    ImageError,
    Session,
    TokenBudgetExceeded,
)
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.cuda import api as cuda_module
from spit_edge.runtime.cuda.memory import GpuArray, PinnedArray, download, upload
from spit_edge.runtime.parity.self_check import self_check
from tests.simulators.fake_cuda import IllegalCuda, Status
from tests.simulators.gpu_rig import BACKENDS, Rig, batches, bits, each_backend, simulated_gpu


@pytest.fixture(scope="module")
def built(make_bundle):
    return Bundle.open(make_bundle(height=40, width=56).path)


@pytest.fixture(scope="module")
def images(photographs):
    return np.ascontiguousarray(photographs(40, 56).transpose(0, 3, 1, 2))


@pytest.fixture
def rig(built) -> Iterator[Rig]:
    with simulated_gpu(built) as rig:
        yield rig


@each_backend
def test_bundle_checks_itself(rig, name) -> None:
    with rig.session(name) as session:
        assert all(row.passed for row in self_check(session))


@each_backend
def test_results_are_those_of_onnxruntime(rig, images, name) -> None:
    with Session.open(rig.bundle, "onnxruntime", threads=1) as reference, rig.session(name) as s:
        for batch in batches(images, 6):
            wanted, got = reference.run(batch, tokens=True), s.run(batch, tokens=True)
            assert bits(got)[1:] == bits(wanted)[1:]
            np.testing.assert_allclose(got.logits, wanted.logits, atol=1e-5)


@each_backend
@pytest.mark.parametrize("seed", range(8))
def test_any_order_of_execution_gives_the_same_bits(built, images, name, seed) -> None:
    given = batches(images, 24)
    with simulated_gpu(built, seed) as rig, rig.session(name) as session:
        wanted = [bits(session.run(batch, tokens=True)) for batch in given]
        reused = np.empty((3, *images.shape[1:]), np.uint8)
        tickets = []
        for batch in given:  # the caller's array is overwritten while batches are in flight
            reused[: len(batch)] = batch
            tickets.append(session.submit(reused[: len(batch)], tokens=True))
        # Asked for in another order, the first again.
        order = rig.cuda.random.sample(range(24), 24)
        got = {index: bits(tickets[index].result()) for index in order}
        assert got[order[0]] == bits(tickets[order[0]].result())
    assert [got[index] for index in range(24)] == wanted


@each_backend
def test_two_batches_are_in_flight_and_no_more(rig, images, name) -> None:
    rig.cuda.haste = 0.0  # the GPU works only while somebody waits
    computed = 0

    def count() -> None:
        nonlocal computed
        computed += 1

    with rig.session(name, graphs=False) as session:
        rig.engine.before = count
        tickets = []
        for index, done in enumerate([0, 0, 1, 2]):
            tickets.append(session.submit(images[:1]))
            assert computed == done, index
        tickets[3].result()
        assert computed == 4


@each_backend
def test_graphs_are_captured_once_per_shape_and_change_nothing(rig, images, name) -> None:
    given = [images[:n] for n in (1, 1, 2, 2)] * 3
    with rig.session(name, graphs=False) as session:
        wanted = [bits(session.run(batch)) for batch in given]
        assert "cudaStreamBeginCapture" not in rig.cuda.calls
    with rig.session(name, graphs=True) as session:
        assert [bits(session.run(batch)) for batch in given] == wanted
        # The split form has a set of addresses per slot.
        captures = {"tensorrt": 2, "tensorrt-split": 4}[name]
        assert rig.cuda.calls.count("cudaStreamBeginCapture") == captures
        assert rig.cuda.calls.count("cudaGraphLaunch") == len(given) - captures
        assert rig.cuda.live()["graphs"] == captures


@pytest.mark.parametrize("call", ["cudaStreamEndCapture", "cudaGraphInstantiate"])
@each_backend
def test_without_a_capture_it_goes_on_and_says_so_once(rig, images, name, call) -> None:
    with rig.session(name) as session:
        wanted = [bits(session.run(images[:n])) for n in (1, 2, 3)]
    rig.cuda.fail(call, Status.cudaErrorStreamCaptureUnsupported)
    with rig.session(name) as session, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(6):
            assert [bits(session.run(images[:n])) for n in (1, 2, 3)] == wanted
    assert [str(w.message) for w in caught if w.category is RuntimeWarning] == [
        f"running without CUDA graphs: {call}: cudaErrorStreamCaptureUnsupported (simulated 900)"
    ]
    assert "cudaGraphLaunch" not in rig.cuda.calls[-200:]


def test_graphs_can_be_switched_off(rig, images, monkeypatch) -> None:
    monkeypatch.setenv("SPIT_CUDA_GRAPHS", "0")
    with rig.session("tensorrt") as session:
        for _ in range(4):
            session.run(images)
    assert "cudaStreamBeginCapture" not in rig.cuda.calls


@each_backend
def test_sessions_in_threads(rig, images, name) -> None:
    given = batches(images, 12)
    failures: list[str] = []

    def work(session: Session, wanted: list[list[bytes]]) -> None:
        try:
            for _ in range(3):
                tickets = [session.submit(batch, tokens=True) for batch in given]
                if [bits(ticket.result()) for ticket in tickets] != wanted:
                    failures.append("results differ")
        except BaseException as error:
            failures.append(repr(error))

    with rig.session(name) as one, rig.session(name) as other:
        wanted = [bits(one.run(batch, tokens=True)) for batch in given]
        threads = [threading.Thread(target=work, args=(s, wanted)) for s in (one, other, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures


@each_backend
def test_thousand_frames_leave_nothing_behind(rig, images, name) -> None:
    with rig.session(name) as session:
        for batch in batches(images, 24):
            session.submit(batch)
        session.run(images[:1])
        before, freed = rig.cuda.live(), len(rig.cuda.freed)
        for index in range(1000):
            ticket = session.submit(images[index % 3][None])
        assert ticket.result().num_tokens[0] > 0
        assert rig.cuda.live() == before and len(rig.cuda.freed) == freed


@each_backend
def test_closing_finishes_what_is_in_flight(rig, images, name) -> None:
    with rig.session(name) as session:
        wanted = bits(session.run(images[:2]))
        tickets = [session.submit(images[:2]) for _ in range(2)]
    assert [bits(ticket.result()) for ticket in tickets] == [wanted] * 2
    session.close()
    backend = BACKENDS[name](rig.bundle, engine=rig.open(name))
    for _ in range(2):
        backend.close()
    for use in (backend.submit, backend.adopt):
        with pytest.raises(BackendUnavailable, match="closed"):
            use(images)
    with pytest.raises(BackendUnavailable, match="closed"):
        session.submit(images)
    with pytest.raises(BackendUnavailable, match="closed"):
        session.run(images)


@each_backend
def test_errors_on_the_gpu_come_with_the_result(rig, images, name) -> None:
    with rig.session(name) as session:
        session.run(images[:1])

        def break_down() -> None:
            rig.cuda.broken = Status.cudaErrorIllegalAddress

        rig.engine.before = break_down
        tickets = [session.submit(images[:1])]
        for ticket in tickets * 2:
            with pytest.raises(ExecutionError, match="cudaErrorIllegalAddress"):
                ticket.result()
        with pytest.raises(ExecutionError, match="cudaErrorIllegalAddress"):
            session.run(images[:1])
        rig.engine.before = lambda: None
        rig.cuda.broken = None


@each_backend
def test_a_batch_that_does_not_start_harms_no_other(rig, images, name) -> None:
    with rig.session(name, graphs=False) as session:
        wanted = bits(session.run(images[:1]))
        first = session.submit(images[:1])
        rig.cuda.fail("cudaMemcpyAsync", Status.cudaErrorUnknown)
        second = session.submit(images[1:2])
        third = session.submit(images[:1])
        with pytest.raises(ExecutionError, match="cudaErrorUnknown"):
            second.result()
        assert bits(first.result()) == bits(third.result()) == wanted


def test_errors_of_the_tokenizer_are_named(rig, images) -> None:
    with rig.session("tensorrt-split") as session:
        rig.library.status = 700
        ticket = session.submit(images)
        with pytest.raises(ExecutionError, match=r"SuperpixelMerge: simulated 700"):
            ticket.result()


@pytest.mark.parametrize(
    "call",
    ["cudaMalloc", "cudaHostAlloc", "cudaStreamCreateWithFlags", "cudaEventCreateWithFlags"],
)
@each_backend
def test_what_fails_to_open_leaves_nothing_behind(rig, name, call) -> None:
    for successes in itertools.count():
        failures = [Status.cudaSuccess] * successes + [Status.cudaErrorMemoryAllocation]
        rig.cuda.failures[call] = failures
        try:
            with rig.session(name):
                break  # no such call is left to fail
        except ExecutionError as error:
            assert str(error) == f"{call}: cudaErrorMemoryAllocation (simulated 2)"
            assert not any(rig.cuda.live().values())
    assert successes > 0


@each_backend
def test_an_engine_for_another_bundle_is_refused(rig, make_bundle, name) -> None:
    other = make_bundle(height=48, width=56)
    plain = make_bundle(height=40, width=56, gradient=False)
    wrong = other if name == "tensorrt" else plain  # one trunk serves all sizes
    with pytest.raises(BackendUnavailable, match="does not fit the bundle"):
        BACKENDS[name](Bundle.open(wrong.path), engine=rig.open(name))


@each_backend
def test_argument_errors_come_at_once(rig, images, name) -> None:
    with rig.session(name) as session:
        largest = rig.bundle.manifest.batch.max
        with pytest.raises(ImageError, match=f"up to {largest} images"):
            session.submit(np.repeat(images[:1], largest + 1, axis=0))
        with pytest.raises(ImageError):
            session.submit(images[..., :-1])
        many = np.concatenate([images] * 4)[: largest + 2]
        assert session.run(many).logits.shape[0] == largest + 2


@each_backend
def test_token_budget(make_bundle, images, name) -> None:
    bundle = Bundle.open(make_bundle(height=40, width=56, max_tokens=5).path)
    with simulated_gpu(bundle) as rig, rig.session(name) as session:
        with pytest.raises(TokenBudgetExceeded):
            session.run(images)
        ticket = session.submit(images)
        with pytest.raises(TokenBudgetExceeded):
            ticket.result()
        assert session.submit(images, truncate=True).result().num_tokens.max() > 5


def test_the_simulation_notices_mistakes(rig) -> None:
    api = rig.cuda
    api.haste = 0.0
    to_device = api.cudaMemcpyKind.cudaMemcpyHostToDevice
    pageable = np.zeros(4, np.int32)
    with cuda_module.Stream() as stream, PinnedArray((4,), np.int32) as pinned:
        array = GpuArray((4,), np.int32)
        download(array, pinned, 4, stream)
        stream.synchronize()
        assert pinned.view.tobytes() == b"\xa5" * 16
        upload(np.arange(4, dtype=np.int32), pinned, array, stream)
        pinned.view[:] = 9  # too early: the copy has not run
        download(array, pinned, 4, stream)
        stream.synchronize()
        assert pinned.view.tolist() == [9] * 4
        with pytest.raises(IllegalCuda, match="no pinned memory"):
            api.cudaMemcpyAsync(array.address, pageable.ctypes.data, 16, to_device, stream.handle)
        for forbidden in (stream.synchronize, lambda: GpuArray((1,), np.int8)):
            with pytest.raises(IllegalCuda, match="during a capture"):
                cuda_module.Graph(stream, forbidden)
        with pytest.raises(AssertionError), simulated_gpu(rig.bundle) as other:
            other.cuda.cudaMalloc(1)
        download(array, pinned, 4, stream)
        array.close()
        with pytest.raises(IllegalCuda, match="after they were freed"):
            stream.synchronize()
        with pytest.raises(ExecutionError, match="closed"):
            _ = array.address
