"""Images that lie on the (simulated) GPU are used where they are, and not before they are there."""

from __future__ import annotations

import ctypes
import gc
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from spit_edge.runtime import ExecutionError, ImageError, Session
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.cuda.images import GpuImages, _DLTensor
from tests.simulators.fake_cuda import FakeCuda, IllegalCuda, Status, Work
from tests.simulators.gpu_rig import Rig, bits, each_backend, simulated_gpu


@pytest.fixture(scope="module")
def built(make_bundle):
    return Bundle.open(make_bundle(height=40, width=56).path)


@pytest.fixture(scope="module")
def images(photographs):
    return np.ascontiguousarray(photographs(40, 56).transpose(0, 3, 1, 2))


@pytest.fixture
def rig(built) -> Iterator[Rig]:
    with simulated_gpu(built) as rig:
        rig.cuda.haste = 0.0  # nothing happens before somebody waits for it
        yield rig


class Produced:
    """An array that a producer's stream is about to write; the memory goes with this object."""

    def __init__(self, cuda: FakeCuda, values: np.ndarray, kind: str = "device") -> None:
        self.cuda, self.values = cuda, values
        allocate = cuda.cudaMalloc if kind == "device" else lambda n: cuda.cudaHostAlloc(n, 0)
        _, self.address = allocate(values.nbytes)
        free = cuda.cudaFree if kind == "device" else cuda.cudaFreeHost
        weakref.finalize(self, free, self.address)
        _, self.stream = cuda.cudaStreamCreateWithFlags(1)
        weakref.finalize(self, cuda.cudaStreamDestroy, self.stream)
        raw, address = values.view(np.uint8).reshape(-1), self.address

        def write() -> None:
            cuda.memory(address, raw.size, kind)[:] = raw

        cuda.enqueue(self.stream.number, Work(write))


class Interface(Produced):
    """Speaks ``__cuda_array_interface__``."""

    changes: dict[str, object] = {}  # noqa: RUF012  # replaced by tests, never changed

    @property
    def __cuda_array_interface__(self) -> dict[str, object]:
        return {
            "shape": self.values.shape,
            "typestr": self.values.dtype.str,
            "data": (self.address, False),
            "strides": None,
            "stream": self.stream.number,
            "version": 3,
            **self.changes,
        }


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", _DLTensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))


_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_KEPT: dict[int, object] = {}


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def _destroy(capsule: int) -> None:
    _KEPT.pop(capsule)


