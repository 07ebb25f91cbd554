"""The systemd unit: accepted by systemd, and its command understood by ours."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest
from PIL import Image

UNIT = Path(str(resources.files("spit_edge.runtime") / "data" / "spit-edge@.service"))


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
@pytest.mark.parametrize("spoiled", [False, True])
def test_systemd_understands_it(tmp_path, spoiled) -> None:
    text = UNIT.read_text()
    if spoiled:
        text = text.replace("RestrictRealtime=", "RestrictReality=")
    unit = tmp_path / "spit-edge@door.service"
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "--user", "--man=no", "verify", str(unit)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    said = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, said) == (0, []) if not spoiled else "RestrictReality" in said[0]


def service() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # keys are told apart by case
    parser.read_string(UNIT.read_text())
    return parser["Service"]


def test_its_command_runs(make_bundle, tmp_path, photographs) -> None:
    """With variables put in as systemd does: ${NAME} is one word, $NAME is split into words."""
    images = tmp_path / "some images"
    images.mkdir()
    Image.fromarray(photographs(40, 56)[0]).save(images / "one.png")
    settings = {
        "PYTHON": sys.executable,
        "BUNDLE": str(make_bundle(height=40, width=56).path),
        "SOURCE": str(images),
        "OPTIONS": f"--json-lines {tmp_path}/lines --fps 15",
    }
    words = []
    for word in shlex.split(service()["ExecStart"]):
        if re.fullmatch(r"\$\w+", word):
            words += settings[word[1:]].split()
        else:
            words.append(re.sub(r"\$\{(\w+)\}", lambda found: settings[found[1]], word))
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "lines").read_text())["frame"] == 0


def test_it_starts_again_after_failures_only() -> None:
    assert service()["Restart"] == "on-failure" and service()["NoNewPrivileges"] == "yes"
    named = set(re.findall(r"^#     (\w+)=", UNIT.read_text(), re.MULTILINE))
    assert named == set(re.findall(r"\$\{?(\w+)", service()["ExecStart"]))
