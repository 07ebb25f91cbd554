"""What documents name exists: links, make targets, commands, options; and the site builds."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", flags=re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"python -m (export|runtime|plugins|benchmarks)\b([^`\n|;#)]*)")
SCRIPT = re.compile(r"(?:^|`|\$\()spit-edge ([^`\n|;#)]*)", flags=re.MULTILINE)
REFERENCE = re.compile(r"docs/algorithm\.md, sections? (\d(?: and \d)*)")
WITHOUT_SUBCOMMANDS = "benchmarks"


def test_pages_are_found() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/algorithm.md"} <= set(NAMES)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    prose = FENCE.sub("", page.read_text())
    missing = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"https?:", link):
            continue
        target, _, heading = link.partition("#")
        place = page.parent / target if target else page
        if not place.exists() or (heading and heading not in headings(place)):
            missing.append(link)
    assert not missing


def headings(page: Path) -> set[str]:
    """The anchors that GitHub and the site make of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    # In the table of the README, further targets stand behind the first.
    for target in re.findall(r"`make\s+([\w-]+)`", page.read_text()) + make_lines(page):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def make_lines(page: Path) -> list[str]:
    return re.findall(r"^make (\S+)", code_of(page), flags=re.MULTILINE)


def code_of(page: Path) -> str:
    """All blocks of code, lines that go on with a backslash joined."""
    return "\n".join(code for _, code in FENCE.findall(page.read_text())).replace("\\\n", " ")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_commands_and_options_exist(page: Path) -> None:
    unknown = []
    for module, rest in commands_of(page):
        words = [word for word in rest.split() if re.match(r"[\w-]", word)]
        options = {word.split("=")[0] for word in words if re.match(r"--[a-z]", word)}
        command = "" if module == WITHOUT_SUBCOMMANDS else next(iter(words), "")
        if (not command and not options) or not re.fullmatch(r"[a-z-]*", command):
            continue
        known = help_of(module, command)
        unknown += [f"{module} {command} {option}" for option in options if option not in known]
    assert not unknown


def commands_of(page: Path) -> list[tuple[str, str]]:
    """Module and arguments of every command, in a line of code or between backticks."""
    text = page.read_text().replace("\\\n", " ")
    prose = " ".join(re.findall(r"`[^`\n]+`", FENCE.sub("", text)))
    found = COMMAND.findall(text)
    for rest in SCRIPT.findall(code_of(page)) + SCRIPT.findall(prose):
        module, words = (
            ("plugins", rest[8:]) if rest.startswith("plugins ") else ("spit_edge", rest)
        )
        found.append((module, words))
    return found


@cache
def help_of(module: str, command: str) -> frozenset[str]:
    """The options that a command's help names; fails if there is no such command."""
    words = [sys.executable, "-m", module, *([command] if command else []), "--help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{module} {command}: {done.stderr}"
    return frozenset(re.findall(r"--[a-z][\w-]*", done.stdout))


def test_comments_refer_to_sections_that_exist() -> None:
    sections = re.findall(
        r"^## (\d)\. ", (ROOT / "docs/algorithm.md").read_text(), flags=re.MULTILINE
    )
    sources = [
        path
        for folder in ("plugins", "spit_ref", "runtime", "export", "tests")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".hpp", ".cpp", ".cu", ".cuh", ".txt", ".h"} and path.is_file()
    ]
    found = 0
    for path in sources:
        for numbers in REFERENCE.findall(path.read_text()):
            assert set(re.findall(r"\d", numbers)) <= set(sections), path
            found += 1
    assert found >= 10


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going"]
    words += ["--doctree-dir", str(tmp_path / "doctrees")]
    words += [str(ROOT / "docs"), str(tmp_path / "site")]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for page in ("index", "api", *(path.stem for path in (ROOT / "docs").glob("*.md"))):
        assert (tmp_path / "site" / f"{page}.html").is_file()
    # The arguments of a docstring stand in a list; the README is the first page.
    assert "<dt><code" in (tmp_path / "site/api.html").read_text().replace("\n", "")
    assert "superpixel vision transformer" in (tmp_path / "site/index.html").read_text()
