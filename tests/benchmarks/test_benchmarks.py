"""Rows, timings, results and what is made of them; nothing here depends on how fast anything is."""

from __future__ import annotations

import subprocess
import sys
import time

import msgspec
import pytest
from rich.console import Console

from benchmarks.__main__ import RESULTS, main
from benchmarks.machine import Company, Watch, commit, machine, versions
from benchmarks.result_tables import headline, shortened, tables
from benchmarks.results import Result, read_results, write_results
from benchmarks.suite import NAMES, Chart, Row, Suite, load_suite, timed_rows
from benchmarks.timing import Timing, summary, time_in_turn


def result(rows: list[Row], chart: Chart | None = None, others: float | None = 0.0) -> Result:
    return Result(
        suite="tokenizer",
        title="a title",
        notes=["a note"],
        chart=chart or Chart(kind="lines"),
        date="2026-01-02T03:04:05+00:00",
        command="python -m benchmarks",
        commit="0123456789abcdef+",
        rounds=7,
        threads=2,
        machine=machine(),
        versions=versions(),
        company=Company(load_before=0.5, load_after=0.6, others=others),
        rows=rows,
    )


def sample_rows() -> list[Row]:
    timings = {"ours, 2 threads": Timing(2.0, 1.5, 2.5), "peer": Timing(5.0, 4.0, 6.0)}
    rows = []
    for size in (224, 512):
        more = {"peer": {"regions": 191}}
        rows += timed_rows("labels", size, timings, "ours, 2 threads", more=more)
    return [*rows, Row(what="labels", size="any", variant="ours, GPU", note="no [GPU] here")]


def printed(made: Result) -> str:
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    for table in tables(made):
        console.print(table)
    return console.export_text()


def test_functions_are_timed_in_turn() -> None:
    calls: list[str] = []

    def slow(name: str) -> None:
        calls.append(name)
        time.sleep(0.06)

    timings = time_in_turn({"a": lambda: slow("a"), "b": lambda: slow("b")}, rounds=3)
    assert calls == ["a", "a", "b", "b"] + ["a", "b"] * 3
    assert all(60 <= timing.p10 <= timing.median <= timing.p90 for timing in timings.values())


def test_fast_functions_are_repeated_within_a_round() -> None:
    calls: list[int] = []
    timing = time_in_turn({"a": lambda: calls.append(1)}, rounds=5)["a"]
    assert len(calls) > 1000 and timing.median < 0.1


def test_summary_is_median_and_percentiles() -> None:
    assert summary([float(n) for n in range(11)]) == Timing(median=5.0, p10=1.0, p90=9.0)
    assert Timing(6.0, 3.0, 9.0).each(3) == Timing(2.0, 1.0, 3.0)


def test_ratios_are_taken_with_ours() -> None:
    assert [row.ratio for row in sample_rows()] == [1.0, 2.5, 1.0, 2.5, None]


def test_results_survive_json(tmp_path) -> None:
    made = result(sample_rows())
    write_results([made, made], tmp_path / "new" / "r.json")
    assert read_results(tmp_path / "new" / "r.json") == [made, made]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["r.json"]
    (tmp_path / "bad.json").write_text('[{"suite": 3}]')
    with pytest.raises(ValueError, match=r"bad\.json holds no results"):
        read_results(tmp_path / "bad.json")


def test_tables_show_every_figure_and_reason() -> None:
    text = printed(result(sample_rows()))
    for shown in ("labels", "224", "512", "ours, 2 threads", "2.50", "191", "no [GPU] here"):
        assert shown in text


@pytest.mark.parametrize(
    ("figure", "text"),
    [(None, ""), ("3 of 3", "3 of 3"), (199, "199"), (12345, "12,345"), (1234.5, "1,234"),
     (170.44, "170.4"), (4.267, "4.27"), (0.0123, "0.012"), (2.2e-7, "2.2e-07"), (0.0, "0.000")],
)  # fmt: skip
def test_numbers_are_shortened(figure, text) -> None:
    assert shortened(figure) == text


@pytest.mark.parametrize(
    ("others", "says"), [(0.02, "idle machine"), (0.4, "LOADED"), (None, "LOADED")]
)
def test_a_loaded_machine_is_told(others, says) -> None:
    assert says in headline(result(sample_rows(), others=others))[-1]


def test_processor_time_of_others_is_counted() -> None:
    """Half a core at least of a busy process that is no child that has ended."""
    watch = Watch()
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(1.0)
        others = watch.company().others
    finally:
        busy.kill()
        busy.wait()
    assert others is not None and others > 0.3


def test_own_processor_time_is_not_that_of_others() -> None:
    watch, began, start = Watch(), time.monotonic(), time.process_time()
    while time.process_time() - start < 1.0:
        pass
    own = 1.0 / (time.monotonic() - began)
    others = watch.company().others
    # Others may have been at work, but not on what this has used of the cores.
    assert others is not None and others <= machine().cores - own + 0.1


