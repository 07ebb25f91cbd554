"""A real TensorRT, the one for RTX, which needs no GPU for this: its registry and its ONNX parser
find the plugins.  It takes none into a network and ends the process after making one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spit_edge.base.contracts import CONTRACTS, Contract

pytest.importorskip(
    "tensorrt_rtx", reason="TensorRT-RTX is not installed: pip install tensorrt-rtx"
)

PROGRAM = """
import sys
import tensorrt_rtx as trt

registry = trt.get_plugin_registry()
assert registry.load_library(sys.argv[1]) is not None
for creator in registry.all_creators:
    print("CREATOR", creator.name, creator.plugin_version, repr(creator.plugin_namespace))
if len(sys.argv) > 2:
    logger = trt.Logger(trt.Logger.ERROR)
    network = trt.Builder(logger).create_network(0)
    sys.stdout.flush()
    trt.OnnxParser(network, logger).parse_from_file(sys.argv[2])
"""


def parse(*paths: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, paths)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )


def test_the_registry_lists_the_creators(cuda_library) -> None:
    done = parse(cuda_library.path)
    assert done.returncode == 0, done.stderr
    for contract in CONTRACTS:
        assert f"CREATOR {contract.name} 1 ''" in done.stdout.splitlines()


# The first plugin of each model; the others would never be reached.
@pytest.mark.parametrize(
    ("contract", "options", "given"),
    [
        (CONTRACTS[0], {}, {"levels": 4, "compactness": 0.0}),
        (
            CONTRACTS[1],
            {"model": "vit_s16", "weights": "random"},
            {"max_tokens": 64, "bins": 16, "sigma": 0.025, "interpolation": "nearest"},
        ),
        (
            CONTRACTS[2],
            {"model": "rvit_s16", "weights": "random"},
            {"height": 48, "width": 64},
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Contract) else "",
)
def test_the_parser_hands_over_every_attribute(
    host_build, make_bundle, contract, options, given
) -> None:
    bundle = make_bundle(height=48, width=64, **options)
    done = parse(
        host_build.recorder, bundle.path / "model.onnx", SPIT_RECORDED=str(host_build.library)
    )
    lines = done.stdout.splitlines()
    created = lines.index(f"CREATE {contract.name} build")
    fields = contract.fields
    received = [line.split(" ") for line in lines[created + 1 : created + 1 + len(fields)]]
    values = contract.attribute_values(given)
    for field, (_, name, kind, *rest) in zip(fields, received, strict=True):
        assert name == field.name
        if field.type == "string":
            assert (kind, rest) == ("char", [values[name]])
        else:
            assert (kind, rest[0]) == ({"int": "int32", "float": "float32"}[field.type], "1")
            assert float(rest[1]) == pytest.approx(values[name], rel=1e-7)
    assert lines[created + 1 + len(fields)] == "MADE"
    # What is known of it: it takes no plugins, and says so by std::terminate.
    assert done.returncode == -6 and "terminate called" in done.stderr


def test_the_library_for_gpus_makes_the_plugin_too(cuda_library, host_build, make_bundle) -> None:
    model = make_bundle(height=48, width=64).path / "model.onnx"
    done = parse(host_build.recorder, model, SPIT_RECORDED=str(cuda_library.path))
    assert done.stdout.splitlines()[-1] == "MADE", done.stderr
