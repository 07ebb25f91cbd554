"""Sessions of the TensorRT back ends on a simulated GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CDLL
from dataclasses import dataclass, field

import numpy as np
import pytest

from spit_edge.runtime import Session
from spit_edge.runtime.backends.gpu.engine_file import OpenEngine
from spit_edge.runtime.backends.gpu.tensorrt import TensorRTBackend
from spit_edge.runtime.backends.gpu.tensorrt_split import TensorRTSplitBackend
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.cuda import api as cuda_module
from spit_edge.runtime.cuda.kernels import TokenizerLibrary
from spit_edge.runtime.engines.callbacks import Log
from tests.simulators.fake_cuda import FakeCuda
from tests.simulators.fake_tensorrt import TRT, FakeEngine, FakeLibrary

BACKENDS = {"tensorrt": TensorRTBackend, "tensorrt-split": TensorRTSplitBackend}
each_backend = pytest.mark.parametrize("name", BACKENDS)


@dataclass
class Rig:
    """A simulated GPU; ``engine`` and ``library`` are those opened last."""

    cuda: FakeCuda
    bundle: Bundle
    engine: FakeEngine = field(init=False)
    library: FakeLibrary = field(init=False)

    def open(self, name: str, library: CDLL | None = None) -> OpenEngine:
        """``library`` computes on host pointers; None: the Python package's kernels do."""
        manifest = self.bundle.manifest
        graph = self.bundle.model if name == "tensorrt" else self.bundle.trunk
        largest = {"B": manifest.batch.max, "T": manifest.token_budget}
        self.engine = FakeEngine(self.cuda, graph, largest)
        self.library = FakeLibrary(self.cuda, library)
        return OpenEngine(self.engine, TRT, TokenizerLibrary(self.library), Log())

    @contextmanager
    def session(
        self, name: str, *, graphs: bool | None = None, library: CDLL | None = None
    ) -> Iterator[Session]:
        opened = self.open(name, library)
        backend = BACKENDS[name](self.bundle, engine=opened, graphs=graphs)
        with Session(self.bundle, name, backend) as session:
            yield session


@contextmanager
def simulated_gpu(bundle: Bundle, seed: int = 0) -> Iterator[Rig]:
    """What the runners take for CUDA within the block; at its end nothing may be left on it."""
    cuda = FakeCuda(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuda_module, "runtime_api", lambda: cuda)
        yield Rig(cuda, bundle)
    assert cuda.live() == {"blocks": 0, "streams": 0, "events": 0, "graphs": 0}


def bits(output) -> list[bytes]:
    """An output to the last bit."""
    parts = (output.logits, output.labels, output.num_tokens, output.tokens)
    return [part.tobytes() for part in parts if part is not None]


def batches(images: np.ndarray, count: int) -> list[np.ndarray]:
    """Batches of one to three images [3, 3, H, W], all different."""
    random = np.random.default_rng(0)
    return [
        np.roll(images[random.integers(0, 3, 1 + index % 3)], index, axis=3)
        for index in range(count)
    ]