@pytest.mark.parametrize("chart", [Chart(kind="lines"), Chart(kind="bars"),
                                   Chart(kind="bars", value="regions")])  # fmt: skip
@pytest.mark.parametrize("kind", ["svg", "png"])
def test_plots_are_small_and_name_what_they_show(tmp_path, chart, kind) -> None:
    from benchmarks.plots import draw

    path = tmp_path / f"plot.{kind}"
    assert draw(result(sample_rows(), chart), path)
    assert 1000 < path.stat().st_size < 200_000
    if kind == "svg":
        text = path.read_text()
        assert ">peer<" in text and ("ours, 2 threads" in text) == (chart.value == "median")
        again = tmp_path / "again.svg"
        draw(result(sample_rows(), chart), again)
        assert again.read_bytes() == path.read_bytes()


def test_nothing_is_drawn_without_figures(tmp_path) -> None:
    from benchmarks.plots import draw

    assert not draw(result([Row(what="w", size=1, variant="v")]), tmp_path / "plot.svg")
    assert not list(tmp_path.iterdir())


def test_report_makes_tables_and_plots_without_measuring(tmp_path, capsys) -> None:
    write_results([result(sample_rows())], tmp_path / "tokenizer.json")
    assert main(["report", str(tmp_path / "tokenizer.json"), "--out", str(tmp_path / "out")]) == 0
    assert "a title" in capsys.readouterr().out
    made = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert set(made) == {"tokenizer.svg", "README.md"}
    page = made["README.md"]
    assert "](tokenizer.svg)" in page and "|  | peer | 5.00 | 4.00 | 6.00 | 2.50 | 191 |  |" in page


def test_no_other_page_is_overwritten(tmp_path, capsys) -> None:
    file, page = tmp_path / "all.json", tmp_path / "README.md"
    write_results([result(sample_rows())], file)
    page.write_text("# A project")
    assert main(["report", str(file), "--out", str(tmp_path)]) == 2
    assert "is not a page of results" in capsys.readouterr().err
    # Without --out, some results make no page.
    assert main(["report", str(file)]) == 0
    assert page.read_text() == "# A project"


def test_json_on_stdout(monkeypatch, capsys) -> None:
    made = result(sample_rows())
    monkeypatch.setattr("benchmarks.__main__.run_suite", lambda *_: made)
    assert main(["tokenizer", "--json"]) == 0
    printed = capsys.readouterr()
    assert msgspec.json.decode(printed.out, type=list[Result]) == [made]
    assert "tokenizer: done" in printed.err


def test_json_after_every_suite(tmp_path, monkeypatch) -> None:
    """What was measured for hours is not lost to the last suite."""
    made = result(sample_rows())

    def run(suite: Suite, _: object) -> Result:
        if suite.name == "features":
            raise ValueError("no memory")
        return made

    monkeypatch.setattr("benchmarks.__main__.run_suite", run)
    file = tmp_path / "all.json"
    assert main(["tokenizer", "features", "--json", str(file)]) == 2
    assert read_results(file) == [made]


@pytest.mark.parametrize("option", ["--json", "--out"])
def test_a_place_that_cannot_be_written_is_found_before_the_work(
    option, tmp_path, monkeypatch, capsys
) -> None:
    def run(*_: object) -> None:
        pytest.fail("it was measured")

    monkeypatch.setattr("benchmarks.__main__.run_suite", run)
    (tmp_path / "tokenizer.json").mkdir()
    place = tmp_path if option == "--out" else tmp_path / "tokenizer.json"
    assert main(["tokenizer", option, str(place)]) == 2
    assert "it is a folder" in capsys.readouterr().err


def test_commit_is_that_of_the_sources() -> None:
    """The + says that the sources are not those of the commit; results are none of them."""
    assert "commit 0123456789ab+" in headline(result(sample_rows()))[1]
    words = ["git", "status", "--porcelain", "-uno", "--", ".", ":!benchmarks/results"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=RESULTS.parent.parent)
    if done.returncode == 0:
        assert commit().endswith("+") == bool(done.stdout.strip())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--json", "tokenizer"], "put --json last"),
        (["tokenizer", "--rounds", "4"], "tokenizer must be at least 5, not 4"),
        (["export", "--rounds", "2"], "export must be at least 3, not 2"),
        (["speed"], "there is no suite speed"),
        (["report", "no/such.json"], "No such file"),
    ],
)
def test_what_cannot_be_done_is_said(words, says, capsys) -> None:
    assert main(words) == 2
    assert says in capsys.readouterr().err


def test_every_suite_loads_under_its_name() -> None:
    for name in NAMES:
        suite = load_suite(name)
        assert suite.name == name and suite.title and (suite.sizes or suite.models)


def test_kept_results_can_be_read() -> None:
    for name in NAMES:
        file = RESULTS / f"{name}.json"
        assert file.with_suffix(".svg").is_file()
        for made in read_results(file):
            assert made.suite == file.stem and made.rows
            assert made.rounds >= load_suite(made.suite).least_rounds
            assert msgspec.json.decode(msgspec.json.encode(made), type=Result) == made