class DLPack(Produced):
    """Speaks DLPack; the memory lives as long as the capsule."""

    CODES = {"u": 1, "i": 0, "f": 2}  # noqa: RUF012

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    def __dlpack__(self, stream: int) -> object:
        _, event = self.cuda.cudaEventCreateWithFlags(0)
        self.cuda.cudaEventRecord(event, self.stream)
        self.cuda.cudaStreamWaitEvent(self.cuda.streams[stream], event, 0)
        self.cuda.cudaEventDestroy(event)
        managed = _Managed()
        tensor, values = managed.tensor, self.values
        shape = (ctypes.c_int64 * values.ndim)(*values.shape)
        steps = (ctypes.c_int64 * values.ndim)(*(s // values.itemsize for s in values.strides))
        tensor.data, tensor.device_type, tensor.ndim = self.address, 2, values.ndim
        tensor.code, tensor.bits = self.CODES[values.dtype.kind], 8 * values.itemsize
        tensor.lanes, tensor.shape, tensor.strides = 1, shape, steps
        destroy = ctypes.cast(_destroy, ctypes.c_void_p)
        capsule = _new_capsule(ctypes.addressof(managed), b"dltensor", destroy)
        _KEPT[id(capsule)] = (managed, shape, steps, self)
        return capsule


each_protocol = pytest.mark.parametrize("protocol", [Interface, DLPack])


@each_protocol
@each_backend
def test_images_on_the_gpu_give_the_same_bits(rig, images, name, protocol) -> None:
    with rig.session(name) as session:
        wanted = [bits(session.run(images[:n], tokens=True)) for n in (1, 2, 3)]
        uploads = rig.cuda.calls.count("cudaMemcpyAsync")
        session.run(255 - images, tokens=True)  # what was uploaded last must not be used
        uploads = rig.cuda.calls.count("cudaMemcpyAsync") - uploads
        contexts = rig.engine.contexts
        for _ in range(2):
            tickets = [
                # Nobody but the session holds the memory from here on.
                session.submit(protocol(rig.cuda, images[:n]), tokens=True)
                for n in (1, 2, 3)
            ]
            assert [bits(ticket.result()) for ticket in tickets] == wanted
            tickets.clear()
        # Addresses that do not come again leave no contexts behind.
        assert rig.engine.contexts == contexts or name == "tensorrt-split"
        before = rig.cuda.calls.count("cudaMemcpyAsync")
        assert bits(session.run(protocol(rig.cuda, images), tokens=True)) == wanted[2]
        assert rig.cuda.calls.count("cudaMemcpyAsync") - before == uploads - 1


@each_protocol
def test_one_image_and_many(rig, images, protocol) -> None:
    many = np.concatenate([images] * 4)
    with rig.session("tensorrt") as session:
        assert len(many) > rig.bundle.manifest.batch.max
        wanted = session.run(many)
        assert bits(session.run(protocol(rig.cuda, many))) == bits(wanted)
        one = session.run(protocol(rig.cuda, images[0]))
        assert one.labels.tobytes() == wanted.labels[:1].tobytes()


@each_backend
def test_images_in_the_middle_of_memory(rig, images, name) -> None:
    class Rest(Interface):
        """All but the first image, which ends at no multiple of 256 bytes."""

        @property
        def __cuda_array_interface__(self) -> dict[str, object]:
            whole = super().__cuda_array_interface__
            assert images[0].nbytes % 256
            place = (self.address + images[0].nbytes, False)
            return {**whole, "shape": (2, 3, 40, 56), "data": place}

    with rig.session(name) as session:
        wanted = bits(session.run(images[1:]))
        session.run(255 - images)
        for _ in range(3):
            assert bits(session.run(Rest(rig.cuda, images))) == wanted


@pytest.mark.parametrize("changes", [{"version": 2, "stream": None}, {"stream": 1}])
def test_silent_producers_are_taken_to_use_the_default_stream(rig, images, changes) -> None:
    class OnDefaultStream(Interface):
        def __init__(self, cuda: FakeCuda, values: np.ndarray) -> None:
            super().__init__(cuda, values)
            # What was given to its own stream goes to the default one.
            cuda.streams[1].queue.extend(self.stream.queue)
            self.stream.queue.clear()

    OnDefaultStream.changes = changes
    with rig.session("tensorrt") as session:
        wanted = bits(session.run(images))
        for _ in range(10):
            assert bits(session.run(OnDefaultStream(rig.cuda, images))) == wanted


@each_backend
def test_a_failed_start_does_not_leave_work_on_freed_memory(rig, images, name) -> None:
    with rig.session(name, graphs=False) as session:
        wanted = bits(session.run(images))
        rig.cuda.fail("cudaMemcpyAsync", Status.cudaErrorUnknown)
        with pytest.raises(ExecutionError, match="cudaErrorUnknown"):
            session.run(Interface(rig.cuda, images))
        gc.collect()  # the memory is gone with the error
        assert bits(session.run(images)) == wanted


def test_a_producer_that_writes_too_early_is_noticed(rig, images) -> None:
    """The simulation itself: images must stay as they are until the result is there."""
    with rig.session("tensorrt", graphs=False) as session:
        produced = Interface(rig.cuda, images)
        ticket = session.submit(produced)
        rig.cuda._run_until(lambda: "begin" in _next(rig.cuda))
        rig.cuda._step()
        rig.cuda.memory(produced.address, 1, "device")[:] ^= 1
        with pytest.raises(IllegalCuda, match="images changed while"):
            ticket.result()


def _next(cuda: FakeCuda) -> str:
    """Names of the items that come next on the streams."""
    return " ".join(s.queue[0].run.__name__ for s in cuda.streams.values() if s.queue)


@each_protocol
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.astype(np.float32), "must be uint8, not"),
        (lambda a: a.astype(np.int8), "must be uint8, not"),
        (lambda a: np.ascontiguousarray(a[..., :-1]), r"\[B, 3, 40, 56\]"),
        (lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)), r"\[B, 3, 40, 56\]"),
        (lambda a: a[:0], r"\[B, 3, 40, 56\]"),
        (lambda a: a[0, 0], r"\[B, 3, 40, 56\]"),
    ],
)
def test_unfit_images_are_refused(rig, images, protocol, change, message) -> None:
    with rig.session("tensorrt") as session:
        values = change(images)
        produced = protocol(rig.cuda, values if values.size else np.zeros(1, np.uint8))
        produced.values = values
        with pytest.raises(ImageError, match=message):
            session.run(produced)
        rig.cuda.cudaStreamSynchronize(produced.stream)


@each_protocol
def test_strided_images_are_refused(rig, images, protocol) -> None:
    strided = np.repeat(images, 2, axis=3)[..., ::2]
    Interface.changes = {"strides": strided.strides}
    try:
        with rig.session("tensorrt") as session:
            produced = protocol(rig.cuda, images.copy())
            produced.values = strided
            with pytest.raises(ImageError, match="contiguous"):
                session.run(produced)
            rig.cuda.cudaStreamSynchronize(produced.stream)
    finally:
        Interface.changes = {}


def test_memory_that_is_not_on_the_gpu_is_refused(rig, images) -> None:
    with rig.session("tensorrt") as session:
        produced = Interface(rig.cuda, images, kind="pinned")
        with pytest.raises(ImageError, match="claim to be on a GPU, but"):
            session.run(produced)
        rig.cuda.cudaStreamSynchronize(produced.stream)


def test_backends_on_the_cpu_take_none(rig, images) -> None:
    with (
        Session.open(rig.bundle, "onnxruntime", threads=1) as session,
        pytest.raises(ImageError, match="onnxruntime takes no images that are on a GPU"),
    ):
        session.run(DLPackDevice())


class DLPackDevice:
    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0


def test_arrays_on_the_cpu_are_no_images_on_the_gpu(rig, images) -> None:
    import torch

    assert hasattr(images, "__dlpack__")
    with rig.session("tensorrt") as session:
        wanted = session.run(images).logits
        assert wanted.shape[0] == 3
        np.testing.assert_array_equal(session.run(torch.from_numpy(images)).logits, wanted)


def test_parts_of_a_batch() -> None:
    whole = GpuImages(1000, (5, 3, 4, 7), None)
    assert whole[2:4] == GpuImages(1000 + 2 * 84, (2, 3, 4, 7), None)
    assert len(whole[4:9]) == 1
