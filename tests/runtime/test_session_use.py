"""Sessions in threads, forked processes and in great numbers; other libraries' arrays; guesses."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from spit_edge.runtime import BackendUnavailable, ImageError, Session
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.classes import likeliest
from spit_edge.runtime.images import fit_image, load_image, sample_photos

OPENINGS = 100
KEPT = 150 << 10
"""Bytes that an opened and closed session may leave; the allocator gives back in large pieces."""


@pytest.fixture(scope="module")
def bundle(make_bundle):
    return make_bundle(height=96, width=128)


@pytest.fixture(scope="module")
def images(photographs):
    return photographs(96, 128)


@pytest.mark.parametrize("backend", ["onnxruntime", "onnxruntime-graph", "openvino", "torch"])
def test_close_waits_for_other_threads(bundle, images, backend) -> None:
    opened = Session.open(bundle.path, backend)
    wanted = opened.run(images).labels.tobytes()
    ends: list[object] = []
    busy = threading.Barrier(5)

    def work(submitted: bool) -> None:
        busy.wait()
        try:
            while True:
                run = opened.submit(images).result if submitted else lambda: opened.run(images)
                assert run().labels.tobytes() == wanted
        except BackendUnavailable as error:
            ends.append(str(error))
        except BaseException as error:
            ends.append(error)

    threads = [threading.Thread(target=work, args=(n % 2 == 0,)) for n in range(4)]
    for thread in threads:
        thread.start()
    busy.wait()
    time.sleep(0.2)
    closers = [threading.Thread(target=opened.close) for _ in range(2)]
    for thread in [*closers, *threads]:
        if thread in closers:
            thread.start()
    for thread in [*closers, *threads]:
        thread.join(60)
        assert not thread.is_alive()
    assert ends == ["this session is closed: open another one"] * 4


def test_close_ends_after_the_run_that_it_waited_for(bundle, images) -> None:
    order: list[str] = []
    started, free = threading.Event(), threading.Event()

    class Slow:
        def run(self, images, *, seeds=None, tokens=False):
            started.set()
            free.wait(30)
            order.append("run")
            return {"logits": None, "labels": None, "num_tokens": np.zeros(1, np.int32)}

        def close(self) -> None:
            order.append("close")

    opened = Session(Bundle.open(bundle.path), "slow", Slow())
    running = threading.Thread(target=opened.run, args=(images[:1],))
    closing = threading.Thread(target=opened.close)
    running.start()
    started.wait(30)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive() and order == []
    with pytest.raises(BackendUnavailable, match="closed"):
        opened.run(images[:1])
    free.set()
    closing.join(30)
    running.join(30)
    assert order == ["run", "close"]


@pytest.mark.parametrize("backend", ["onnxruntime", "onnxruntime-graph"])
def test_a_forked_process_is_told_to_open_its_own(bundle, backend) -> None:
    """All calls, a ticket of the parent, closing, and the end of the last reference."""
    program = f"""
import gc, os, sys
import numpy as np
from spit_edge.runtime import BackendUnavailable, Session
images = np.zeros((1, 96, 128, 3), np.uint8)
session = Session.open({str(bundle.path)!r}, {backend!r})
ticket = session.submit(images)
ticket.result()
child = os.fork()
if child == 0:
    try:
        calls = [lambda: session.run(images), lambda: session.submit(images), ticket.result,
                 lambda: session.stages(images), lambda: session.predict(images[0])]
        for call in calls:
            try:
                call()
            except BackendUnavailable as error:
                assert "forked" in str(error)
            else:
                os._exit(1)
        session.close()
        del session, ticket, calls, call
        gc.collect()
        with Session.open({str(bundle.path)!r}, {backend!r}) as own:
            own.run(images)
    except BaseException:
        import traceback; traceback.print_exc()
        os._exit(2)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
session.run(images)
session.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_closed_sessions_leave_nothing(bundle) -> None:
    """In a process of its own, whose memory is not that of other tests."""
    program = f"""
from tests.runtime.test_session_use import KEPT, OPENINGS, resident
import numpy as np
from spit_edge.runtime import Session
images = np.zeros((1, 96, 128, 3), np.uint8)
def use(times):
    for _ in range(times):
        with Session.open({str(bundle.path)!r}, "onnxruntime-graph") as session:
            session.run(images)
use(OPENINGS // 2)  # until the allocator has what it needs
before = resident()
use(OPENINGS)
kept = (resident() - before) / OPENINGS
assert kept < KEPT, f"{{kept / 1024:.0f}} KiB"
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=root, check=False
    )
    assert done.returncode == 0, done.stderr


def test_arrays_of_other_libraries(bundle, images) -> None:
    last = torch.from_numpy(images)
    first = last.permute(0, 3, 1, 2)
    with Session.open(bundle.path) as opened:
        wanted = opened.run(images).labels.tobytes()
        for given in (last, first, first.contiguous(), images[:, ::-1][:, ::-1]):
            assert opened.run(given).labels.tobytes() == wanted
            assert opened.submit(given).result().labels.tobytes() == wanted
        picture = Image.fromarray(images[0])
        assert opened.run(picture).labels.tobytes() == opened.run(images[0]).labels.tobytes()
        with pytest.raises(ImageError, match="float32 pixels, expected uint8"):
            opened.run(last.float())
        with pytest.raises(ImageError, match="this Tensor cannot be converted to a NumPy array"):
            opened.run(last.bfloat16())
        with pytest.raises(ImageError, match="got list"):
            opened.run([last[0]])


def test_guesses_from_files(bundle, tmp_path) -> None:
    paths = list(sample_photos().values())
    with Session.open(bundle.path) as session:
        guesses = session.predict(paths[0])
        assert len(guesses) == 5 and guesses == sorted(guesses, key=lambda g: -g.share)
        image = fit_image(load_image(paths[0]), 96, 128)
        assert guesses == likeliest(session.run(image).logits[0], 5)
        assert guesses == session.predict(str(paths[0])) == session.predict(load_image(paths[0]))
        many = session.predict(paths * 4, top=2)  # more than a batch
        assert len(many) == 12 and many[0] == guesses[:2] and many[9] == many[0] != many[1]
        assert session.predict(iter(paths), top=2) == many[:3]
        assert session.predict([]) == []
        with pytest.raises(ImageError, match=r"there is no image file .*none\.jpg"):
            session.predict(tmp_path / "none.jpg")
    with pytest.raises(BackendUnavailable, match="closed"):
        session.predict(paths[0])
