"""The site that ``make docs`` makes: README, docs/*.md, and the API from its docstrings."""

from __future__ import annotations

import os.path
import re
from pathlib import Path

from sphinx.application import Sphinx

from spit_edge.base.install import PACKAGE, installed_versions

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

project = PACKAGE
author = "spit-edge contributors"
release = installed_versions(PACKAGE)[PACKAGE]
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_heading_anchors = 3
highlight_language = "none"  # of blocks that name none: output, tables of keys
default_role = "py:obj"  # single backticks in docstrings: a link if there is such a thing
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 80
suppress_warnings = ["myst.header"]
smartquotes = False  # they make a dash of --option

html_theme = "furo"
html_title = PACKAGE
html_copy_source = False
html_show_copyright = False
html_domain_indices = False
html_theme_options = {"source_edit_link": "", "source_view_link": ""}
html_static_path = ["site.css"]
html_css_files = ["site.css"]

LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
ENTRY = re.compile(r"(\S+(?:, \S+)*) {2,}(\S.*)")


def rewrite_page(_: Sphinx, page: str, source: list[str]) -> None:
    """The first page is the README; links that leave the docs become paths in the checkout."""
    folder = DOCS
    if page == "index":
        folder = ROOT
        source[0] = (ROOT / "README.md").read_text(encoding="utf-8") + source[0]
    source[0] = LINK.sub(lambda link: _rewritten(link, folder), source[0])


def _rewritten(link: re.Match[str], folder: Path) -> str:
    image, text, target = link.groups()
    if re.match(r"https?:|#", target):
        return link.group()
    path = os.path.relpath(folder / target, DOCS)
    if image or not path.startswith("."):
        return f"{image}[{text}]({path})"
    place = f"`{os.path.relpath(folder / target, ROOT)}`"
    return place if text.startswith("`") else f"{text} ({place})"


def format_docstring(
    _: Sphinx, kind: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Aligned tables of arguments, ``name  meaning``, become lists of definitions."""
    paragraphs = "\n".join(lines).split("\n\n")
    lines[:] = "\n\n".join(_definitions(paragraph) for paragraph in paragraphs).split("\n")


def _definitions(paragraph: str) -> str:
    lines = paragraph.strip("\n").split("\n")
    if not ENTRY.fullmatch(lines[0]) or any(line.startswith("==") for line in lines):
        return paragraph
    entries: list[str] = []
    for line in lines:
        entry = ENTRY.fullmatch(line)
        if entry:
            entries.append(f"``{entry[1]}``\n    {entry[2]}")
        elif line.startswith("   ") and entries:
            entries[-1] += f" {line.strip()}"
        else:
            return paragraph
    return "\n".join(entries)


def setup(app: Sphinx) -> None:
    app.connect("source-read", rewrite_page)
    app.connect("autodoc-process-docstring", format_docstring)
