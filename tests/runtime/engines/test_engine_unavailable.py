"""Machines that lack something: each way is one clear sentence, and the export goes on."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from spit_edge.export.__main__ import main as export_main
from spit_edge.runtime.__main__ import main as runtime_main
from spit_edge.runtime.cuda import api
from spit_edge.runtime.cuda.gpu import Gpu, current_gpu
from spit_edge.runtime.cuda.memory import GpuArray
from spit_edge.runtime.engines.callbacks import Log
from spit_edge.runtime.engines.flavour import find_flavour, version_numbers
from spit_edge.runtime.errors import BackendUnavailable
from tests.conftest import GOLDENS
from tests.simulators.fake_cuda import MEMORY, FakeCuda, Properties, Status

TINY = ["--model", "spit_tiny", "--weights", str(GOLDENS / "tiny_gradient.pth")]


@pytest.fixture
def cuda(monkeypatch) -> FakeCuda:
    """What is taken for CUDA."""
    fake = FakeCuda()
    monkeypatch.setattr(api, "runtime_api", lambda: fake)
    return fake


@pytest.fixture
def without(monkeypatch):
    """Takes modules away."""

    def hide(*names: str) -> None:
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)

    return hide


def test_the_gpu_at_hand(cuda) -> None:
    with GpuArray((1 << 20,), np.uint8):
        assert current_gpu() == Gpu("Orin", 87, MEMORY, MEMORY - (1 << 20), "12.6", "12.8")


def test_memory_that_files_left_in_the_cache_is_free(cuda) -> None:
    """A Jetson's GPU shares it, but CUDA counts only what is in no use at all."""
    cuda.gpus = [Properties(integrated=1)]
    found = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
    assert found and current_gpu().free_memory == pytest.approx(int(found[1]) << 10, rel=0.2)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"driver": 0}, "no NVIDIA driver"),
        (
            {"driver": 12060, "runtime": 13050},
            r"up to 12\.6 but .* 13\.5: .*bindings>=12\.8,<12\.9",
        ),
        ({"gpus": []}, "CUDA sees no GPU"),
    ],
)
def test_no_gpu(cuda, facts, says) -> None:
    for name, value in facts.items():
        setattr(cuda, name, value)
    with pytest.raises(BackendUnavailable, match=says):
        current_gpu()


@pytest.mark.parametrize(
    ("call", "status", "says"),
    [
        ("cudaGetDeviceCount", Status.cudaErrorInsufficientDriver, "update the driver"),
        ("cudaGetDeviceCount", Status.cudaErrorNoDevice, "CUDA sees no GPU"),
        (
            "cudaGetDeviceCount",
            Status.cudaErrorMemoryAllocation,
            "MemoryAllocation.*nvidia-smi",
        ),
        ("cudaMemGetInfo", Status.cudaErrorMemoryAllocation, "MemoryAllocation.*nvidia-smi"),
        ("cudaMemGetInfo", Status.cudaErrorSystemNotReady, "cudaErrorSystemNotReady"),
    ],
)
def test_a_gpu_that_does_not_answer(cuda, call, status, says) -> None:
    cuda.fail(call, status)
    with pytest.raises(BackendUnavailable, match=says):
        current_gpu()


@pytest.mark.parametrize("broken", [None, "raise OSError('libcuda.so.1: no such file')"])
def test_bindings_that_do_not_load(broken, without, tmp_path, monkeypatch) -> None:
    api.runtime_api.cache_clear()
    without("cuda", "cuda.bindings")
    if broken is not None:
        for name in ("cuda", "cuda.bindings"):
            monkeypatch.delitem(sys.modules, name)
        (tmp_path / "cuda").mkdir()
        (tmp_path / "cuda" / "__init__.py").write_text(broken)
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
    with pytest.raises(BackendUnavailable, match=r"Python bindings .*: pip install 'cuda-bind"):
        current_gpu()


