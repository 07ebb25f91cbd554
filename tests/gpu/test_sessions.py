"""Sessions on a GPU: parity with the reference, graphs, batches, threads, memory."""

from __future__ import annotations

import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

from spit_edge.runtime import Session
from spit_edge.runtime.backends.gpu.tensorrt import TensorRTBackend
from spit_edge.runtime.backends.gpu.tensorrt_split import TensorRTSplitBackend
from spit_edge.runtime.cuda.api import call
from spit_edge.runtime.cuda.memory import GpuArray, PinnedArray, upload
from spit_edge.runtime.parity.self_check import self_check
from tests.simulators.gpu_rig import batches, bits

BACKENDS = {"tensorrt": TensorRTBackend, "tensorrt-split": TensorRTSplitBackend}
LOGITS = 1e-4
"""Largest difference of fp32 logits between two ways to compute the same."""
GPU_SLACK, HOST_SLACK = 2 << 20, 8 << 20
"""Bytes by which memory may differ between two looks: others use the machine, too."""

FRAMES, ROUNDS = 1000, 5

each_backend = pytest.mark.parametrize("name", BACKENDS)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("outputs", [(), ("tokens",)])
@each_backend
def test_engine_passes_the_gates_of_the_reference(engine_bundle, name, precision, outputs) -> None:
    """Labels and tokens to the bit, logits within the limits; with the output "tokens" the rows
    are those that entered the trunk."""
    bundle = engine_bundle(name, precision=precision, outputs=outputs)
    with Session.open(bundle, name) as session:
        rows = self_check(session)
    assert len(rows) == 3
    assert [row.failures for row in rows] == [()] * 3


@each_backend
def test_graphs_change_nothing(engine_bundle, images, name) -> None:
    bundle = engine_bundle(name)
    results = {}
    for graphs in (False, True):
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # a capture that failed
            backend = BACKENDS[name](bundle, graphs=graphs)
            with Session(bundle, name, backend) as session:
                results[graphs] = [bits(session.run(images, tokens=True)) for _ in range(8)]
                fixed = backend._network._fixed.values()
                assert any(context.graph is not None for context in fixed) == graphs
    assert results[True] == results[False]
    assert all(one == results[True][0] for one in results[True])


@each_backend
def test_batches_of_any_size(engine_bundle, images, name) -> None:
    bundle = engine_bundle(name)
    with Session.open(bundle, name) as session:
        alone = [session.run(image, tokens=True) for image in images]
        for size in (*range(1, bundle.manifest.batch.max + 1), 3, 1, bundle.manifest.batch.max + 3):
            order = [(7 * size + i) % 3 for i in range(size)]
            output = session.run(images[order], tokens=True)
            for place, index in enumerate(order):
                assert output.labels[place].tobytes() == alone[index].labels[0].tobytes()
                assert output.tokens[place].tobytes() == alone[index].tokens[0].tobytes()
                np.testing.assert_allclose(
                    output.logits[place], alone[index].logits[0], atol=LOGITS
                )


@each_backend
def test_batches_in_flight_keep_their_results(engine_bundle, images, name) -> None:
    given = batches(images, 60)
    with Session.open(engine_bundle(name), name) as session:
        wanted = [bits(session.run(batch, tokens=True)) for batch in given]
        reused = np.empty((3, *images.shape[1:]), np.uint8)
        tickets = []
        for batch in given:
            reused[: len(batch)] = batch
            tickets.append(session.submit(reused[: len(batch)], tokens=True))
        assert [bits(ticket.result()) for ticket in reversed(tickets)] == wanted[::-1]


