"""The plugin library's shells, driven as TensorRT drives them, with kernels on the CPU."""

from __future__ import annotations

import os
import subprocess

import pytest

from spit_edge.base.contracts import CONTRACTS
from tests.plugins.tensorrt.conftest import HostBuild
from tests.plugins.tensorrt.plugin_cases import write_cases


@pytest.fixture(scope="module")
def results(host_build: HostBuild, tmp_path_factory) -> dict[str, str]:
    """Each of the program's tests, and what it said if it failed."""
    cases = tmp_path_factory.mktemp("cases")
    write_cases(cases)
    done = subprocess.run(
        [host_build.program],
        env=os.environ | {"SPIT_CASES": str(cases)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode in (0, 1), done.stdout
    parts = [part.partition("\n") for part in done.stdout.split("RUN ")[1:]]
    return {name: "" if said == f"OK {name}\n" else said for name, _, said in parts}


@pytest.mark.parametrize("suite", ["Fields", "Shapes", "Types", "Workspace", "Results"])
def test_plugins_in_the_test_host(results, suite) -> None:
    tests = {name: text for name, text in results.items() if name.startswith(f"{suite}.")}
    assert tests and not any(tests.values()), "\n".join(tests.values())


def test_every_test_of_the_host_ran(results) -> None:
    assert len(results) == 25


def test_creators_list_the_fields_of_the_contracts(host_build) -> None:
    printed = subprocess.run(
        [host_build.program, "--fields"], capture_output=True, text=True, check=True
    ).stdout
    wanted = []
    for contract in CONTRACTS:
        wanted.append(f"{contract.name} 1 ''")
        wanted += [f"  {field.name} {field.type}" for field in contract.fields]
    assert printed.splitlines() == wanted
