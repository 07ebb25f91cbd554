"""The README's walk, in its order, in a folder that looks like a checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from spit_edge.spit_ref import model_config
from spit_edge.spit_ref.weights import random_state

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line]


def test_readme_has_the_commands_users_need() -> None:
    shown = "\n".join(commands())
    for needed in ("make demo", "make test", "export build --model spit_b16 --fp16",
                   "export validate", "export inspect", "export list", "runtime run"):  # fmt: skip
        assert needed in shown


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages of the checkout, ``python`` to run them, and the file of weights
    that one of the commands names."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("export", "runtime", "plugins"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "bin").mkdir()
    python = folder / "bin/python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    plain = model_config("rvit_s16", gradient=False)
    torch.save(random_state(plain, 1), folder / "my.pth")
    return folder


@pytest.mark.parametrize("base", ["spit_tiny", pytest.param("spit_b16", marks=pytest.mark.slow)])
def test_the_walk_works_in_the_order_given(checkout: Path, base: str) -> None:
    """The shell's commands as one script, then the blocks of Python as one program.

    With a small model in the base model's place; make test-slow runs them as they are.
    """
    script = [line.replace("spit_b16", base) for line in commands() if not line.startswith("make ")]
    assert sum("python -m" in line for line in script) >= 6
    path = f"{checkout / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-exuo", "pipefail", "-c", "\n".join(script)],
        cwd=checkout, env=dict(os.environ, PATH=path), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert (checkout / "out.png").is_file() and (checkout / "report.html").is_file()

    program = "\n".join(blocks("python")).replace("spit_b16", base)
    built = f"build/{base}-fp16"
    if (checkout / built).is_dir():  # official weights are at hand
        program = program.replace(f"{built}-random", built)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=checkout, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    shutil.rmtree(checkout / "build")