@each_backend
def test_two_sessions_in_two_threads(engine_bundle, images, name) -> None:
    bundle, given = engine_bundle(name), batches(images, 40)
    failures: list[str] = []

    def work(session: Session, wanted: list[list[bytes]]) -> None:
        try:
            for _ in range(ROUNDS):
                tickets = [session.submit(batch, tokens=True) for batch in given]
                if [bits(ticket.result()) for ticket in tickets] != wanted:
                    failures.append("results differ")
        except BaseException as error:
            failures.append(repr(error))

    with Session.open(bundle, name) as one, Session.open(bundle, name) as other:
        wanted = [bits(one.run(batch, tokens=True)) for batch in given]
        threads = [threading.Thread(target=work, args=(s, wanted)) for s in (one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures


@each_backend
def test_thousand_frames_take_no_more_memory(engine_bundle, images, name) -> None:
    with Session.open(engine_bundle(name), name) as session:

        def frames(count: int) -> None:
            for index in range(count):
                ticket = session.submit(images[index % 3][None])
            ticket.result()

        frames(100)
        before = used_memory()
        frames(FRAMES)
        after = used_memory()
    assert after[0] - before[0] <= GPU_SLACK and after[1] - before[1] <= HOST_SLACK


def used_memory() -> tuple[int, int]:
    """Bytes in use on the GPU, and by this process on the host."""
    free, total = call("cudaMemGetInfo")
    status = Path("/proc/self/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return total - free, int(resident.split()[1]) << 10


@each_backend
def test_closed_sessions_give_their_memory_back(engine_bundle, images, name) -> None:
    bundle = engine_bundle(name)

    def use() -> None:
        with Session.open(bundle, name) as session:
            session.run(images, tokens=True)

    use()  # what CUDA and TensorRT keep for the process is taken here
    before = used_memory()[0]
    for _ in range(5):
        use()
    assert used_memory()[0] - before <= GPU_SLACK


@each_backend
def test_images_on_the_gpu(engine_bundle, images, name) -> None:
    class OnGpu:
        """``__cuda_array_interface__`` of an array, computed on the default stream."""

        def __init__(self, array: GpuArray) -> None:
            self.array = array
            self.__cuda_array_interface__ = {
                "shape": array.shape,
                "typestr": "|u1",
                "data": (array.address, True),
                "version": 3,
                "stream": 1,
            }

    with Session.open(engine_bundle(name), name) as session:
        wanted = bits(session.run(images, tokens=True))
        intake = session._executor._intake
        with GpuArray(images.shape, np.uint8) as array, PinnedArray.like(array) as pinned:
            upload(images, pinned, array, intake)
            for _ in range(3):
                assert bits(session.run(OnGpu(array), tokens=True)) == wanted


@each_backend
def test_torch_tensors_on_the_gpu(engine_bundle, images, name) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")
    with Session.open(engine_bundle(name), name) as session, torch.cuda.stream(torch.cuda.Stream()):
        wanted = bits(session.run(images, tokens=True))
        for _ in range(3):
            given = torch.from_numpy(images).to("cuda", non_blocking=True)
            flipped = 255 - (255 - given)  # still being computed when it is handed over
            assert bits(session.run(flipped, tokens=True)) == wanted


def test_split_form_equals_the_whole(engine_bundle, images) -> None:
    """With whatever trunks TensorRT built for them."""
    with (
        Session.open(engine_bundle("tensorrt"), "tensorrt") as whole,
        Session.open(engine_bundle("tensorrt-split"), "tensorrt-split") as split,
    ):
        one, other = whole.run(images, tokens=True), split.run(images, tokens=True)
    assert bits(one)[1:] == bits(other)[1:]
    np.testing.assert_allclose(one.logits, other.logits, atol=LOGITS)


@pytest.mark.parametrize("name", ["onnxruntime-cuda", "onnxruntime-tensorrt"])
def test_providers_of_onnxruntime(engine_bundle, name) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    provider = {"onnxruntime-cuda": "CUDA", "onnxruntime-tensorrt": "Tensorrt"}[name]
    if f"{provider}ExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip(f"this onnxruntime has no {provider}ExecutionProvider")
    with Session.open(engine_bundle("tensorrt"), name) as session:
        assert [row.failures for row in self_check(session)] == [()] * 3
