"""A headless Chromium that tests drive through a pipe, in the DevTools protocol."""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
UNPACKED = Path(__file__).resolve().parents[3] / "build" / "browser"
"""Where browser.sh puts one, with its libraries and fonts."""
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--hide-scrollbars", "--remote-debugging-pipe")  # fmt: skip
SECONDS = 120
"""An answer takes no longer on the busiest machine."""


def find_browser() -> str | None:
    """The system's, or the one of browser.sh."""
    own = str(UNPACKED / "chromium") if (UNPACKED / "chromium").exists() else None
    return next((path for name in NAMES if (path := shutil.which(name))), own)


class Browser:
    """One tab of a browser that listens to ``write`` and answers to ``read``."""

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._numbers = itertools.count(1)
        self._heard = b""
        self._session: dict[str, str] = {}
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._session = {"sessionId": session}

    def open(self, page: Path, size: tuple[int, int], *, dark: bool = False) -> None:
        """Show a page and all that it loads in a window of (width, height) pixels."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", features=[scheme])
        width, height = size
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                   deviceScaleFactor=1, mobile=False)  # fmt: skip
        answer = self._call("Page.navigate", url=page.as_uri())
        assert "errorText" not in answer, answer
        self.value("new Promise(done => document.readyState == 'complete' ? done() : "
                   "addEventListener('load', () => done()))")  # fmt: skip

    def value(self, expression: str) -> Any:
        """What an expression gives on the page; a promise is waited for."""
        answer = self._call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def screenshot(self) -> np.ndarray:
        """The window, uint8 [height, width, 3]."""
        png = base64.b64decode(self._call("Page.captureScreenshot")["data"])
        return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))

    def _call(self, method: str, **params: object) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params, **self._session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._answer()).get("id") != number:  # events come between
            pass
        assert "result" in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _answer(self) -> dict[str, Any]:
        while b"\0" not in self._heard:
            ready, _, _ = select.select([self._read], [], [], SECONDS)
            assert ready, f"the browser said nothing for {SECONDS} s"
            piece = os.read(self._read, 1 << 16)
            assert piece, "the browser has ended"
            self._heard += piece
        said, self._heard = self._heard.split(b"\0", 1)
        answer: dict[str, Any] = json.loads(said)
        return answer


@contextmanager
def running(program: str, folder: Path) -> Iterator[Browser]:
    """A browser with all its files in ``folder``."""
    environment = {**os.environ, "HOME": str(folder)}
    if Path(program).parent == UNPACKED:
        environment["LD_LIBRARY_PATH"] = str(UNPACKED / "lib")
        environment["FONTCONFIG_PATH"] = str(UNPACKED)
    # It reads from descriptor 3 and writes to 4.
    words = ["sh", "-c", 'exec "$@" 3<&0 4>&1 </dev/null >&2', "sh", program, *FLAGS]
    words.append(f"--user-data-dir={folder / 'profile'}")
    pipe = subprocess.PIPE
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=log, env=environment)
    with process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield Browser(process.stdout.fileno(), process.stdin.fileno())
        finally:
            process.kill()
