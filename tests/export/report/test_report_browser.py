"""Parity reports in a real browser: something is to be seen, in light, dark and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.export.report.browser import Browser, find_browser, running
from tests.reports import report_of, with_wrong_labels

DESKTOP, PHONE = (1200, 1600), (390, 2400)


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    if (program := find_browser()) is None:
        pytest.skip("there is no browser: apt-get install chromium (or npm, then make test)")
    with running(program, tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture(scope="module")
def pages(make_bundle, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    good = make_bundle(precision="fp16", outputs=("attention",)).path
    bad = with_wrong_labels(good, folder / "bundle")
    for name, bundle in {"good": good, "bad": bad}.items():
        report_of(bundle, folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in ("good", "bad")}


def screenshot(browser: Browser, page: Path, size: tuple[int, int], dark: bool) -> np.ndarray:
    browser.open(page, size, dark=dark)
    pixels = browser.screenshot()
    assert pixels.shape == (size[1], size[0], 3)
    return pixels


def colours(pixels: np.ndarray) -> int:
    return len(np.unique(pixels.reshape(-1, 3)[::7], axis=0))


def of_hue(pixels: np.ndarray, strong: int) -> float:
    """Share of pixels in which the channel ``strong`` rises above both others."""
    values = pixels.astype(int)
    others = np.delete(values, strong, axis=2).max(axis=2)
    return float((values[..., strong] - others > 40).mean())


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_light_and_dark_show_something(browser, pages, size) -> None:
    light = screenshot(browser, pages["good"], size, dark=False)
    dark = screenshot(browser, pages["good"], size, dark=True)
    assert colours(light) > 500 and colours(dark) > 500
    # The page's own background, beside the content.
    assert light[:, :3].mean() > 235 and dark[:, :3].mean() < 45
    assert light.std() > 20 and dark.std() > 20


@pytest.mark.parametrize("dark", [False, True])
def test_a_failure_is_red_at_the_top(browser, pages, dark) -> None:
    bad = screenshot(browser, pages["bad"], DESKTOP, dark)[:220]
    good = screenshot(browser, pages["good"], DESKTOP, dark)[:220]
    assert of_hue(bad, 0) > 0.01 and of_hue(good, 0) < 0.001
    assert of_hue(good, 1) > 0.003 and of_hue(bad, 1) < 0.001


@pytest.mark.parametrize("name", ["good", "bad"])
@pytest.mark.parametrize("width", [320, 390, 768, 1200])
def test_no_screen_is_too_narrow(browser, pages, name, width) -> None:
    """The page is as wide as the window; what is wider scrolls by itself."""
    browser.open(pages[name], (width, 900))
    page = "document.documentElement"
    assert browser.value(f"[{page}.scrollWidth, {page}.clientWidth]") == [width, width]


def test_every_picture_is_decoded(browser, pages) -> None:
    browser.open(pages["bad"], DESKTOP)
    widths = browser.value(
        "Promise.all([...document.images].map(async image => {"
        " image.loading = 'eager'; await image.decode(); return image.naturalWidth }))"
    )
    assert set(widths) == {224, 448}
    assert len(widths) == 3 * 9 + 1
