"""A suite's rows with all that is needed to judge them, in JSON."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from benchmarks.machine import Company, Machine, Watch, commit, machine, versions
from benchmarks.suite import Chart, Row, Settings, Suite
from spit_edge.base.files import json_file, whole_file


class Result(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one run of a suite gave."""

    suite: str
    title: str
    notes: list[str]
    chart: Chart
    date: str
    command: str
    commit: str
    rounds: int
    threads: int
    machine: Machine
    versions: dict[str, str]
    company: Company
    rows: list[Row]


def run_suite(suite: Suite, settings: Settings) -> Result:
    """Measure a suite."""
    date = datetime.now(timezone.utc).isoformat(timespec="seconds")
    where, at = machine(), commit()
    watch = Watch()
    rows = list(suite.measure(settings))
    return Result(
        suite=suite.name,
        title=suite.title,
        notes=list(suite.notes),
        chart=suite.chart,
        date=date,
        command=shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        commit=at,
        rounds=settings.rounds,
        threads=settings.threads,
        machine=where,
        versions=versions(),
        company=watch.company(),
        rows=rows,
    )


def write_results(results: list[Result], path: Path) -> None:
    """All results in one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as stream:
        stream.write(json_file(results))


def read_results(path: Path) -> list[Result]:
    """The results in a file.  Raises ValueError, which names it, if there are none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Result])
    except msgspec.DecodeError as error:
        raise ValueError(f"{path} holds no results of benchmarks: {error}") from error