def test_the_real_bindings_here() -> None:
    """Whatever the machine: a GPU, or a sentence."""
    pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")
    try:
        assert current_gpu().sm >= 50
    except BackendUnavailable as error:
        assert ": " in str(error)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("raise RuntimeError('wheels are for x86_64')", r"cannot be loaded \(wheels are for"),
        ("raise OSError('libnvinfer.so.10: cannot open')", r"cannot be loaded \(libnvinfer"),
        ("raise ImportError('libnvinfer.so.10: cannot open')", r"cannot be loaded \(libnvinfer"),
        ("import tensorrt_libs_of_old", "lacks the module tensorrt_libs_of_old"),
        (
            "__version__, Builder = '8.6.1', 0",
            r"TensorRT 8\.6\.1 is too old: at least 10\.0 is needed",
        ),
        ("__version__ = '10.3.0'", "another package uses its name"),
        (None, "another package uses its name"),
    ],
)
def test_a_tensorrt_that_cannot_be_used(content, says, tmp_path, monkeypatch, without) -> None:
    (tmp_path / "tensorrt").mkdir()
    if content is not None:  # without an __init__, as where type stubs alone are installed
        (tmp_path / "tensorrt" / "__init__.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    importlib.invalidate_caches()
    with pytest.raises(BackendUnavailable, match=f"{says}.*: on a Jetson install"):
        find_flavour("tensorrt")
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    without("tensorrt_rtx")
    with pytest.raises(BackendUnavailable, match="TensorRT-RTX is not installed: on a Jetson"):
        find_flavour()


def test_tensorrt_is_taken_before_tensorrt_rtx(monkeypatch) -> None:
    new = SimpleNamespace(__version__="11.4.0.106", Builder=object)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", SimpleNamespace(__version__="1.2", Builder=0))
    monkeypatch.setitem(sys.modules, "tensorrt", new)
    assert str(find_flavour()) == "TensorRT 11.4.0.106" and find_flavour().module is new
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert str(find_flavour()) == "TensorRT-RTX 1.2"


def test_versions_are_numbers() -> None:
    assert version_numbers("10.14.1.48.post1") == (10, 14, 1, 48)
    assert version_numbers("10.9.0") < version_numbers("10.13.0")


@pytest.mark.parametrize(
    "missing", [["tensorrt", "tensorrt_rtx"], ["tensorrt", "cuda", "cuda.bindings"]]
)
def test_export_says_in_one_line_why_there_is_no_engine(missing, without, tmp_path, capsys) -> None:
    if "tensorrt_rtx" not in missing:
        pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed")
    without(*missing)
    out = str(tmp_path / "mine")
    arguments = ["build", *TINY, "--image-size", "48x64", "--part", "trunk", "--out", out]
    assert export_main(arguments) == 0
    printed = capsys.readouterr()
    lines = [line for line in printed.err.splitlines() if "engine" in line]
    assert printed.out == f"{out}\n" and len(lines) == 1
    assert lines[0].startswith("no engine, because ")
    assert lines[0].endswith(f"; on the device: spit-edge engine {out}")
    assert runtime_main(["engine", out]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: ")
    assert export_main([*arguments, "--no-engine"]) == 0
    assert "engine" not in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--compute-capability", "8.6"], ["--flavour", "onnx"]])
def test_usage_errors(arguments, capsys) -> None:
    with pytest.raises(SystemExit) as stopped:
        runtime_main(["engine", "bundle", *arguments])
    assert stopped.value.code == 2 and "usage: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "said",
    [
        "Error Code 2: OutOfMemory (Requested size was 1073741824 bytes.)",
        "Cuda Runtime (out of memory)",
        "Requested amount of GPU memory (4096 bytes) could not be allocated.",
    ],
)
def test_out_of_memory_is_called_that(said) -> None:
    log = Log()
    log.add("WARNING", "Tactic Gpu request: 500MB. Gpu memory is insufficient")
    assert "out of memory" not in str(log.failure("no engine", "see below"))
    log.add("ERROR", said)
    log.add("INFO", "idle talk")
    message = str(log.failure("no engine", "see below"))
    assert message.startswith("no engine: out of memory: close other programs")
    assert said in message and "idle talk" not in message


def test_verbose_shows_every_line_once(capsys) -> None:
    log = Log(verbose=True)
    log.add("INFO", "idle talk")
    log.add("ERROR", "a node")
    assert str(log.failure("no engine", "see below")) == "no engine: see below"
    assert capsys.readouterr().err == "[info] idle talk\n[error] a node\n"
