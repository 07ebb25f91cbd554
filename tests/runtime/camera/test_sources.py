"""Sources: what a word of the command line means, and OpenCV real and simulated."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from spit_edge.runtime import BackendUnavailable
from spit_edge.runtime.camera.addresses import without_secrets
from spit_edge.runtime.camera.sources import FolderSource, find_source
from spit_edge.runtime.errors import CameraError


class cv2_error(Exception):
    """Stands for OpenCV's own."""


class FakeCapture:
    """A camera that gives ``frames`` and then nothing."""

    def __init__(self, target, api) -> None:
        self.target, self.api, self.released = target, api, False
        self.frames = iter(FakeCapture.given)
        FakeCapture.made.append(self)

    def isOpened(self) -> bool:
        return FakeCapture.there

    def read(self):
        frame = next(self.frames, None)
        return frame is not None, frame

    def get(self, _: object) -> float:
        return -1.0

    def release(self) -> None:
        self.released = True


@pytest.fixture
def fake_cv2(monkeypatch):
    FakeCapture.given, FakeCapture.made, FakeCapture.there = [], [], True
    module = SimpleNamespace(
        VideoCapture=FakeCapture,
        error=cv2_error,
        CAP_PROP_FRAME_COUNT="count",
        CAP_ANY="any",
        CAP_V4L2="v4l2",
        CAP_GSTREAMER="gstreamer",
        getBuildInformation=lambda: "  Video I/O:\n    GStreamer:                   YES (1.20.3)\n",
    )
    monkeypatch.setitem(sys.modules, "cv2", module)
    return module


@pytest.mark.parametrize(
    ("text", "target", "api"),
    [
        ("0", 0, "v4l2"),
        ("/dev/video12", 12, "v4l2"),
        # Stands for a link of /dev/v4l/by-id: a device under a name that stays.
        ("/dev/null", "/dev/null", "v4l2"),
        ("rtsp://camera/stream", "rtsp://camera/stream", "any"),
        ("v4l2src ! appsink", "v4l2src ! appsink", "gstreamer"),
    ],
)
def test_cameras(fake_cv2, text, target, api) -> None:
    source = find_source(text)
    source.open()
    assert source.live
    (capture,) = FakeCapture.made
    assert (capture.target, capture.api) == (target, api)
    source.close()
    source.close()
    assert capture.released


def test_a_camera_that_is_lost_and_opened_again(fake_cv2) -> None:
    blue = np.zeros((2, 3, 3), np.uint8)
    blue[:, :, 0] = 255  # OpenCV's order is blue, green, red
    FakeCapture.given = [blue, blue[:, :, 0], blue[:, :, :1]]
    source = find_source("0")
    with pytest.raises(CameraError, match="not open"):
        source.read()
    source.open()
    colour, grey, channel = (source.read() for _ in range(3))
    assert colour[0, 0].tolist() == [0, 0, 255] and grey[0, 0].tolist() == [255] * 3
    assert (channel == grey).all() and colour.flags.c_contiguous
    with pytest.raises(CameraError, match="gives no more frames"):
        source.read()
    source.open()
    assert source.read() is not None and FakeCapture.made[0].released


def test_a_camera_that_is_not_there(fake_cv2) -> None:
    FakeCapture.there = False
    source = find_source("3")
    with pytest.raises(CameraError, match="/dev/video3 cannot be opened"):
        source.open()
    assert FakeCapture.made[0].released


def test_opencv_without_gstreamer(fake_cv2) -> None:
    fake_cv2.getBuildInformation = lambda: "    GStreamer:                   NO\n"
    with pytest.raises(BackendUnavailable, match="system-site-packages"):
        find_source("videotestsrc ! appsink")


def test_no_opencv(monkeypatch, tmp_path) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(BackendUnavailable, match=r"pip install 'opencv-python-headless"):
        find_source("0")
    assert isinstance(find_source(str(tmp_path)), FolderSource)


def test_folder(tmp_path) -> None:
    for name, value in (("b.png", 20), ("a.png", 10)):
        Image.new("RGB", (3, 2), (value, 0, 0)).save(tmp_path / name)
    (tmp_path / "aa.png").write_bytes(b"no image")
    source = find_source(str(tmp_path))
    for _ in range(2):
        source.open()
        assert source.read()[0, 0, 0] == 10
        assert source.file == Path("a.png")
        with pytest.warns(UserWarning, match=r"aa\.png"):
            assert source.read()[0, 0, 0] == 20
        assert source.file == Path("b.png")
        with pytest.warns(UserWarning, match="1 of 3 files"):
            assert source.read() is None
    source.open()
    source.close()
    assert source.read() is None


