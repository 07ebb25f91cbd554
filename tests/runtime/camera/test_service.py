"""serve-camera: results, endings, drops under load, and hours of frames in short."""

from __future__ import annotations

import gc
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from spit_edge.base.memory import resident_memory
from spit_edge.base.text import shown
from spit_edge.runtime import ExecutionError, Session
from spit_edge.runtime.__main__ import main
from spit_edge.runtime.camera.frame_queue import FrameQueue
from spit_edge.runtime.camera.outputs import JsonLines, LabelFolder, OverlayFolder
from spit_edge.runtime.camera.pacing import Clock, Pace
from spit_edge.runtime.camera.reader import FrameReader
from spit_edge.runtime.camera.service import CameraService
from spit_edge.runtime.errors import CameraError
from tests.simulators.camera_rig import Collector, ScriptedSource, lost

FRAMES = 3000
GROWTH = 6 << 20


@pytest.fixture(scope="module")
def bundle(make_bundle) -> str:
    return str(make_bundle(height=40, width=56).path)


@pytest.fixture(scope="module")
def images(photographs) -> np.ndarray:
    return photographs(40, 56)


@pytest.fixture
def folder(images, tmp_path) -> Path:
    """Four images and one that is none."""
    place = tmp_path / "images"
    place.mkdir()
    for number, image in enumerate([*images, images[0]]):
        Image.fromarray(image).save(place / f"{number}.png")
    (place / "broken.jpg").write_bytes(b"no image")
    return place


def serve(source, session, sinks, *, drop="none", size=2, frames=None, period=None):
    """Run a service to its end; the queue and what it said."""
    stop, said = threading.Event(), []
    clock, queue = Clock(stop), FrameQueue(size, drop)
    reader = FrameReader(source, queue, clock, Pace(None), reconnect=False, say=said.append)
    service = CameraService(session, reader, queue, sinks, clock, period=period, say=said.append)
    reader.start()
    try:
        service.run(frames)
    finally:
        stop.set()
        queue.end()
        reader.join()
    return queue, said


def test_results_are_those_of_the_session(bundle, images) -> None:
    order = [0, 1, 2, 2, 0, 1, 0]
    collector = Collector(lambda r: (r.frame.number, r.output.labels[0].tobytes(), r.image))
    with Session.open(bundle, "onnxruntime") as session:
        wanted = [session.run(image).labels[0].tobytes() for image in images]
        source = ScriptedSource([images[index] for index in order], live=False)
        serve(source, session, [collector])
    assert [number for number, _, _ in collector.taken] == list(range(len(order)))
    assert [labels for _, labels, _ in collector.taken] == [wanted[index] for index in order]
    assert all((i == images[k]).all() for (_, _, i), k in zip(collector.taken, order, strict=True))


def test_frames_are_fitted(bundle) -> None:
    collector = Collector(lambda r: r.image.shape)
    with Session.open(bundle, "onnxruntime") as session:
        big = np.zeros((90, 100, 3), np.uint8)
        serve(ScriptedSource([big, big[:3, :2]], live=False), session, [collector])
    assert collector.taken == [(40, 56, 3)] * 2


def test_two_frames_are_in_flight_while_more_wait(bundle, images, monkeypatch) -> None:
    """And a result is fetched at once when none waits."""
    flying, most = set(), []
    with Session.open(bundle, "onnxruntime") as session:
        submit = session.submit

        def watched(*arguments: object, **options: object) -> SimpleNamespace:
            ticket, number = submit(*arguments, **options), len(most)
            flying.add(number)
            most.append(len(flying))

            def result() -> object:
                flying.discard(number)
                return ticket.result()

            return SimpleNamespace(result=result)

        monkeypatch.setattr(session, "submit", watched)
        serve(ScriptedSource([images[0]] * 20, live=False), session, [], size=30)
        assert max(most) == 2
        most.clear()

        def until_fetched() -> None:
            end = time.monotonic() + 10
            while flying and time.monotonic() < end:
                time.sleep(0.001)
            time.sleep(0.01)

        script = itertools.chain.from_iterable((images[0], until_fetched) for _ in range(5))
        start = time.monotonic()
        serve(ScriptedSource(script, live=True), session, [])
        assert most == [1] * 5 and time.monotonic() - start < 10


@pytest.mark.parametrize("drop", ["oldest", "newest"])
def test_a_camera_that_is_too_fast(bundle, images, drop) -> None:
    """Every frame is either done or counted as dropped, in order, and no more than two wait."""
    collector = Collector(lambda r: (r.frame.number, r.latency))
    with Session.open(bundle, "onnxruntime") as session:
        script = itertools.chain.from_iterable(
            (lambda: time.sleep(0.0005), images[0]) for _ in range(400)
        )
        queue, _ = serve(ScriptedSource(script, live=True), session, [collector], drop=drop)
    numbers = [number for number, _ in collector.taken]
    assert numbers == sorted(set(numbers)) and len(numbers) + queue.dropped == 400
    assert queue.dropped > 0 and (drop == "newest" or numbers[-1] == 399)


