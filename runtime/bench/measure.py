"""A session measured: one batch at a time, two in flight, by stages; and what the GPU holds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from spit_edge.runtime.cuda.gpu import current_gpu
from spit_edge.runtime.errors import BackendUnavailable
from spit_edge.runtime.images import Pixels
from spit_edge.runtime.session import Session, Ticket

IN_FLIGHT = 2


@dataclass(frozen=True)
class Limit:
    """How long to measure: so many runs, or for so many seconds but at least once."""

    seconds: float | None = None
    runs: int | None = None

    def turns(self) -> Iterator[int]:
        """0, 1, 2 ... until the limit is reached."""
        end = time.monotonic() + (self.seconds or 0.0)
        turn = 0
        while turn < (self.runs or 1) or (self.runs is None and time.monotonic() < end):
            yield turn
            turn += 1


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds of a batch: percentiles, mean and extremes of ``runs`` runs."""

    runs: int
    p50: float
    p90: float
    p99: float
    mean: float
    min: float
    max: float


class Throughput(msgspec.Struct, frozen=True, kw_only=True):
    """Images a second over ``seconds`` with as many batches ``in_flight``."""

    in_flight: int
    images_per_second: float
    images: int
    seconds: float


def latency_of(milliseconds: Sequence[float]) -> Latency:
    """The figures of one run's times."""
    p50, p90, p99 = (float(value) for value in np.percentile(milliseconds, (50, 90, 99)))
    return Latency(
        runs=len(milliseconds),
        p50=p50,
        p90=p90,
        p99=p99,
        mean=float(np.mean(milliseconds)),
        min=min(milliseconds),
        max=max(milliseconds),
    )


def measure_latency(session: Session, batches: Sequence[Pixels], limit: Limit) -> Latency:
    """Batches one after another, each from the array on the host to the results on the host."""
    times = []
    for batch in _in_turn(batches, limit):
        start = time.perf_counter()
        session.run(batch, truncate=True)
        times.append((time.perf_counter() - start) * 1e3)
    return latency_of(times)


def measure_throughput(
    session: Session,
    batches: Sequence[Pixels],
    limit: Limit,
    in_flight: int,
    now: Callable[[], float] = time.monotonic,
) -> Throughput:
    """Batches given by ``submit``, ``in_flight`` at a time."""
    tickets: deque[Ticket] = deque()
    images, start = 0, now()
    for batch in _in_turn(batches, limit):
        if len(tickets) == in_flight:
            tickets.popleft().result()
        tickets.append(session.submit(batch, truncate=True))
        images += len(batch)
    while tickets:
        tickets.popleft().result()
    seconds = now() - start
    return Throughput(
        in_flight=in_flight, images_per_second=images / seconds, images=images, seconds=seconds
    )


def measure_stages(
    session: Session, batches: Sequence[Pixels], limit: Limit
) -> dict[str, Latency] | None:
    """Figures by stage; None where the back end cannot tell its stages apart."""
    times: dict[str, list[float]] = {}
    for batch in _in_turn(batches, limit):
        taken = session.stages(batch)
        if taken is None:
            return None
        for stage, milliseconds in taken.items():
            times.setdefault(stage, []).append(milliseconds)
    return {stage: latency_of(taken) for stage, taken in times.items()}


def used_gpu_memory() -> int | None:
    """Bytes in use on the GPU, by all processes; None without one."""
    try:
        gpu = current_gpu()
    except BackendUnavailable:
        return None
    return gpu.total_memory - gpu.free_memory


def _in_turn(batches: Sequence[Pixels], limit: Limit) -> Iterator[Pixels]:
    for turn in limit.turns():
        yield batches[turn % len(batches)]
