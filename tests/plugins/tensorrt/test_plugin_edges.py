"""The C functions and the plugins' creators refuse what the contracts refuse, in the same words,
and take the rest."""

from __future__ import annotations

import ctypes
import subprocess
from typing import Any

import numpy as np
import pytest

from spit_edge.base.contracts import CONTRACTS, Contract
from spit_edge.plugins.generate import has_images
from spit_edge.runtime.cuda import kernels
from spit_edge.runtime.cuda.kernels import SpitImages, TokenizerLibrary
from spit_edge.runtime.errors import ExecutionError
from tests.plugins.contract_edges import EDGES, Edge, name_of
from tests.plugins.tensorrt.conftest import HostBuild

STRUCTURES: dict[str, Any] = {
    kind.contract.name: kind
    for kind in (kernels.SpitMerge, kernels.SpitFeatures, kernels.SpitVoronoi)
}


@pytest.fixture(scope="module")
def library(host_build: HostBuild) -> TokenizerLibrary:
    return TokenizerLibrary.load(host_build.library)


def number(contract: Contract, name: str, value: Any) -> Any:
    """As C has it."""
    (field,) = (field for field in contract.fields if field.name == name)
    return field.choices.index(value) if field.choices else value


def workspace(library: TokenizerLibrary, contract: Contract, attributes: dict[str, Any]) -> int:
    numbers = {name: number(contract, name, value) for name, value in attributes.items()}
    defaults = {f.name: number(contract, f.name, f.default) for f in contract.fields if f.default}
    given = {**defaults, **numbers}
    if has_images(contract):
        images = SpitImages(0, 1, given.pop("pixels", 0), 1, 4, 5)
        return library.workspace(STRUCTURES[contract.name](images=images, **given))
    # One side at its largest leaves room for no more.
    sides = [name for name in ("height", "width") if given[name] > 1000]
    given |= {name: 1 for name in ("height", "width") if sides and name not in sides}
    return library.workspace(STRUCTURES[contract.name](batch=1, **given))


@pytest.mark.parametrize("edge", [e for e in EDGES if e.is_typed], ids=name_of)
def test_c_functions_agree(library: TokenizerLibrary, edge: Edge) -> None:
    if edge.field.choices and edge.says is not None:
        return  # below, as numbers
    if edge.says is not None and "digits" in edge.says:
        return  # only text has digits
    if edge.says is None:
        assert workspace(library, edge.contract, edge.attributes) > 0
        return
    with pytest.raises(ExecutionError) as refused:
        workspace(library, edge.contract, edge.attributes)
    assert str(refused.value) == edge.says


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.name)
def test_c_functions_refuse_numbers_of_no_choice(library, contract: Contract) -> None:
    for field in contract.fields:
        for bad in (-1, len(field.choices)) if field.choices else ():
            images = SpitImages(0, 1, bad if field.name == "pixels" else 0, 1, 4, 5)
            given = {"max_tokens": 4, "bins": 2, "sigma": 0.1} if len(contract.fields) > 4 else {}
            if field.name != "pixels":
                given[field.name] = bad
            with pytest.raises(ExecutionError) as refused:
                library.workspace(STRUCTURES[contract.name](images=images, **given))
            assert (
                str(refused.value) == f"{contract.name}: {field.name} must {field.fit}, not {bad}"
            )


def line_of(edge: Edge) -> str | None:
    """The fields of a call as plugin_host reads them; None for what no field can hold."""
    words = []
    for name, value in edge.attributes.items():
        kind = {int: "int", float: "float", str: "string"}.get(type(value))
        if kind is None or value == "" or (kind == "int" and abs(value) >= 2**31):
            return None
        words.append(f"{kind} {name} {value!r}" if kind != "string" else f"{kind} {name} {value}")
    return " ".join(words)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.name)
def test_creators_agree(host_build: HostBuild, contract: Contract) -> None:
    edges = {e: line for e in EDGES if e.contract is contract and (line := line_of(e)) is not None}
    assert len(edges) >= 3 * len(contract.fields)
    done = subprocess.run(
        [host_build.program, "--create", contract.name],
        input="".join(f"{line}\n" for line in edges.values()),
        capture_output=True,
        text=True,
        check=True,
    )
    for edge, said in zip(edges, done.stdout.splitlines(), strict=True):
        says = edge.says or "made"
        if "digits" in says:
            says = "made"  # only text has digits
        if not edge.is_typed:
            says = says.partition(", not ")[0]  # of another type, its value is not known
        assert said == says, name_of(edge)


def test_arguments_that_are_missing(host_build: HostBuild) -> None:
    library = ctypes.CDLL(str(host_build.library))
    library.spit_fault_text.restype = ctypes.c_char_p
    assert library.spit_superpixel_merge(None, None) == 1
    assert library.spit_fault_text() == b"SuperpixelMerge: there are no arguments"
    image = np.zeros((1, 3, 4, 5), np.uint8)
    merge = kernels.SpitMerge(images=SpitImages(image.ctypes.data, 0, 0, 1, 4, 5))
    assert library.spit_superpixel_merge(ctypes.byref(merge), None) == 1
    assert library.spit_fault_text() == b"SuperpixelMerge: labels must be an address, not 0"
