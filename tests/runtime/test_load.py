"""One CPU session under load: many threads, many images, no growth and no wrong result."""

from __future__ import annotations

import hashlib
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from spit_edge.runtime import Session
from spit_edge.runtime.images import fit_image, load_image, sample_photos

THREADS = 8
GROWTH = 16 << 20
"""Bytes that the allocator's own caches may move by; what leaks with every image grows beyond."""


def photographs_of_random_sizes(count: int, height: int, width: int) -> Iterator[np.ndarray]:
    """Parts of the shipped photographs, 20 to 300 pixels a side, fitted to the session's size."""
    random = np.random.default_rng(0)
    photographs = [load_image(path) for path in sample_photos().values()]
    for _ in range(count):
        photograph = photographs[random.integers(len(photographs))]
        rows, columns = random.integers(20, 300, 2)
        top = random.integers(photograph.shape[0] - rows)
        left = random.integers(photograph.shape[1] - columns)
        part = photograph[top : top + rows, left : left + columns]
        yield fit_image(part, height, width)


def resident() -> int:
    """Bytes of memory that the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def hashed(session: Session, image: np.ndarray) -> str:
    output = session.run(image, tokens=True)
    assert output.tokens is not None
    digest = hashlib.sha256()
    for part in (output.logits, output.labels, output.num_tokens, output.tokens):
        digest.update(part.tobytes())
    return digest.hexdigest()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_threads_share_a_session(make_bundle, count, capsys) -> None:
    bundle = make_bundle(height=64, width=80)
    with Session.open(bundle.path, "onnxruntime", threads=1) as session:
        images = lambda: photographs_of_random_sizes(count, 64, 80)  # noqa: E731
        start = time.perf_counter()
        wanted = [hashed(session, image) for image in images()]
        alone = time.perf_counter() - start
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda image: hashed(session, image), islice(images(), 100)))
            before = resident()
            start = time.perf_counter()
            found = []
            # In portions: the pool would take in all images at once.
            waiting = images()
            while portion := list(islice(waiting, 100)):
                found += pool.map(lambda image: hashed(session, image), portion)
            together = time.perf_counter() - start
            grown = resident() - before
    with capsys.disabled():
        print(
            f"\n{count} images: {alone:.1f} s in one thread, {together:.1f} s in {THREADS}; "
            f"memory {before / 2**20:.0f} MiB, grown by {grown / 2**20:.1f} MiB; "
            f"{len(set(wanted))} different results"
        )
    assert found == wanted
    assert len(set(wanted)) > 0.9 * count
    assert grown < GROWTH
