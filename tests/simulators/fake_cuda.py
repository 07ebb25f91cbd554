"""A simulated CUDA runtime: the functions of ``cuda.bindings.runtime`` that the runners call.

Streams defer: work given to them runs when somebody waits for it, or earlier by chance, one item at
a time, streams interleaved in a random order that respects events.  Device memory is host memory
that only work on a stream may touch; it is poisoned when allocated and when freed.  What CUDA
forbids, and what it leaves undefined, raises IllegalCuda.

What runs through it is proven in order and lifetime: whatever order of execution CUDA allows, each
result is the same, nothing is used before it is written or after it is freed, and nothing is left
behind.  It proves nothing about a GPU, its driver, or TensorRT.
"""

from __future__ import annotations

import ctypes
import random
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from cuda.bindings import runtime as real

POISON = 0xA5
ALIGNMENT = 256
MEMORY = 1 << 40
Status = real.cudaError_t


class IllegalCuda(AssertionError):
    """A call or a piece of work that CUDA forbids or leaves undefined."""


@dataclass(eq=False)
class Block:
    """Allocated memory: ``kind`` is "device", "pinned" or, once freed, "freed"."""

    kind: str
    memory: np.ndarray
    address: int


@dataclass(eq=False)
class Mark:
    """What one recording of an event stands for; ``moment`` is the step it was reached at."""

    done: bool = False
    moment: int = 0


@dataclass(eq=False)
class Work:
    """An item of a stream: runs once ``after`` is done, then ``marks``."""

    run: Callable[[], None] = lambda: None
    after: Mark | None = None
    marks: Mark | None = None


@dataclass(eq=False)
class FakeStream:
    number: int
    queue: deque[Work] = field(default_factory=deque)
    captured: list[Work] | None = None
    capturer: int = 0

    def __int__(self) -> int:
        return self.number


@dataclass(eq=False)
class FakeEvent:
    timed: bool
    mark: Mark | None = None


@dataclass(eq=False)
class FakeGraph:
    work: list[Work]


@dataclass
class Attributes:
    type: object
    device: int = 0


@dataclass
class Properties:
    """An Orin's, as far as they are asked for."""

    name: bytes = b"Orin\0"
    major: int = 8
    minor: int = 7
    integrated: int = 0


