"""``python -m benchmarks``: measurements side by side with peers, as tables, JSON and plots."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.result_tables import headline, markdown, tables
from benchmarks.results import Result, read_results, run_suite, write_results
from benchmarks.suite import NAMES, QUICK, QUICK_SIZES, Settings, load_suite
from spit_edge.base.command_line import DONE, guarded
from spit_edge.base.errors import SpitError
from spit_edge.base.files import check_writable, json_file, whole_file
from spit_edge.base.install import pip_install
from spit_edge.base.progress import console
from spit_edge.base.ranges import COUNT, SIDE, THREADS
from spit_edge.runtime.bundle.manifest import PRECISIONS

RESULTS = Path(__file__).parent / "results"
PAGE_TITLE = "# Results"
STDOUT = Path("-")
EXPECTED = (SpitError, ValueError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["report"]:
        options = _report_parser().parse_args(words[1:])
        return guarded(lambda: _report(options), EXPECTED)
    options = _parser().parse_args(words)
    return guarded(lambda: _run(options), EXPECTED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="python -m benchmarks report [FILE ...]: tables and plots without measuring",
    )
    quick = f"{' and '.join(QUICK)} at {' and '.join(str(side) for side in QUICK_SIZES)} pixels"
    parser.add_argument(
        "suites", nargs="*", metavar="suite", help=f"{', '.join(NAMES)}, or all [{quick}]"
    )
    parser.add_argument("--sizes", type=SIDE, nargs="+", help="sides of images, in pixels")
    parser.add_argument("--models", nargs="+", help="models of the zoo")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=["fp32", "fp16"])
    parser.add_argument("--rounds", type=COUNT, help="at least 5 [7]; of export, 3 [3]")
    parser.add_argument(
        "--threads",
        type=THREADS,
        default=os.cpu_count() or 1,
        help="of every variant [%(default)s]",
    )
    parser.add_argument("--bundles", type=Path, metavar="DIR", help="keep exported models here")
    parser.add_argument(
        "--json",
        type=Path,
        nargs="?",
        const=STDOUT,
        metavar="FILE",
        help="write all results to a file, or to stdout instead of tables",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="write a file and a plot per suite")
    return parser


def _report_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks report",
        description="Tables, plots and README.md of results, without measuring.",
    )
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help=f"JSON [all in {RESULTS.name}/]"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to [beside the first file]")
    return parser


def _run(options: argparse.Namespace) -> int:
    names = NAMES if "all" in options.suites else options.suites or QUICK
    if unknown := set(names) - set(NAMES):
        raise ValueError(f"there is no suite {min(unknown)}: choose from {', '.join(NAMES)}, all")
    if options.json and options.json.name in NAMES:
        raise ValueError(f"--json {options.json} would write a file of that name: put --json last")
    suites = [load_suite(name) for name in names]
    for suite in suites:
        if options.rounds is not None and options.rounds < suite.least_rounds:
            raise ValueError(
                f"--rounds of {suite.name} must be at least {suite.least_rounds}, "
                f"not {options.rounds}"
            )
    # Before the work, which may take an hour.
    files = [options.out / f"{suite.name}.json" for suite in suites] if options.out else []
    files += [options.json] if options.json and options.json != STDOUT else []
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        check_writable(file)
    results = []
    for suite in suites:
        settings = Settings(
            sizes=tuple(options.sizes or (suite.sizes if options.suites else QUICK_SIZES)),
            models=tuple(options.models or suite.models),
            precisions=tuple(options.precisions),
            rounds=options.rounds or suite.rounds,
            threads=options.threads,
            bundles=options.bundles,
        )
        result = run_suite(suite, settings)
        results.append(result)
        if options.json == STDOUT:
            _say(f"{suite.name}: done")
        else:
            _print(result)
        if options.json and options.json != STDOUT:
            write_results(results, options.json)
        if options.out:
            write_results([result], options.out / f"{suite.name}.json")
            _draw(result, options.out)
    if options.json == STDOUT:
        sys.stdout.write(json_file(results).decode())
    return DONE


def _report(options: argparse.Namespace) -> int:
    files = options.files or sorted(RESULTS.glob("*.json"))
    if not files:
        raise ValueError(
            f"there are no results in {RESULTS}: python -m benchmarks all --out {RESULTS}"
        )
    folder = options.out or files[0].parent
    results = [result for file in files for result in read_results(file)]
    sections = []
    for result in sorted(results, key=lambda result: NAMES.index(result.suite)):
        _print(result)
        sections.append(markdown(result, _draw(result, folder)))
    # Only some results are no page of results.
    if options.out or not options.files:
        _write_page(folder / "README.md", sections)
    return DONE


def _write_page(page: Path, sections: Sequence[str]) -> None:
    if page.exists() and not page.read_text(encoding="utf-8").startswith(PAGE_TITLE):
        raise ValueError(f"{page} is not a page of results: choose another folder")
    with whole_file(page) as stream:
        stream.write("\n".join([f"{PAGE_TITLE}\n", *sections]).encode())
    print(page)


def _print(result: Result) -> None:
    out = console()
    for line in headline(result):
        out.print(line, markup=False)
    for table in tables(result):
        out.print(table)
    for note in result.notes:
        out.print(note, markup=False)
    out.print()


def _say(what: str) -> None:
    """Beside the results, which go to stdout."""
    print(what, file=sys.stderr)


def _draw(result: Result, folder: Path) -> str | None:
    """The name of the plot in ``folder``, if there is one."""
    from benchmarks.plots import draw

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.suite}.svg"
    try:
        drawn = draw(result, path)
    except ImportError as error:
        _say(f"no plot: {error}; {pip_install('bench')}")
        return None
    if drawn:
        _say(str(path))
    return path.name if drawn else None


if __name__ == "__main__":
    sys.exit(main())
