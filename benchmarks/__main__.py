"""``python -m benchmarks``: tables of medians, with peers in the same run."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys

# Before torch loads OpenMP: threads that spin while they wait disturb what is measured next.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from rich import box
from rich.table import Table

from benchmarks import tokenizer
from runtime.progress import console


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suite", choices=["tokenizer"], nargs="?", default="tokenizer")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(tokenizer.SIZES))
    parser.add_argument("--json", metavar="FILE", help="write the numbers to a file, too")
    options = parser.parse_args(arguments)
    cases = tokenizer.run(tuple(options.sizes))
    table = Table(
        title=f"tokenizer, ms (median of 7 rounds) on {platform.machine()}, {os.cpu_count()} cores",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("what")
    for size in options.sizes:
        table.add_column(f"{size}²", justify="right")
    found = {(name, size): timing for name, size, timing in cases}
    for name in dict.fromkeys(name for name, _, _ in cases):
        table.add_row(
            name,
            *(
                f"{found[name, size].median:.2f}" if (name, size) in found else ""
                for size in options.sizes
            ),
        )
    console().print(table)
    if options.json:
        rows = [{"what": name, "size": size, **vars(timing)} for name, size, timing in cases]
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
