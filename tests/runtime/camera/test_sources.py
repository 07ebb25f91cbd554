"""Sources: what a word of the command line means, and OpenCV real and simulated."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from spit_edge.runtime import BackendUnavailable
from spit_edge.runtime.camera.sources import FolderSource, find_source
from spit_edge.runtime.errors import CameraError


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

    def release(self) -> None:
        self.released = True


@pytest.fixture
def fake_cv2(monkeypatch):
    FakeCapture.given, FakeCapture.made, FakeCapture.there = [], [], True
    module = SimpleNamespace(
        VideoCapture=FakeCapture,
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
        with pytest.warns(UserWarning, match=r"aa\.png"):
            assert source.read()[0, 0, 0] == 20
        assert source.read() is None
    source.open()
    source.close()
    assert source.read() is None


def test_a_real_video(tmp_path) -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    file = str(tmp_path / "video.avi")
    writer = cv2.VideoWriter(file, cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for value in (0, 80, 160, 240):
        red = np.zeros((48, 64, 3), np.uint8)
        red[:, :, 2] = value
        writer.write(red)
    writer.release()
    source = find_source(file)
    assert not source.live
    source.open()
    for value in (0, 80, 160, 240):
        frame = source.read()
        assert frame.shape == (48, 64, 3) and frame.dtype == np.uint8
        assert np.abs(frame.mean((0, 1)) - [value, 0, 0]).max() < 6
    assert source.read() is None
    source.close()


def test_a_file_that_is_no_video(tmp_path) -> None:
    pytest.importorskip("cv2", reason="OpenCV is not installed")
    (tmp_path / "no.avi").write_bytes(b"no video")
    with pytest.raises(CameraError, match="cannot be opened"):
        find_source(str(tmp_path / "no.avi")).open()
