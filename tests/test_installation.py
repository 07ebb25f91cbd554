"""What a wheel brings: one name, the console script, types; whatever else is called export."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from tests.export.deploy.wheels import runtime_wheel

SCRIPT = """
import numpy as np
from numpy.typing import NDArray
import spit_edge
from spit_edge import Bundle, Output, Session, SpitError, TokenBudgetExceeded, load_model

def classify(path: str, images: NDArray[np.uint8]) -> None:
    with Session.open(path, "onnxruntime", threads=2) as session:
        reveal_type(session)
        output = session.run(images)
        reveal_type(session.bundle)
        reveal_type(session.bundle.manifest.token_budget)
        reveal_type(session.submit(images).result())
    reveal_type(output)
    reveal_type(output.logits)
    reveal_type(output.labels)
    reveal_type(output.tokens)
    reveal_type(Bundle.open(path))
    reveal_type(spit_edge.__version__)
    reveal_type(spit_edge.voronoi_tessellation(1, 8, 8))
    reveal_type(SpitError("x"))
    reveal_type(TokenBudgetExceeded(1, 2, 3).num_tokens)

classify("b", np.zeros((1, 3, 8, 8), np.uint8))
spit_edge.Sesion
"""
USE = """
import sys, numpy, spit_edge
assert not [n for n in ("torch", "onnx", "onnxruntime") if n in sys.modules]
with spit_edge.Session.open(sys.argv[1], "onnxruntime") as session:
    size = session.bundle.manifest.preprocessing
    output = session.run(numpy.zeros((size.height, size.width, 3), numpy.uint8))
print(spit_edge.__file__, output.labels.shape, "torch" in sys.modules)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel, and what it needs from this one."""
    place = tmp_path_factory.mktemp("installed")
    wheel = runtime_wheel(place)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "venv"], check=True)
    (site,) = (place / "venv" / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # What pip makes of the wheel's entry point.
    (distribution,) = metadata.distributions(name="spit-edge", path=[str(site)])
    (script,) = distribution.entry_points.select(group="console_scripts")
    python = place / "venv" / "bin" / "python"
    console = place / "venv" / "bin" / "spit-edge"
    console.write_text(
        f"#!{python}\nimport sys\nfrom {script.module} import {script.attr} as main\n"
        "sys.exit(main())\n"
    )
    console.chmod(0o755)
    (site / "needs.pth").write_text(f"{Path(np.__file__).parent.parent}\n")
    return python


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A folder with the user's own files of the names that this project's folders have."""
    for name in ("export.py", "runtime.py", "benchmarks.py", "spit_ref.py"):
        (tmp_path / name).write_text("raise SystemExit('the user\\'s own file was run')\n")
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "__init__.py").write_text("raise SystemExit('it, too')\n")
    return tmp_path


def test_wheel_has_one_name(installed) -> None:
    (site,) = installed.parent.parent.glob("lib/python*/site-packages")
    names = {path.name for path in site.iterdir() if path.suffix not in (".pth", ".dist-info")}
    assert names - {"__pycache__"} == {"spit_edge"}
    inside = {path.name for path in (site / "spit_edge").iterdir()}
    assert {"py.typed", "base", "export", "plugins", "runtime", "spit_ref"} <= inside
    assert not inside & {"benchmarks", "tests"}


def test_console_script_among_a_users_own_files(installed, crowded) -> None:
    for words in (["--help"], ["list"], ["plugins", "contracts"], ["build", "--help"]):
        done = run([str(installed.parent / "spit-edge"), *words], crowded)
        assert done.returncode == 0, done.stderr
    assert "spit_l16" in run([str(installed.parent / "spit-edge"), "list"], crowded).stdout
    for package in ("spit_edge", "spit_edge.export", "spit_edge.runtime", "spit_edge.plugins"):
        done = run([str(installed), "-m", package, "--help"], crowded)
        assert done.returncode == 0 and "usage: " in done.stdout, done.stderr


def test_session_among_a_users_own_files(installed, crowded, make_bundle) -> None:
    bundle = make_bundle(height=48, width=64).path
    done = run([str(installed), "-c", USE, str(bundle)], crowded)
    assert done.returncode == 0, done.stderr
    place, *rest = done.stdout.split(maxsplit=1)
    assert place.startswith(str(installed.parent.parent))
    assert rest == ["(1, 48, 64) False\n"]


def test_public_names(installed, crowded) -> None:
    program = (
        "import spit_edge\n"
        "assert set(spit_edge.__all__) <= set(dir(spit_edge))\n"
        "print(*(n for n in dir(spit_edge) if not n.startswith('_')))\n"
        "for name in spit_edge.__all__: getattr(spit_edge, name)\n"
    )
    done = run([str(installed), "-c", program], crowded)
    assert done.returncode == 0, done.stderr
    for name in ("Session", "Output", "Bundle", "load_model", "superpixel_merge", "SpitError"):
        assert name in done.stdout.split()


def test_types_arrive(installed, tmp_path) -> None:
    """No Any in what a user gets, but NumPy's own for the shapes of arrays."""
    (tmp_path / "script.py").write_text(SCRIPT)
    checker = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(installed)]
    done = run([*checker, "script.py"], tmp_path)
    revealed = re.findall(r'Revealed type is "(.*)"', done.stdout)
    assert len(revealed) == SCRIPT.count("reveal_type("), done.stdout
    for shown in revealed:
        assert "Any" not in shown.replace("tuple[Any, ...]", "shape"), shown
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(errors) == 1 and 'no attribute "Sesion"' in errors[0], done.stdout


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
