"""What is shipped: files of wheel and source distribution, metadata, licences, workflows."""

from __future__ import annotations

import email.parser
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from pathlib import Path, PurePosixPath

import pytest
import yaml

ROOT = Path(__file__).parent.parent
FOLDERS = {"base", "export", "plugins", "runtime", "spit_ref"}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the checkout, with the build tools of this environment."""
    folder = tmp_path_factory.mktemp("sdist")
    program = f"from scikit_build_core.build import build_sdist; build_sdist({str(folder)!r})"
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True)
    (archive,) = folder.glob("spit_edge-*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source distribution alone, as pip does it on a device."""
    folder = tmp_path_factory.mktemp("wheel")
    words = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    words += ["--wheel-dir", str(folder), str(sdist)]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    (made,) = folder.glob("spit_edge-*.whl")
    return made


def files_in(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def metadata_of(wheel: Path) -> Message:
    (name,) = (name for name in files_in(wheel) if name.endswith(".dist-info/METADATA"))
    text = zipfile.ZipFile(wheel).read(name).decode()
    return email.parser.Parser().parsestr(text)


@pytest.mark.slow
def test_wheel_holds_one_package_and_its_data(wheel: Path) -> None:
    files = files_in(wheel)
    tops = {PurePosixPath(name).parts[0] for name in files}
    assert tops == {"spit_edge", f"{wheel.name.rsplit('-', 3)[0]}.dist-info"}
    inner = {PurePosixPath(name).parts[1] for name in files if name.startswith("spit_edge/")}
    assert inner == FOLDERS | {"__init__.py", "py.typed"} | {
        path.name for path in (ROOT / "spit_edge").glob("*.py")
    }
    assert not {name for name in files if "tests" in name.split("/") or "benchmarks" in name}
    for needed in (
        "runtime/data/imagenet1k.txt",
        "runtime/data/spit-edge@.service",
        "runtime/photos/chelsea.jpg",
        "runtime/photos/README.md",
        "plugins/kernels/exact_nvcc_flags.txt",
        "export/report/templates/report.html",
    ):
        assert f"spit_edge/{needed}" in files
    assert any(name.startswith("spit_edge/plugins/native/_native.") for name in files)


@pytest.mark.slow
def test_wheel_has_licences_and_metadata(wheel: Path) -> None:
    licences = {name.rsplit("/", 1)[1] for name in files_in(wheel) if "/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE"}
    metadata = metadata_of(wheel)
    assert metadata["Name"] == "spit-edge" and metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.10"
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert {"export", "tensorrt", "docs", "test"} <= set(metadata.get_all("Provides-Extra", []))
    assert not any(line.startswith("torch") and "extra ==" not in line
                   for line in metadata.get_all("Requires-Dist", []))  # fmt: skip


@pytest.mark.slow
def test_the_wheel_gives_the_labels_that_it_gives_everywhere(wheel: Path, tmp_path: Path) -> None:
    """What cibuildwheel runs for every wheel, here in a folder with other people's packages."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")
    for name in ("export", "runtime", "plugins"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    program = "import sys, runpy; sys.path[:0] = sys.argv[1:3]; "
    program += "runpy.run_path(sys.argv[3], run_name='__main__')"
    words = [str(tmp_path / "installed"), str(tmp_path), str(ROOT / "tests/installed_wheel.py")]
    site = [path for path in sys.path if path.endswith("site-packages")]
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, *words],
        cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": ":".join(site)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "as everywhere" in done.stdout


def test_source_distribution_holds_what_it_takes_to_build_and_test(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    names |= {str(folder) for name in names for folder in PurePosixPath(name).parents}
    for needed in ("LICENSE", "NOTICE", "CITATION.cff", "CHANGELOG.md", "CONTRIBUTING.md",
                   "README.md", "pyproject.toml", "CMakeLists.txt", "Makefile",
                   "docs/algorithm.md", "docs/conf.py", "tests/test_packaging.py",
                   "plugins/kernels"):  # fmt: skip
        assert needed in names
    assert not {name for name in names if name.startswith(("build/", ".venv", "dist/"))}


def test_notice_names_what_is_of_others() -> None:
    notice = (ROOT / "NOTICE").read_text()
    for named in ("arXiv 2408.07680", "Digital Signal Processing and Image Analysis", "torchvision",
                  "Soumith Chintala", "Redistributions in binary form", "Cephes",
                  "tests/data/jetson", "tests/data/tensorrt_api"):  # fmt: skip
        assert named in notice
    for photograph in (ROOT / "runtime/photos").glob("*.jpg"):
        assert photograph.name in notice


def test_citation_is_of_this_version_and_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0" and citation["license"] == "MIT"
    assert f'version = "{citation["version"]}"' in (ROOT / "pyproject.toml").read_text()
    paper = citation["preferred-citation"]
    assert paper["authors"][0]["family-names"] == "Aasan"
    assert paper["identifiers"][0]["value"] == "arXiv:2408.07680"


def test_workflows_run_what_there_is() -> None:
    workflows = {path.stem: path for path in (ROOT / ".github/workflows").glob("*.yml")}
    assert set(workflows) == {"ci", "wheels"}
    for path in workflows.values():
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"] == {"contents": "read"}
        for job in workflow["jobs"].values():
            assert job["runs-on"] and all("uses" in step or "run" in step for step in job["steps"])
    assert "bash .ci/run" in workflows["ci"].read_text() and (ROOT / ".ci/run").is_file()
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in hooks] == ["local"]
