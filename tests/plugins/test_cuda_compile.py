"""The CUDA kernels as the compiler sees them: exact arithmetic, no spills, nothing that breaks the
capture of a stream.  Needs nvcc, no GPU; nothing is run on one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from spit_edge.base.contracts import REGION_FEATURES, SUPERPIXEL_MERGE, VORONOI_TESSELLATION
from spit_edge.plugins.__main__ import main
from spit_edge.plugins.cuda_build import (
    ARCHITECTURES,
    CudaBuildError,
    KernelResources,
    compile_object,
    compile_ptx,
    find_nvcc,
    parse_resources,
    short_names,
)
from spit_edge.plugins.cuda_launches import LaunchRecorder, every_launch

# Float instructions that give the same bits as the CPU's, whatever the order of threads.
EXACT = re.compile(
    r"(add|sub|mul|div|sqrt)\.rn\.f32|cvt\.rn\.f32\.[su](8|16|32|64)|cvt\.rzi\.s32\.f32"
    r"|setp\.\w+\.f32|(selp|min|max|neg|abs|mov)\.f32|(ld|st)(\.\w+)*\.f32"
)
CUDA_CALLS = {
    "__cudaGetKernel",
    "__cudaLaunchKernel",
    "__cudaPopCallConfiguration",
    "__cudaPushCallConfiguration",
    "__cudaRegisterFatBinary",
    "__cudaRegisterFatBinaryEnd",
    "__cudaRegisterFunction",
    "__cudaUnregisterFatBinary",
    "cudaGetLastError",
    "cudaGetErrorString",
    "cudaLaunchKernel",
}
ALLOCATORS = re.compile(r"_Z(n[wa]|d[la])\w*|malloc|calloc|realloc|free|aligned_alloc|mmap")

INEXACT_SOURCE = """
__global__ void contractable(float* x) { x[0] = x[1] * x[2] + x[3] / x[4]; }
__global__ void fused(float* x) { x[0] = __fmaf_rn(x[1], x[2], x[3]); }
__global__ void approximate(float* x) { x[0] = __fdividef(x[1], x[2]); }
__global__ void towards_zero(float* x) { x[0] = __fadd_rz(x[1], x[2]); }
__global__ void any_order(float* x) { atomicAdd(x, x[threadIdx.x]); }
__global__ void wide(double* x) { x[0] = x[1] + x[2]; }
"""
BLOCKING_SOURCE = """
__global__ void nothing() {}
void run(void** at) {
  cudaMalloc(at, 1);
  nothing<<<1, 1>>>();
  cudaDeviceSynchronize();
  *at = new char[9];
}
"""


def inexact_instructions(ptx: str) -> set[str]:
    """Opcodes of float instructions, and calls, that the exact kernels may not have."""
    opcodes = set(
        re.findall(r"^[ \t{]*(?:@!?%\w+[ \t]+)?([a-z][\w.:]*)(?=[ \t;])", ptx, re.MULTILINE)
    )
    floats = {o for o in opcodes if re.search(r"\.(b?f16(x2)?|tf32|f32(x2)?|f64|ftz|approx)\b", o)}
    calls = {o for o in opcodes if o.startswith("call")}
    return {o for o in floats if not EXACT.fullmatch(o)} | calls


def forbidden_symbols(path: Path) -> set[str]:
    """Functions an object calls that would allocate, wait or copy: not on the list of launches."""
    listing = subprocess.run(["nm", "-u", path], check=True, capture_output=True, text=True).stdout
    symbols = {line.split()[-1] for line in listing.splitlines() if line.strip()}
    cuda = {s for s in symbols if re.match(r"(__)?cuda|cu[A-Z]", s)}
    return cuda - CUDA_CALLS | {s for s in symbols if ALLOCATORS.fullmatch(s)}


@pytest.fixture(scope="module")
def nvcc() -> Path:
    try:
        return find_nvcc()
    except CudaBuildError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cuda")


@pytest.fixture(scope="module")
def ptx(nvcc: Path, folder: Path) -> str:
    return compile_ptx(nvcc, folder / "launch.ptx", 80)


@pytest.fixture(scope="module")
def resources(nvcc: Path, folder: Path) -> list[KernelResources]:
    """Of an object for sm_87, left at launch.o."""
    return compile_object(nvcc, folder / "launch.o", (87,))


@pytest.fixture(scope="module")
def recorder(nvcc: Path, folder: Path, resources: list[KernelResources]) -> LaunchRecorder:
    return LaunchRecorder(nvcc, folder / "launch.o", folder / "launch_recorder")


def test_kernels_have_only_exact_float_instructions(ptx: str) -> None:
    assert not inexact_instructions(ptx)
    for wanted in ("add.rn.f32", "mul.rn.f32", "div.rn.f32", "sqrt.rn.f32"):
        assert wanted in ptx
    for word in ("fma.", ".ftz", ".approx"):
        assert word not in ptx


def test_inexact_instructions_are_found(nvcc: Path, folder: Path) -> None:
    source = folder / "inexact.cu"
    source.write_text(INEXACT_SOURCE)
    text = compile_ptx(nvcc, folder / "inexact.ptx", 80, source)
    found = inexact_instructions(text)
    for opcode in ("fma.rn.f32", "div.approx.f32", "add.rz.f32", "add.f64|add.rn.f64"):
        assert found & set(opcode.split("|")), opcode
    assert any(re.match(r"(atom|red)\..*add\.f32", opcode) for opcode in found)
    # The flags keep a product and a sum apart: the only fused one is the one asked for by name.
    assert text.count("fma.rn.f32") == 1


def test_calls_are_those_of_launches(folder: Path, resources: list[KernelResources]) -> None:
    assert shutil.which("nm")
    assert not forbidden_symbols(folder / "launch.o")


def test_blocking_calls_are_found(nvcc: Path, folder: Path) -> None:
    source = folder / "blocking.cu"
    source.write_text(BLOCKING_SOURCE)
    compile_object(nvcc, folder / "blocking.o", (87,), source)
    found = forbidden_symbols(folder / "blocking.o")
    assert {"cudaMalloc", "cudaDeviceSynchronize", "_Znam"} <= found


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (224, 224), (1000, 1500)])
@pytest.mark.parametrize("compactness", [0.0, 0.1])
def test_launches_do_not_grow_with_the_batch(
    recorder: LaunchRecorder, size: tuple[int, int], compactness: float
) -> None:
    merges, features = (
        [run(batch).launches for batch in (1, 2, 8, 1000)]
        for run in (
            lambda batch: recorder.record(SUPERPIXEL_MERGE, batch, *size, compactness=compactness),
            lambda batch: recorder.record(REGION_FEATURES, batch, *size),
        )
    )
    assert {len(launches) for launches in merges} == {39}
    assert {len(launches) for launches in features} == {3}
    for batch, launches in zip((1, 2, 8, 1000), merges, strict=True):
        assert {launch.blocks[1] for launch in launches} == {batch}


def test_batches_beyond_the_grid_still_launch(recorder: LaunchRecorder) -> None:
    # The recorder fails on a grid that no GPU takes.
    run = recorder.record(SUPERPIXEL_MERGE, 1 << 20, 32, 32)
    assert {launch.blocks[1] for launch in run.launches} == {65535}
    assert len(recorder.record(SUPERPIXEL_MERGE, 1, 8192, 8192).launches) == 39


def test_every_kernel_is_launched(ptx: str, recorder: LaunchRecorder) -> None:
    compiled = set(short_names(re.findall(r"\.entry (\w+)", ptx)).values())
    launched = {kernel for kernels in every_launch(recorder).values() for kernel in kernels}
    assert compiled == launched


@pytest.mark.parametrize("side", [224, 1024, 2048])
def test_workspace_is_as_documented(recorder: LaunchRecorder, side: int) -> None:
    pixels = side * side
    assert recorder.record(SUPERPIXEL_MERGE, 3, side, side).workspace <= 82.4 * 3 * pixels
    features = recorder.record(REGION_FEATURES, 3, side, side, max_tokens=256, bins=16, gradient=1)
    exact = 3 * (12 * pixels + 256 * (20 + 8 * 256 * 2))
    assert exact <= features.workspace < exact + 3 * 256
    assert recorder.record(VORONOI_TESSELLATION, 3, side, side).workspace <= 4.4 * 3 * pixels


def test_no_spills_on_one_architecture(resources: list[KernelResources]) -> None:
    assert len(resources) > 30
    assert not [r for r in resources if r.spill_bytes]


@pytest.mark.slow
def test_no_warnings_and_no_spills_anywhere(nvcc: Path, folder: Path) -> None:
    resources = compile_object(nvcc, folder / "all.o", ARCHITECTURES)
    assert {r.architecture for r in resources} == set(ARCHITECTURES)
    assert not [r for r in resources if r.spill_bytes]
    assert max(r.shared_bytes for r in resources) <= 48 * 1024


def test_pixels_are_read_as_on_the_cpu(folder: Path) -> None:
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    source = Path(__file__).parent / "native" / "described_pixels.cpp"
    program = folder / "described_pixels"
    flags = ["-std=c++17", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([compiler, *flags, "-o", program, source], check=True)
    done = subprocess.run([program], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_report_of_ptxas_is_read() -> None:
    name = "_ZN4spit8portable10run_rangesINS0_9FindRootsEEEvT_i"
    report = f"""
ptxas info    : Compiling entry function '{name}' for 'sm_90a'
ptxas info    : Function properties for {name}
    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 24 registers, used 1 barriers, 8 bytes cumulative stack size, 35280 bytes smem
"""
    assert parse_resources(report) == [KernelResources("FindRoots", 90, 24, 35280, 8, 16)]
    with pytest.raises(CudaBuildError, match="form"):
        parse_resources(report.replace("spill loads", "loads"))


def test_missing_nvcc_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(CudaBuildError, match="give the path of nvcc"):
        find_nvcc(tmp_path / "nvcc")
    for name in ("CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("spit_edge.plugins.cuda_build.USUAL_TOOLKIT", tmp_path / "cuda")
    with pytest.raises(CudaBuildError, match="install the CUDA toolkit"):
        find_nvcc()
    # Under ssh, a Jetson's PATH does not lead to it.
    nvcc = tmp_path / "cuda" / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.touch(0o755)
    assert find_nvcc() == nvcc


def test_commands(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["contracts"]) == 0
    assert "spit::SuperpixelMerge" in capsys.readouterr().out
    assert main(["kernels", "--nvcc", str(tmp_path / "nvcc")]) == 2
    assert "give the path of nvcc" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["kernels", "--arch", "sm_87"])
