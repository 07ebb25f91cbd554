"""The doctor: what it finds here, on a simulated GPU, and where something is broken."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest

from spit_edge.base.contracts import CONTRACTS
from spit_edge.export.__main__ import main as export_main
from spit_edge.runtime.__main__ import main as runtime_main
from spit_edge.runtime.backends.gpu import self_test
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.commands import doctor
from spit_edge.runtime.commands.doctor import Finding, examine, findings_table, usable
from spit_edge.runtime.cuda.gpu import Gpu, current_gpu
from spit_edge.runtime.cuda.kernels import TokenizerLibrary
from spit_edge.runtime.engines.callbacks import Log
from spit_edge.runtime.engines.flavour import Flavour, find_flavour
from spit_edge.runtime.errors import BackendUnavailable, ExecutionError
from tests.simulators.fake_tensorrt import FakeLibrary
from tests.simulators.gpu_rig import simulated_gpu

ORIN = Gpu("Orin", 87, 8 << 30, 3 << 30, "12.6", "12.6")
TRT = Flavour("tensorrt", "10.3.0", None)


def no_gpu(*_: object) -> None:
    raise BackendUnavailable("there is no NVIDIA driver: install it")


def no_tensorrt(name: str) -> Flavour:
    raise BackendUnavailable(f"{name} is not installed: pip install it")


@pytest.fixture
def library(tmp_path):
    """The facts of a library for an Orin, and nothing that could be loaded."""
    facts = {
        "version": "1",
        "variant": "cuda",
        "machine": platform.machine(),
        "cuda": 12060,
        "tensorrt": "10.3.0",
        "architectures": [87],
        "contracts": {contract.name: contract.version for contract in CONTRACTS},
    }
    file = tmp_path / "libspit_plugins.so"
    file.write_bytes(b"ELF SPIT-PLUGINS-INFO " + json.dumps(facts).encode() + b"\0")
    return file


def topics(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.topic: finding for finding in findings}


def test_machine_without_anything(monkeypatch, capsys) -> None:
    monkeypatch.setattr(doctor, "find_flavour", no_tensorrt)
    monkeypatch.setattr(doctor, "current_gpu", no_gpu)
    found = topics(examine())
    for topic in ("tensorrt", "tensorrt-rtx", "GPU"):
        assert found[topic].state == "missing" and "install" in found[topic].what
    assert not usable(examine()) and "a kernel" not in found
    assert runtime_main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "there is no NVIDIA driver" in printed and "engines cannot run here" in printed


def test_both_command_lines_have_it(monkeypatch, capsys) -> None:
    fine = [Finding("GPU", "fine", "Orin", needed=True), Finding("to build", "missing", "nvcc")]
    monkeypatch.setattr(doctor, "examine", lambda _: fine)
    for main in (runtime_main, export_main):
        assert main(["doctor"]) == 0
        assert "engines can run here" in capsys.readouterr().out


def test_export_without_torch_has_a_doctor() -> None:
    program = (
        "import sys; sys.modules['torch'] = None; from spit_edge.export.__main__ import main; "
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program]
    doctor = subprocess.run([*command, "doctor"], capture_output=True, text=True)
    assert doctor.returncode in (0, 1) and "engines can" in doctor.stdout, doctor.stderr
    build = subprocess.run(
        [*command, "build", "--model", "spit_tiny"], capture_output=True, text=True
    )
    assert build.returncode == 2 and "Traceback" not in build.stderr
    assert "build needs torch: pip install" in build.stderr and "'onnx>=" in build.stderr


@pytest.fixture
def orin(monkeypatch, library):
    """A Jetson with everything, whose kernel and engine work."""
    monkeypatch.setattr(
        doctor, "find_flavour", lambda name: TRT if name == TRT.name else no_tensorrt(name)
    )
    monkeypatch.setattr(doctor, "current_gpu", lambda: ORIN)
    monkeypatch.setattr(TokenizerLibrary, "load", lambda path: None)
    monkeypatch.setattr(self_test, "check_kernels", lambda _: 42)
    monkeypatch.setattr(self_test, "check_engine", lambda _: None)
    return library


def test_a_jetson_with_everything(orin) -> None:
    findings = examine(orin)
    found = topics(findings)
    assert usable(findings)
    assert found["TensorRT"].what == "10.3.0" and "Orin, SM 87" in found["GPU"].what
    assert (
        "42 superpixels" in found["a kernel"].what and "TensorRT 10.3.0" in found["an engine"].what
    )
    assert found["tensorrt-rtx"].state == "missing"  # one flavour is enough


@pytest.mark.parametrize("broken", ["check_kernels", "check_engine"])
def test_what_does_not_work_is_called_broken(orin, monkeypatch, broken) -> None:
    def fail(_: object) -> int:
        raise ExecutionError("cudaErrorIllegalAddress")

    monkeypatch.setattr(self_test, broken, fail)
    findings = examine(orin)
    assert not usable(findings)
    (bad,) = [finding for finding in findings if finding.state == "broken"]
    assert bad.what == "cudaErrorIllegalAddress"
    assert "broken" in str([list(column.cells) for column in findings_table(findings).columns])


def test_a_library_for_another_gpu(orin, monkeypatch) -> None:
    thor = Gpu("Thor", 110, 128 << 30, 100 << 30, "13.0", "13.0")
    monkeypatch.setattr(doctor, "current_gpu", lambda: thor)
    findings = examine(orin)
    assert "spit-edge plugins build --arch 110" in topics(findings)["plugin library"].what
    assert not usable(findings)


def test_kernels_on_a_simulated_gpu(make_bundle) -> None:
    bundle = Bundle.open(make_bundle(height=40, width=56).path)
    with simulated_gpu(bundle) as rig:
        library = TokenizerLibrary(FakeLibrary(rig.cuda))
        assert 5 < self_test.check_kernels(library) < 96 * 96 // 16
        spoiled = library.enqueue

        def other_levels(arguments, stream) -> None:
            arguments.levels -= 1
            spoiled(arguments, stream)

        library.enqueue = other_levels
        with pytest.raises(ExecutionError, match=r"differ from the CPU's in \d+ pixels"):
            self_test.check_kernels(library)


def test_the_small_engine_is_built_by_a_real_tensorrt() -> None:
    trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    flavour = find_flavour("tensorrt-rtx")
    engine = self_test.doubling_engine(flavour, Log.of(flavour), trt.ComputeCapability.SM86)
    assert memoryview(engine).nbytes > 1000


def test_an_engine_that_cannot_be_loaded_is_an_error() -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    try:
        current_gpu()
    except BackendUnavailable:
        with pytest.raises(ExecutionError):
            self_test.check_engine(find_flavour("tensorrt-rtx"))
    else:
        self_test.check_engine(find_flavour("tensorrt-rtx"))


def test_real_findings_have_a_cure() -> None:
    findings = examine()
    assert len(findings) >= 7
    for finding in findings:
        if finding.state == "missing":
            assert any(word in finding.what for word in ("install", "build", "--")), finding
