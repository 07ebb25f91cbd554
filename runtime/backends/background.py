"""Runs in the background, for back ends that can only wait: one thread, in order."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np
from numpy.typing import NDArray

from spit_edge.runtime.backends.protocol import Backend, Outputs

IN_FLIGHT = 2
"""One batch that is computed and one that waits for it."""


class BackgroundRuns:
    """Runs ``backend`` in a thread, which starts with the first batch."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._thread = ThreadPoolExecutor(1, "spit-edge-run")
        self._in_flight: deque[Future[Outputs]] = deque()
        self._lock = threading.Lock()

    def submit(
        self, images: NDArray[np.uint8], *, seeds: NDArray[np.int64] | None, tokens: bool
    ) -> Future[Outputs]:
        """See :meth:`AsyncBackend.submit`."""
        with self._lock:
            if len(self._in_flight) == IN_FLIGHT:
                wait([self._in_flight.popleft()])
            # A copy, because the caller may write the next image into the same array.
            run = self._thread.submit(self._backend.run, images.copy(), seeds=seeds, tokens=tokens)
            self._in_flight.append(run)
            return run

    def close(self) -> None:
        """Finish what is in flight."""
        self._thread.shutdown()
