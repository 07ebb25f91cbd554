"""The README's commands are run, in their order, in a folder of their own."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from spit_edge.runtime.images import sample_photos
from spit_edge.spit_ref import model_config
from spit_edge.spit_ref.weights import random_state

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def test_readme_has_the_commands_users_need() -> None:
    shown = "\n".join(commands())
    for needed in ("make demo", "make test", "export build --model spit_b16 --fp16",
                   "export validate", "export inspect", "export list", "runtime run"):  # fmt: skip
        assert needed in shown


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^make (\S+)", "\n".join(commands()),
                                                         flags=re.MULTILINE))))  # fmt: skip
def test_make_targets_exist(target) -> None:
    subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        if not link.startswith("http"):
            assert (ROOT / link).exists(), link


def test_python_commands_run(tmp_path) -> None:
    plain = model_config("rvit_s16", gradient=False)
    torch.save(random_state(plain, 1), tmp_path / "my.pth")
    shutil.copy(sample_photos()["chelsea"], tmp_path / "photo.jpg")
    ran = 0
    for command in commands():
        words = shlex.split(command)
        if words[0] != "python":
            continue
        # Without official weights at hand bundles carry -random in their names.
        words = [sys.executable, *(_existing(word, tmp_path) for word in words[1:])]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        ran += 1
    assert ran >= 6 and (tmp_path / "out.png").is_file()


def _existing(word: str, folder: Path) -> str:
    if word.startswith("build/") and not (folder / word).exists():
        return f"{word}-random" if (folder / f"{word}-random").exists() else word
    return word