class FakeCuda:
    """Stands in for the module.  ``seed`` decides the order of everything that may be reordered."""

    cudaEventDefault = real.cudaEventDefault
    cudaEventDisableTiming = real.cudaEventDisableTiming
    cudaStreamNonBlocking = real.cudaStreamNonBlocking
    cudaHostAllocDefault = real.cudaHostAllocDefault
    cudaStreamCaptureMode = real.cudaStreamCaptureMode
    cudaMemcpyKind = real.cudaMemcpyKind
    cudaMemoryType = real.cudaMemoryType

    def __init__(self, seed: int = 0) -> None:
        self.lock = threading.RLock()
        self.random = random.Random(seed)
        self.haste = self.random.choice([0.0, 0.3, 0.9])
        """How likely the GPU gets a step further at a call."""
        self.blocks: dict[int, Block] = {}
        self.freed: list[Block] = []  # kept, so that no address comes back
        self.streams = {number: FakeStream(number) for number in (1, 2)}
        self.events: set[FakeEvent] = set()
        self.graphs: set[FakeGraph] = set()
        self.failures: dict[str, list[Status]] = {}
        self.broken: Status | None = None
        self.calls: list[str] = []
        self.steps = 0
        """Pieces of work done, which is the time that timed events tell."""
        self.driver, self.runtime = 12060, 12080
        self.gpus = [Properties()]

    def fail(self, name: str, status: Status) -> None:
        """Let the next call of the function ``name`` fail."""
        self.failures.setdefault(name, []).append(status)

    def live(self) -> dict[str, int]:
        """What has been made and not been released."""
        return {
            "blocks": len(self.blocks),
            "streams": len(self.streams) - 2,
            "events": len(self.events),
            "graphs": len(self.graphs),
        }

    def memory(self, address: int, size: int, kind: str) -> np.ndarray:
        """The bytes at an address, which must lie in live memory of that kind."""
        for block in self.blocks.values():
            if block.address <= address and address + size <= block.address + len(block.memory):
                if block.kind != kind:
                    raise IllegalCuda(f"{size} bytes at {address:#x} are {block.kind}, not {kind}")
                return block.memory[address - block.address :][:size]
        for block in self.freed:
            if block.address <= address < block.address + len(block.memory):
                raise IllegalCuda(f"{size} bytes at {address:#x} are used after they were freed")
        raise IllegalCuda(f"{size} bytes at {address:#x} are no {kind} memory")

    def enqueue(self, stream: int, *work: Work) -> None:
        """Add to a stream, or to the graph that is captured from it."""
        with self.lock:
            target = self._stream(stream)
            if target.captured is not None:
                if any(item.after or item.marks for item in work):
                    raise IllegalCuda("the capture gets entangled with other streams")
                target.captured.extend(work)
            else:
                target.queue.extend(work)

    def _stream(self, handle: object) -> FakeStream:
        number = int(handle)  # type: ignore[call-overload]
        if number not in self.streams:
            raise IllegalCuda(f"there is no stream {number}")
        return self.streams[number]

    def _enter(self, name: str, *, while_capturing: bool = False) -> Status:
        """Begin a call: check captures, let the GPU work a little, and say whether to fail."""
        self.calls.append(name)
        me = threading.get_ident()
        if not while_capturing:
            for stream in self.streams.values():
                if stream.captured is not None and stream.capturer == me:
                    raise IllegalCuda(f"{name} during a capture")
        while self.random.random() < self.haste and self._step():
            pass
        return self._planned(name)

    def _planned(self, name: str) -> Status:
        planned = self.failures.get(name)
        return planned.pop(0) if planned else self.broken or Status.cudaSuccess

    def _step(self) -> bool:
        ready = [
            s
            for s in self.streams.values()
            if s.queue and (not s.queue[0].after or s.queue[0].after.done)
        ]
        if not ready:
            return False
        work = self.random.choice(ready).queue.popleft()
        work.run()
        self.steps += 1
        if work.marks:
            work.marks.done, work.marks.moment = True, self.steps
        return True

    def _run_until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            if not self._step():
                raise IllegalCuda("the streams wait for each other")

    def cudaGetLastError(self) -> tuple[Status]:
        return (Status.cudaSuccess,)

    def cudaGetErrorString(self, status: Status) -> tuple[Status, bytes]:
        return Status.cudaSuccess, f"simulated {int(status)}".encode()

    def cudaDriverGetVersion(self) -> tuple[Status, int]:
        return self._planned("cudaDriverGetVersion"), self.driver

    def cudaRuntimeGetVersion(self) -> tuple[Status, int]:
        return self._planned("cudaRuntimeGetVersion"), self.runtime

    def cudaGetDeviceCount(self) -> tuple[Status, int | None]:
        status = self._planned("cudaGetDeviceCount")
        return status, None if int(status) else len(self.gpus)

    def cudaGetDeviceProperties(self, index: int) -> tuple[Status, Properties]:
        return self._planned("cudaGetDeviceProperties"), self.gpus[index]

    def cudaGetDevice(self) -> tuple[Status, int]:
        return Status.cudaSuccess, 0

    def cudaSetDevice(self, index: int) -> tuple[Status]:
        return (Status.cudaSuccess if index == 0 else Status.cudaErrorInvalidDevice,)

    def cudaMemGetInfo(self) -> tuple[Status, int, int]:
        used = sum(len(block.memory) for block in self.blocks.values() if block.kind == "device")
        return self._planned("cudaMemGetInfo"), MEMORY - used, MEMORY

    def cudaMalloc(self, size: int) -> tuple[Status, int | None]:
        return self._allocate("cudaMalloc", "device", size)

    def cudaHostAlloc(self, size: int, flags: int) -> tuple[Status, int | None]:
        return self._allocate("cudaHostAlloc", "pinned", size)

    def _allocate(self, name: str, kind: str, size: int) -> tuple[Status, int | None]:
        with self.lock:
            status = self._enter(name)
            if int(status):
                return status, None
            if size <= 0:
                raise IllegalCuda(f"{name} of {size} bytes")
            whole = np.full(size + ALIGNMENT, POISON, np.uint8)
            start = -whole.ctypes.data % ALIGNMENT
            memory = whole[start : start + size]
            block = Block(kind, memory, memory.ctypes.data)
            self.blocks[block.address] = block
            return status, block.address

    def cudaFree(self, address: int) -> tuple[Status]:
        return self._free("cudaFree", "device", address)

    def cudaFreeHost(self, address: int) -> tuple[Status]:
        return self._free("cudaFreeHost", "pinned", address)

    def _free(self, name: str, kind: str, address: int) -> tuple[Status]:
        with self.lock:
            status = self._enter(name)
            if address == 0:
                return (status,)
            block = self.blocks.pop(address, None)
            if block is None or block.kind != kind:
                raise IllegalCuda(f"{name} of {address:#x}, which is no {kind} memory")
            block.kind = "freed"
            block.memory[:] = POISON
            self.freed.append(block)
            return (status,)

    def cudaPointerGetAttributes(self, address: int) -> tuple[Status, Attributes]:
        kinds = {"device": self.cudaMemoryType.cudaMemoryTypeDevice}
        for block in self.blocks.values():
            if block.address <= address < block.address + len(block.memory):
                kind = kinds.get(block.kind, self.cudaMemoryType.cudaMemoryTypeHost)
                return Status.cudaSuccess, Attributes(kind)
        return Status.cudaSuccess, Attributes(self.cudaMemoryType.cudaMemoryTypeUnregistered)

    def cudaMemcpyAsync(
        self, target: int, source: int, size: int, kind: object, stream: object
    ) -> tuple[Status]:
        kinds = {
            self.cudaMemcpyKind.cudaMemcpyHostToDevice: ("pinned", "device"),
            self.cudaMemcpyKind.cudaMemcpyDeviceToHost: ("device", "pinned"),
            self.cudaMemcpyKind.cudaMemcpyDeviceToDevice: ("device", "device"),
        }
        come, go = kinds[kind]

        def copy() -> None:
            self.memory(target, size, go)[:] = self.memory(source, size, come)

        with self.lock:
            status = self._enter("cudaMemcpyAsync", while_capturing=True)
            if not int(status):
                self.memory(target, size, go)
                self.memory(source, size, come)
                self.enqueue(int(stream), Work(copy))  # type: ignore[call-overload]
            return (status,)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Status, FakeStream | None]:
        with self.lock:
            status = self._enter("cudaStreamCreateWithFlags")
            if int(status):
                return status, None
            stream = FakeStream(max(self.streams) + 1)
            self.streams[stream.number] = stream
            return status, stream

    def cudaStreamDestroy(self, stream: FakeStream) -> tuple[Status]:
        with self.lock:
            if stream.queue:
                raise IllegalCuda("a stream is destroyed while work is left on it")
            del self.streams[stream.number]
            return (self._enter("cudaStreamDestroy"),)

    def cudaStreamSynchronize(self, stream: FakeStream) -> tuple[Status]:
        with self.lock:
            status = self._enter("cudaStreamSynchronize")
            self._run_until(lambda: not stream.queue)
            return (self.broken or status,)

    def cudaStreamWaitEvent(
        self, stream: FakeStream, event: FakeEvent, flags: int
    ) -> tuple[Status]:
        with self.lock:
            status = self._enter("cudaStreamWaitEvent", while_capturing=True)
            if event.mark is not None:  # one never recorded is waited for by nobody
                self.enqueue(stream.number, Work(after=event.mark))
            return (status,)

    def cudaStreamBeginCapture(self, stream: FakeStream, mode: object) -> tuple[Status]:
        with self.lock:
            status = self._enter("cudaStreamBeginCapture")
            if mode != self.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal:
                raise IllegalCuda("a capture that forbids other threads to allocate")
            stream.captured, stream.capturer = [], threading.get_ident()
            return (status,)

    def cudaStreamEndCapture(self, stream: FakeStream) -> tuple[Status, FakeGraph | None]:
        with self.lock:
            status = self._enter("cudaStreamEndCapture", while_capturing=True)
            assert stream.captured is not None
            graph, stream.captured = FakeGraph(stream.captured), None
            if int(status):
                return status, None
            self.graphs.add(graph)
            return status, graph

    def cudaGraphInstantiate(self, graph: FakeGraph, flags: int) -> tuple[Status, FakeGraph | None]:
        with self.lock:
            status = self._enter("cudaGraphInstantiate")
            if int(status):
                return status, None
            executable = FakeGraph(list(graph.work))
            self.graphs.add(executable)
            return status, executable

    def cudaGraphDestroy(self, graph: FakeGraph) -> tuple[Status]:
        with self.lock:
            self.graphs.remove(graph)
            return (Status.cudaSuccess,)

    cudaGraphExecDestroy = cudaGraphDestroy

    def cudaGraphLaunch(self, graph: FakeGraph, stream: FakeStream) -> tuple[Status]:
        with self.lock:
            status = self._enter("cudaGraphLaunch")
            if graph not in self.graphs:
                raise IllegalCuda("a graph is launched after it was destroyed")
            self.enqueue(stream.number, *graph.work)
            return (status,)

    def cudaEventCreateWithFlags(self, flags: int) -> tuple[Status, FakeEvent | None]:
        with self.lock:
            status = self._enter("cudaEventCreateWithFlags")
            if int(status):
                return status, None
            event = FakeEvent(timed=flags == self.cudaEventDefault)
            self.events.add(event)
            return status, event

    def cudaEventDestroy(self, event: FakeEvent) -> tuple[Status]:
        with self.lock:
            self.events.remove(event)
            return (self._enter("cudaEventDestroy"),)

    def cudaEventRecord(self, event: FakeEvent, stream: object) -> tuple[Status]:
        with self.lock:
            status = self._enter("cudaEventRecord", while_capturing=True)
            event.mark = Mark()
            self.enqueue(int(stream), Work(marks=event.mark))  # type: ignore[call-overload]
            return (status,)

    def cudaEventSynchronize(self, event: FakeEvent) -> tuple[Status]:
        with self.lock:
            status = self._enter("cudaEventSynchronize")
            mark = event.mark
            if mark is not None:
                self._run_until(lambda: mark.done)
            return (self.broken or status,)

    def cudaEventElapsedTime(self, start: FakeEvent, end: FakeEvent) -> tuple[Status, float | None]:
        with self.lock:
            status = self._enter("cudaEventElapsedTime")
            if not (start.timed and end.timed and start.mark and end.mark):
                return Status.cudaErrorInvalidResourceHandle, None
            if not (start.mark.done and end.mark.done):
                return Status.cudaErrorNotReady, None
            return status, float(end.mark.moment - start.mark.moment)


class Scratch:
    """Memory that one piece of work needs for itself from its beginning to its end."""

    def __init__(self, cuda: FakeCuda, address: int, size: int) -> None:
        self._cuda, self._address, self._size = cuda, address, size
        self._stamp = np.frombuffer(ctypes.c_uint64(cuda.random.getrandbits(64)), np.uint8)

    def begin(self) -> None:
        if self._size:
            self._cuda.memory(self._address, self._size, "device")[:8] = self._stamp

    def end(self) -> None:
        if self._size:
            found = self._cuda.memory(self._address, self._size, "device")[:8]
            if not np.array_equal(found, self._stamp):
                raise IllegalCuda("two pieces of work used the same scratch memory at a time")