def write_video(file: Path, frames: int = 30, code: str = "MJPG") -> Path:
    """Noise, so that every frame is large; at 30 frames a second."""
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter_fourcc(*code), 30, (64, 48))
    random = np.random.default_rng(0)
    for _ in range(frames):
        writer.write(random.integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    return file


def count(source) -> int:
    source.open()
    number = 0
    while source.read() is not None:
        number += 1
    return number


@pytest.mark.parametrize(("ending", "code"), [("avi", "MJPG"), ("mp4", "mp4v"), ("mkv", "mp4v")])
def test_frames_that_cannot_be_decoded_are_skipped_and_counted(tmp_path, ending, code) -> None:
    file = write_video(tmp_path / f"a.{ending}", code=code)
    data = bytearray(file.read_bytes())
    data[len(data) * 35 // 100 : len(data) * 50 // 100] = bytes(
        len(data) * 50 // 100 - len(data) * 35 // 100
    )
    file.write_bytes(data)
    with pytest.warns(UserWarning, match=r"of 30 frames: \d+ cannot be decoded and were skipped"):
        number = count(find_source(str(file)))
    assert 20 <= number < 30


@pytest.mark.parametrize(("ending", "code"), [("avi", "MJPG"), ("avi", "XVID"), ("mkv", "mp4v")])
def test_a_file_that_is_cut_says_so(tmp_path, ending, code) -> None:
    file = write_video(tmp_path / f"a.{ending}", code=code)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(CameraError, match=r"ends before its length, after \d+ of 30 frames"):
        count(find_source(str(file)))


@pytest.mark.parametrize(("ending", "code"), [("avi", "MJPG"), ("mp4", "mp4v"), ("mkv", "mp4v")])
@pytest.mark.filterwarnings("error")
def test_a_whole_video(tmp_path, ending, code) -> None:
    file = write_video(tmp_path / f"a b.{ending}", 7, code)
    for address in (str(file), f"file://{file}", f"FILE://localhost{file}".replace(" ", "%20")):
        source = find_source(address)
        assert not source.live and count(source) == 7 == count(source)


def test_colours_of_a_real_video(tmp_path) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    file = str(tmp_path / "video.avi")
    writer = cv2.VideoWriter(file, cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for value in (0, 80, 160, 240):
        red = np.zeros((48, 64, 3), np.uint8)
        red[:, :, 2] = value
        writer.write(red)
    writer.release()
    source = find_source(file)
    source.open()
    for value in (0, 80, 160, 240):
        frame = source.read()
        assert frame.shape == (48, 64, 3) and frame.dtype == np.uint8
        assert np.abs(frame.mean((0, 1)) - [value, 0, 0]).max() < 6
    assert source.read() is None
    source.close()


@pytest.mark.parametrize(
    ("text", "live"),
    [
        ("http://camera/a.mp4", False),
        ("HTTP://camera/films/A%20B.MKV?user=1", False),
        ("http://camera/stream", True),
        ("http://camera/x.mjpg", True),
        ("rtsp://camera/a.mp4", True),
        ("filesrc location=a.mp4 ! decodebin ! appsink", False),
        ("multifilesrc location=%d.jpg ! appsink", False),
        ('uridecodebin uri="file:///a.mp4" ! appsink', False),
        ("videotestsrc num-buffers=5 ! appsink", False),
        ("v4l2src device=/dev/video0 ! appsink", True),
        ("rtspsrc location=rtsp://camera/x ! decodebin ! appsink", True),
    ],
)
def test_what_has_an_end(fake_cv2, text, live) -> None:
    source = find_source(text)
    assert source.live is live
    source.open()
    if live:
        with pytest.raises(CameraError, match="no more frames"):
            source.read()
    else:
        assert source.read() is None


def test_a_file_whose_name_looks_like_a_pipeline_or_an_address(fake_cv2, tmp_path) -> None:
    (tmp_path / "wow!.mp4").touch()
    source = find_source(str(tmp_path / "wow!.mp4"))
    source.open()
    assert FakeCapture.made[0].api == "any" and not source.live
    with pytest.raises(CameraError, match="is not a folder, file"):
        find_source(f"file://{tmp_path}/missing.mp4")
    with pytest.raises(CameraError, match="is not a folder, file"):
        find_source("x" * 5000)
    assert isinstance(find_source(f"file://{tmp_path}"), FolderSource)


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://admin:S3cret@camera:554/x",
        "rtsp://admin:S3c@ret@camera/x",
        "rtsp://admin:S3cret/y@camera/x",
        "rtsp://S3cret@camera/x",
        "http://camera/video.cgi?user=admin&password=S3cret",
        "rtspsrc location=rtsp://admin:S3cret@camera/x user-pw=S3cret ! appsink",
        'rtspsrc location=rtsp://camera/x user-id=me user-pw="S3cret S3cret" ! appsink',
        "souphttpsrc location=http://camera/ proxy-pw = 'S3cret' ! appsink",
    ],
)
def test_passwords_are_not_told(fake_cv2, text) -> None:
    assert "camera" in without_secrets(text)
    FakeCapture.there = False
    with pytest.raises(CameraError) as error:
        find_source(text).open()
    FakeCapture.there = True
    source = find_source(text)
    source.open()
    assert FakeCapture.made[-1].target == text
    with pytest.raises(CameraError) as lost:
        source.read()
    for told in (str(error.value), str(lost.value), without_secrets(text)):
        assert not set(re.split(r"\W", told)) & {"S3cret", "S3c", "ret", "admin:S3cret"}


def test_errors_of_opencv_are_not_told(fake_cv2, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise cv2_error("cannot open rtsp://admin:S3cret@camera")

    monkeypatch.setattr(fake_cv2, "VideoCapture", fail)
    with pytest.raises(CameraError, match=r"rtsp://\*\*\*@camera cannot be opened") as error:
        find_source("rtsp://admin:S3cret@camera").open()
    assert "S3cret" not in str(error.value)
    with pytest.raises(CameraError, match=r"^nothing://\*\*\*@") as error:
        find_source("nothing://a:S3cret@b/c").open()


def test_a_file_that_is_no_video(tmp_path) -> None:
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    (tmp_path / "no.avi").write_bytes(b"no video")
    with pytest.raises(CameraError, match="cannot be opened"):
        find_source(str(tmp_path / "no.avi")).open()
