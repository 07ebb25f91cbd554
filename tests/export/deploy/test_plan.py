"""What is decided from a device's facts, without a device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed

from spit_edge.base.contracts import CONTRACTS
from spit_edge.base.install import pip_install
from spit_edge.export.deploy.errors import DeployError
from spit_edge.export.deploy.needs import check_needs, compute_needs
from spit_edge.export.deploy.package import Package, PackedFile, make_package
from spit_edge.export.deploy.plan import Plan, make_plan, misfit
from spit_edge.export.deploy.target import DeployOptions, Facts, Gpu
from spit_edge.plugins.plugin_library import PluginLibrary
from spit_edge.runtime.backends.records import RECORDS
from spit_edge.runtime.bundle.folder import Bundle

ORIN = Facts(
    root="/home/u/spit-edge/b",
    machine="aarch64",
    python="3.12.3",
    venv=True,
    numpy="1.26.4",
    tensorrt="10.16.0",
    to_compile=[],
    gpu=Gpu(sm=87, cuda=13020),
    jetson="NVIDIA Jetson Orin Nano, JetPack 7.2",
    rsync=True,
    disk_free=10**11,
    memory_free=6 * 10**9,
    current=None,
    previous=None,
)
SERVER = changed(ORIN, gpu=None, tensorrt=None, machine="x86_64", jetson=None)
LIBRARY = PluginLibrary(
    path=Path("libspit_plugins.so"),
    version="0.1.0",
    variant="cuda",
    machine="aarch64",
    cuda=13000,
    tensorrt="10.14.1",
    architectures=(87, 110),
    contracts={contract.name: contract.version for contract in CONTRACTS},
)


@pytest.fixture
def package(make_bundle) -> Iterator[Package]:
    with make_package(Bundle.open(make_bundle(height=48, width=64).path)) as made:
        yield replace(made, plugins={"plugins/0/libspit_plugins.so": LIBRARY})


def decided(package: Package, facts: Facts, **wishes: object) -> Plan:
    return make_plan(package, facts, DeployOptions(**wishes))  # type: ignore[arg-type]


def test_orin_takes_the_prebuilt_library(package) -> None:
    plan = decided(package, ORIN)
    assert (plan.part, plan.backend, plan.extras) == ("full", "tensorrt", "tensorrt")
    assert plan.prebuilt == "plugins/0/libspit_plugins.so" and plan.build_sm is None


@pytest.mark.parametrize(
    "facts, why",
    [
        (changed(ORIN, gpu=Gpu(sm=87, cuda=12060)), "CUDA 13.0"),
        (changed(ORIN, gpu=Gpu(sm=72, cuda=13020)), "no code for sm_72"),
        (changed(ORIN, machine="x86_64"), "for aarch64"),
        (changed(ORIN, gpu=Gpu(sm=87, cuda=13000)), "CUDA 13.1, which is newer"),
    ],
)
def test_other_devices_build_theirs(package, facts: Facts, why: str) -> None:
    if "newer" in why:
        newer = {path: replace(lib, cuda=13010) for path, lib in package.plugins.items()}
        package = replace(package, plugins=newer)
    plan = decided(package, facts)
    assert plan.prebuilt is None and plan.build_sm == facts.gpu.sm
    assert any(why in remark for remark in plan.remarks)


def test_library_of_other_contracts_is_not_taken() -> None:
    old = replace(LIBRARY, contracts={op: version + 1 for op, version in LIBRARY.contracts.items()})
    assert "does not have version" in str(misfit(old, ORIN, LIBRARY.contracts))
    assert misfit(LIBRARY, ORIN, LIBRARY.contracts) is None


@pytest.mark.parametrize(
    "facts, why",
    [
        (SERVER, "GPU"),
        (changed(ORIN, tensorrt=None), "nvidia-jetpack"),
        (changed(ORIN, tensorrt="8.6.1"), "8.6.1"),
    ],
)
def test_no_engine_without_what_it_needs(package, facts: Facts, why: str) -> None:
    plan = decided(package, facts)
    assert (plan.part, plan.backend, plan.prebuilt, plan.build_sm) == (
        None, "onnxruntime", None, None,
    )  # fmt: skip
    assert why in plan.remarks[0]
    for wishes in ({"engine": "now"}, {"backend": "tensorrt"}):
        with pytest.raises(DeployError, match=why):
            decided(package, facts, **wishes)


def test_a_jetson_whose_gpu_is_out_of_reach_is_no_server(package) -> None:
    """It would replace what runs on the GPU by what runs on the CPU, and call that done."""
    locked = changed(ORIN, gpu=None)
    with pytest.raises(DeployError, match=r"groups|usermod -aG video,render"):
        decided(package, locked)
    assert decided(package, locked, engine="never").backend == "onnxruntime"


@pytest.mark.parametrize(
    "cuda, bindings",
    [(12060, ">=12.8,<12.9"), (13000, ">=12.8,<13.1"), (13020, ">=12.8,<13.3")],
)
def test_packages_fit_the_device(package, cuda: int, bindings: str) -> None:
    plan = decided(package, changed(ORIN, gpu=Gpu(sm=87, cuda=cuda)))
    assert plan.requires == ("numpy>=1.24,<2", f"cuda-bindings{bindings}")
    assert decided(package, SERVER).requires == ()
    assert decided(package, ORIN, extras=("camera",)).extras == "tensorrt,camera"


def test_what_compiling_takes_is_looked_for_first(package) -> None:
    bare = changed(ORIN, to_compile=["python3-dev", "g++"])
    with pytest.raises(DeployError, match=r"lacks python3-dev and g\+\+: sudo apt-get install"):
        decided(package, bare)
    wheel = "runtime/spit_edge-0.1.0-cp312-cp312-linux_aarch64.whl"
    assert decided(replace(package, wheels=[wheel]), bare).install == wheel


def test_wishes(package) -> None:
    assert decided(package, ORIN, engine="never").backend == "onnxruntime"
    assert decided(package, ORIN, backend="tensorrt-split").part == "trunk"
    assert decided(package, ORIN, backend="onnxruntime").part is None
    with pytest.raises(DeployError, match="has no engine"):
        decided(package, ORIN, backend="onnxruntime", engine="now")


@pytest.mark.parametrize("name", RECORDS)
def test_every_back_end_is_planned_with_an_extra_that_exists(package, name) -> None:
    plan, record = decided(package, ORIN, backend=name), RECORDS[name]
    assert plan.backend == name and pip_install(plan.extras)
    assert plan.part == {"tensorrt": "full", "tensorrt-split": "trunk"}.get(name)
    assert (plan.prebuilt is not None) == record.plugins
    assert any("cuda-bindings" in need for need in plan.requires) == record.gpu
    needs = compute_needs(package, plan, 0, venv_there=False)
    assert needs.run > 10**8 and (needs.build > 0) == (plan.part is not None)
    if record.gpu:
        with pytest.raises(DeployError, match="GPU"):
            decided(package, SERVER, backend=name)


def test_back_ends_that_cannot_be_are_refused_before_anything_is_sent(package, make_bundle) -> None:
    with pytest.raises(DeployError, match=r"no backend 'tensorflow' on devices: choose .*openvino"):
        decided(package, ORIN, backend="tensorflow")
    short = make_bundle(height=96, width=128, precision="bf16").path
    with make_package(Bundle.open(short)) as of_bf16:
        with pytest.raises(DeployError, match=r"onnxruntime does not run bf16: .* openvino or t"):
            decided(of_bf16, SERVER)
        assert decided(of_bf16, SERVER, backend="openvino").extras == "openvino"


def test_wheel_by_python_and_machine(package) -> None:
    names = [
        f"runtime/spit_edge-0.1.0-{tag}.whl"
        for tag in (
            "cp312-cp312-linux_x86_64",
            "cp310-cp310-linux_aarch64",
            "cp312-cp312-manylinux_2_35_aarch64",
        )
    ]
    with_wheels = replace(package, wheels=names, sources=None)
    assert decided(with_wheels, ORIN).install == names[2]
    assert decided(with_wheels, changed(ORIN, python="3.10.12")).install == names[1]
    with pytest.raises(DeployError, match=r"no wheel .* Python 3\.11\.2"):
        decided(with_wheels, changed(ORIN, python="3.11.2"))
    assert decided(package, ORIN).install == package.sources


def test_environments_differ_by_what_is_installed(package) -> None:
    plan = decided(package, ORIN)
    key = plan.venv_key(package, ORIN)
    assert key == plan.venv_key(package, changed(ORIN, disk_free=1))
    assert key != plan.venv_key(package, changed(ORIN, python="3.12.4"))
    assert key != replace(plan, extras="onnxruntime").venv_key(package, ORIN)
    assert key != replace(plan, requires=()).venv_key(package, ORIN)
    house = {"wheelhouse/a.whl": PackedFile(Path("a.whl"), "0" * 64, 1)}
    assert key != plan.venv_key(replace(package, files={**package.files, **house}), ORIN)


def test_needs(package) -> None:
    plan = decided(package, ORIN)
    there = compute_needs(package, plan, 0, venv_there=True)
    fresh = compute_needs(package, plan, 1_000, venv_there=False)
    weights = package.files["bundle/model.onnx.data"].bytes
    assert fresh.disk - there.disk > 100_000_000
    assert there.build - there.run == 3 * weights
    assert compute_needs(package, decided(package, SERVER), 0, venv_there=True).build == 0
    check_needs(fresh, ORIN)
    with pytest.raises(DeployError, match="free but"):
        check_needs(fresh, changed(ORIN, disk_free=fresh.disk - 1))
    with pytest.raises(DeployError, match="memory free but"):
        check_needs(fresh, changed(ORIN, memory_free=fresh.memory - 1))
    check_needs(fresh, changed(ORIN, memory_free=fresh.memory - 1), ignore_memory=True)
