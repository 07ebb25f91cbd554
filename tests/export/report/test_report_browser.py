"""Parity reports in a real browser: something is to be seen, in light, dark and on a phone."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.reports import report_of, with_wrong_labels

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--hide-scrollbars")  # fmt: skip
DARK = "--blink-settings=preferredColorScheme=0"
DESKTOP, PHONE = (1200, 1600), (390, 2400)

pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"no browser: none of {', '.join(NAMES)}")


def browse(folder: Path, page: Path, size: tuple[int, int], *flags: str) -> str:
    """Open a page in a window of ``size``; what the browser printed."""
    assert BROWSER is not None
    profile = folder / "profile"
    command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", *flags,
               f"--window-size={size[0]},{size[1]}", page.as_uri()]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    finally:
        shutil.rmtree(profile, ignore_errors=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def screenshot(folder: Path, page: Path, size: tuple[int, int], *flags: str) -> np.ndarray:
    picture = folder / f"{page.stem}-{size[0]}-{len(flags)}.png"
    browse(folder, page, size, *flags, f"--screenshot={picture}")
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    assert pixels.shape == (size[1], size[0], 3)
    return pixels


@pytest.fixture(scope="module")
def pages(make_bundle, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    good = make_bundle(precision="fp16", outputs=("attention",)).path
    bad = with_wrong_labels(good, folder / "bundle")
    for name, bundle in {"good": good, "bad": bad}.items():
        report_of(bundle, folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in ("good", "bad")}


def colours(pixels: np.ndarray) -> int:
    return len(np.unique(pixels.reshape(-1, 3)[::7], axis=0))


def of_hue(pixels: np.ndarray, strong: int) -> float:
    """Share of pixels in which the channel ``strong`` rises above both others."""
    values = pixels.astype(int)
    others = np.delete(values, strong, axis=2).max(axis=2)
    return float((values[..., strong] - others > 40).mean())


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_light_and_dark_show_something(pages, tmp_path, size) -> None:
    light = screenshot(tmp_path, pages["good"], size)
    dark = screenshot(tmp_path, pages["good"], size, DARK)
    assert colours(light) > 500 and colours(dark) > 500
    # The page's own background, beside the content.
    assert light[:, :3].mean() > 235 and dark[:, :3].mean() < 45
    assert light.std() > 20 and dark.std() > 20


@pytest.mark.parametrize("scheme", [(), (DARK,)])
def test_a_failure_is_red_at_the_top(pages, tmp_path, scheme) -> None:
    bad = screenshot(tmp_path, pages["bad"], DESKTOP, *scheme)[:220]
    good = screenshot(tmp_path, pages["good"], DESKTOP, *scheme)[:220]
    assert of_hue(bad, 0) > 0.01 and of_hue(good, 0) < 0.001
    assert of_hue(good, 1) > 0.003 and of_hue(bad, 1) < 0.001


@pytest.mark.parametrize("name", ["good", "bad"])
@pytest.mark.parametrize("width", [320, 390, 768, 1200])
def test_no_screen_is_too_narrow(pages, tmp_path, name, width) -> None:
    """The page is as wide as the window; what is wider scrolls by itself."""
    probe = (
        "<script>document.title = 'width ' + document.documentElement.scrollWidth"
        " + ' of ' + document.documentElement.clientWidth</script></body>"
    )
    page = tmp_path / "probe.html"
    # A frame of that width: a window may have a least width of its own.
    page.write_text(pages[name].read_text().replace("</body>", probe))
    frame = tmp_path / "frame.html"
    frame.write_text(
        f"<iframe id=f src=probe.html width={width} height=900 style='border:0'></iframe><script>"
        "f.onload = () => { document.title = f.contentDocument.title }</script>"
    )
    flags = ("--allow-file-access-from-files", "--virtual-time-budget=5000", "--dump-dom")
    found = re.search(
        r"<title>width (\d+) of (\d+)</title>", browse(tmp_path, frame, (1300, 1000), *flags)
    )
    assert found, "the page was not measured"
    assert [int(number) for number in found.groups()] == [width, width]


def test_every_picture_is_decoded(pages, tmp_path) -> None:
    probe = (
        "<script>addEventListener('load', () => { document.title ="
        " 'sizes ' + [...document.images].map(i => i.naturalWidth).join(' ') })</script></body>"
    )
    page = tmp_path / "probe.html"
    html = pages["bad"].read_text().replace('loading="lazy"', "")
    page.write_text(html.replace("</body>", probe))
    dom = browse(tmp_path, page, DESKTOP, "--virtual-time-budget=10000", "--dump-dom")
    found = re.search(r"<title>sizes ([\d ]+)</title>", dom)
    assert found, "the pictures were not measured"
    assert sorted({int(size) for size in found[1].split()}) == [224, 448]
    assert len(found[1].split()) == 3 * 9 + 1