def test_thousands_of_frames_take_no_more_memory(bundle, images, tmp_path) -> None:
    with Session.open(bundle, "onnxruntime") as session:
        sinks = [
            OverlayFolder(tmp_path / "overlays", keep=3, every=50),
            LabelFolder(tmp_path / "labels", keep=5),
            JsonLines(str(tmp_path / "lines.json")),
        ]

        def run(count: int) -> int:
            large = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
            script = ((images[n % 3], large)[n % 2].copy() for n in range(count))
            _, said = serve(ScriptedSource(script, live=False), session, sinks, period=0.5)
            assert said
            gc.collect()
            return resident_memory()

        before = run(FRAMES // 6)
        after = run(FRAMES)
        for sink in sinks:
            sink.close()
    assert after - before <= GROWTH, f"{(after - before) / 2**20:.1f} MiB"
    assert len(list((tmp_path / "overlays").iterdir())) == 4
    assert len(list((tmp_path / "labels").iterdir())) == 5
    lines = (tmp_path / "lines.json").read_text().splitlines()
    assert len(lines) == FRAMES + FRAMES // 6


def test_errors_of_the_source_and_of_sinks_end_the_service(bundle, images, tmp_path) -> None:
    def fail(_: object) -> None:
        raise OSError(28, "No space left on device")

    collector = Collector(lambda r: r.frame.number)
    with Session.open(bundle, "onnxruntime") as session:
        with pytest.raises(CameraError, match="no more frames"):
            serve(ScriptedSource([images[0]] * 3 + [lost()], live=True), session, [collector])
        assert collector.taken == [0, 1, 2]
        with pytest.raises(OSError, match="No space"):
            serve(ScriptedSource([images[0]] * 9, live=False), session, [Collector(fail)])


def test_an_error_of_the_model_ends_the_service(bundle, images, monkeypatch) -> None:
    with Session.open(bundle, "onnxruntime") as session:

        def broken(*_: object, **__: object) -> None:
            raise ExecutionError("out of memory")

        monkeypatch.setattr(session, "submit", broken)
        with pytest.raises(ExecutionError):
            serve(ScriptedSource([images[0]] * 100, live=False), session, [])


def test_a_folder_on_the_command_line(bundle, folder, tmp_path, capsys) -> None:
    lines, overlays, labels = (tmp_path / name for name in ("lines", "overlays", "labels"))
    words = ["serve-camera", bundle, str(folder), "--backend", "onnxruntime", "--json-lines"]
    words += [str(lines), "--overlay-dir", str(overlays), "--labels-dir", str(labels)]
    assert main([*words, "--keep-overlays", "2", "--fps", "200"]) == 0
    said = capsys.readouterr().err
    assert "left out" in said and "broken.jpg" in said and "fps in" in said
    assert not re.search(r"(?<![\d.])4 fps", said)
    told = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [one["frame"] for one in told] == [0, 1, 2, 3]
    assert all(len(one["top"]) == 5 and one["latency_ms"] > 0 for one in told)
    shares = [entry["share"] for entry in told[0]["top"]]
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1
    assert told[0]["top"] == told[3]["top"] != told[1]["top"]
    assert sorted(f.name for f in labels.iterdir()) == [f"{one['id']}.npz" for one in told]
    with np.load(labels / f"{told[1]['id']}.npz") as stored:
        assert stored["labels"].shape == (40, 56) and stored["logits"].shape == (10,)
        assert stored["num_tokens"] == told[1]["num_tokens"] == stored["labels"].max() + 1
    pictures = sorted(f.name for f in overlays.iterdir())
    assert pictures == [f"{told[2]['id']}.jpg", f"{told[3]['id']}.jpg", "latest.jpg"]
    newest = overlays / f"{told[3]['id']}.jpg"
    assert (overlays / "latest.jpg").read_bytes() == newest.read_bytes()
    assert Image.open(newest).size == (2 * 56 * 2 + 16, 40 * 2)
    # Another run adds its lines, and files of the first run make room for its own.
    assert main([*words, "--keep-overlays", "2", "--frames", "1"]) == 0
    assert len(lines.read_text().splitlines()) == 5 and len(list(labels.iterdir())) == 4
    assert newest.exists()


def test_every_nth_picture(bundle, folder, tmp_path, capsys) -> None:
    overlays = tmp_path / "overlays"
    words = ["serve-camera", bundle, str(folder), "--overlay-dir", str(overlays)]
    assert main([*words, "--keep-overlays", "9", "--overlay-every", "3"]) == 0
    assert {f.name for f in overlays.iterdir()} == {"0.png.jpg", "3.png.jpg", "latest.jpg"}


def test_results_of_a_folder_have_the_names_of_its_files(bundle, images, tmp_path, capsys) -> None:
    """Of files with the same stem, in folders, with long names and names that are not UTF-8."""
    place, labels, overlays = (tmp_path / name for name in ("in", "labels", "overlays"))
    names = ["a.jpg", "a.png", "sub/a.png", "x" * 250 + ".png", "x" * 249 + "y.png"]
    names += [os.fsdecode(b"\xff.png"), "b\x1b[2J.png"]
    for number, name in enumerate(names):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[number % 3]).save(place / name)
    words = ["serve-camera", bundle, str(place), "--json-lines", "-", "--labels-dir", str(labels)]
    assert main([*words, "--overlay-dir", str(overlays), "--keep-overlays", "99"]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    ids = [json.loads(line)["id"] for line in said.splitlines()]
    assert ids == [shown(name) for name in sorted(names)]
    written = {str(f.relative_to(labels)) for f in labels.rglob("*.npz")}
    assert len(written) == len(names)
    assert {f"{name}.npz" for name in names if len(name) < 100} < written
    pictures = {str(f.relative_to(overlays)) for f in overlays.rglob("*.jpg")}
    assert len(pictures) == len(names) + 1 and "sub/a.png.jpg" in pictures
    # Again into the same folder: the same files, each in its own place, and the last two are left.
    assert main([*words, "--keep-labels", "2"]) == 0
    assert len(list(labels.rglob("*.npz"))) == 2


def test_more_regions_than_slots_do_not_end_it(make_bundle, tmp_path, images, capsys) -> None:
    small = str(make_bundle(height=40, width=56, max_tokens=3).path)
    Image.fromarray(images[0]).save(tmp_path / "one.png")
    assert main(["serve-camera", small, str(tmp_path), "--json-lines", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["truncated"] and told["num_tokens"] > 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["nothing-there"], "is not a folder, file, camera"),
        (["."], "no images in"),
        (["FOLDER", "--overlay-dir", "/proc/none"], "cannot be made"),
        (["FOLDER", "--labels-dir", "/proc/self"], "nothing can be written into"),
        (["FOLDER", "--json-lines", "none/lines"], "No such file or directory"),
        (["FOLDER", "--backend", "none"], "choose one of"),
    ],
)
def test_refusals(bundle, folder, tmp_path, monkeypatch, capsys, options, says) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    words = [str(folder) if word == "FOLDER" else word for word in options]
    assert main(["serve-camera", bundle, *words]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signals_stop_it_cleanly(bundle, folder, tmp_path, number, code) -> None:
    """While frames come slowly: the result that is on its way is written, no file is left half."""
    for copy in range(100):  # two minutes of frames: it is stopped long before the end
        (folder / f"copy{copy}.png").hardlink_to(folder / "0.png")
    lines, overlays = tmp_path / "lines", tmp_path / "overlays"
    words = [sys.executable, "-m", "runtime", "serve-camera", bundle, str(folder), "--fps", "0.8"]
    words += ["--json-lines", str(lines), "--overlay-dir", str(overlays)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    end = time.monotonic() + 60
    while not (lines.exists() and lines.read_text().count("\n")):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert "Traceback" not in said and ("interrupted" in said) == (code == 130)
    assert all(json.loads(line) for line in lines.read_text().splitlines())
    assert [file.name for file in overlays.iterdir()] == ["latest.jpg"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signals_are_heard_while_a_stream_opens(bundle, number, code) -> None:
    """A server takes the connection and says nothing; OpenCV would wait for it for 30 s."""
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(60)
        address = f"http://me:S3cret@127.0.0.1:{server.getsockname()[1]}/x.mjpg"
        words = [sys.executable, "-m", "spit_edge.runtime", "serve-camera", bundle, address]
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        connection, _ = server.accept()
        with connection:
            start = time.monotonic()
            process.send_signal(number)
            _, said = process.communicate(timeout=30)
    assert process.returncode == code and time.monotonic() - start < 5, said
    assert "Traceback" not in said and "S3cret" not in said


def test_a_password_is_not_in_the_log(bundle) -> None:
    """Nor in what OpenCV and FFmpeg write themselves, which capsys would not see."""
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    for address in ("rtsp://me:S3cret@127.0.0.1:1/x", "http://me:S3cret@127.0.0.1:1/x.mp4"):
        words = [sys.executable, "-m", "spit_edge.runtime", "serve-camera", bundle, address]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "***@127.0.0.1" in done.stderr
        assert "S3cret" not in done.stdout + done.stderr


def test_a_source_that_cannot_be_opened_is_an_error_and_not_tried_again(bundle) -> None:
    class Missing(ScriptedSource):
        def open(self) -> None:
            super().open()
            raise CameraError("it cannot be opened")

    source = Missing([], live=True)
    with (
        Session.open(bundle, "onnxruntime") as session,
        pytest.raises(CameraError, match="cannot be opened"),
    ):
        serve(source, session, [])
    assert source.opened == 1
