"""Building the plugin library, and what a library says of itself."""

from __future__ import annotations

import dataclasses
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from spit_edge.plugins import plugin_library
from spit_edge.plugins.__main__ import main
from spit_edge.plugins.cuda_build import CudaBuildError
from spit_edge.plugins.cuda_runtime import fetch_cudart, find_cudart, unpack_cudart
from spit_edge.plugins.plugin_build import PluginBuildError, build_plugins, find_build
from spit_edge.plugins.plugin_library import (
    PluginLibrary,
    PluginLibraryError,
    find_library,
    read_library,
)

EXPORTED = {
    "getCreators", "setLoggerFinder", "spit_plugins_info", "spit_plugins_info_text",
    "spit_fault_text", "spit_status_text",
    "spit_superpixel_merge", "spit_superpixel_merge_workspace",
    "spit_region_features", "spit_region_features_workspace", "spit_voronoi_tessellation",
    "spit_voronoi_tessellation_workspace",
}  # fmt: skip


def test_the_library_says_what_it_is(cuda_library: PluginLibrary) -> None:
    assert cuda_library.variant == "cuda" and cuda_library.architectures == (86,)
    assert cuda_library.machine == platform.machine() and cuda_library.version == "0.1.0"
    assert re.fullmatch(r"1\d\.\d+", cuda_library.cuda_version)
    assert re.fullmatch(r"1\d\.\d+\.\d+", cuda_library.tensorrt)
    cuda_library.check(architecture=86)


def test_it_exports_nothing_but_its_interface(cuda_library) -> None:
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", cuda_library.path], capture_output=True, text=True
    ).stdout
    assert {line.split()[-1] for line in listed.splitlines()} == EXPORTED


def test_it_needs_neither_tensorrt_nor_a_driver_to_load(cuda_library) -> None:
    needed = subprocess.run(
        ["readelf", "-d", cuda_library.path], capture_output=True, text=True
    ).stdout
    assert not re.search(r"NEEDED.*(nvinfer|cuda|nvidia)", needed)
    program = (
        "import ctypes, json, sys; l = ctypes.CDLL(sys.argv[1]); "
        "l.spit_plugins_info.restype = ctypes.c_char_p; n = ctypes.c_int32(); "
        "l.getCreators(ctypes.byref(n)); "
        "print(n.value, json.loads(l.spit_plugins_info())['architectures'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, cuda_library.path], capture_output=True, text=True
    )
    assert done.stdout.strip() == "3 [86]", done.stderr


@pytest.fixture(scope="module")
def for_jetsons(tmp_path_factory: pytest.TempPathFactory) -> PluginLibrary:
    """The library for Orin and Thor; CUDA's runtime for them comes with pip."""
    if shutil.which("aarch64-linux-gnu-g++") is None:
        pytest.skip("no cross compiler for aarch64")
    out = tmp_path_factory.mktemp("jetsons") / "libspit_plugins.so"
    try:
        build = find_build(machine="aarch64")
    except PluginBuildError as error:
        pytest.skip(str(error))
    try:
        return build_plugins(build, out)
    except PluginBuildError as error:
        if "(pip: " not in str(error):
            raise
        pytest.skip(str(error))


def test_it_is_cross_compiled_for_jetsons(for_jetsons: PluginLibrary) -> None:
    assert for_jetsons.machine == "aarch64" and for_jetsons.architectures == (87, 110)
    with pytest.raises(PluginLibraryError, match=r"is for aarch64 and this is a"):
        for_jetsons.check()


@pytest.mark.slow
def test_the_same_sources_give_the_same_bytes(for_jetsons: PluginLibrary, tmp_path) -> None:
    """As the command builds it, in another folder."""
    out = tmp_path / "elsewhere" / "libspit_plugins.so"
    assert main(["build", "--host-arch", "aarch64", "--out", str(out)]) == 0
    assert out.read_bytes() == for_jetsons.path.read_bytes()


def test_where_cudas_runtime_comes_from(tmp_path) -> None:
    toolkit = tmp_path / "cuda"
    assert find_cudart("aarch64", toolkit) is None
    library = toolkit / "targets" / "sbsa-linux" / "lib" / "libcudart_static.a"
    library.parent.mkdir(parents=True)
    library.touch()
    assert find_cudart("aarch64", toolkit) == library
    nvcc = tmp_path / "nvcc"
    nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 12.6, V12.6.68'\n")
    nvcc.chmod(0o755)
    with pytest.raises(CudaBuildError, match=r"from CUDA 13\.0 on and this is 12\.6: .*--cudart"):
        fetch_cudart("aarch64", nvcc, tmp_path)
    wheel = tmp_path / "nvidia_cuda_runtime-13.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as other:
        other.writestr("README", "")
    with pytest.raises(CudaBuildError, match=r"has no lib"):
        unpack_cudart(wheel, tmp_path)
    with zipfile.ZipFile(wheel, "w") as full:
        full.writestr("nvidia/cu13/lib/libcudart_static.a", "library")
    assert unpack_cudart(wheel, tmp_path).read_text() == "library"


def test_build_prints_the_path_and_leaves_nothing_else(host_build, tmp_path, capsys) -> None:
    out = tmp_path / "here" / "libspit_plugins.so"
    assert main(["build", "--arch", "86", "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert printed.out.strip() == str(out) and "TensorRT" in printed.err
    assert [p.name for p in out.parent.iterdir()] == ["libspit_plugins.so"]
    assert main(["info", str(out)]) == 0
    assert "sm_86" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--arch", "20"], "cannot compile for sm_20, only for"),
        (["--tensorrt-include", "/nowhere"], "no NvInferRuntime.h in /nowhere: install libnvinfer"),
        (["--cuda", "/nowhere"], "/nowhere/bin/nvcc is not a program"),
    ],
)
def test_what_is_missing_is_named(arguments, says, capsys) -> None:
    assert main(["build", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_headers_of_other_versions(tmp_path) -> None:
    (tmp_path / "NvInferRuntime.h").touch()
    version = tmp_path / "NvInferVersion.h"
    lines = (
        "#define NV_TENSORRT_MAJOR {}\n#define NV_TENSORRT_MINOR 3\n#define NV_TENSORRT_PATCH 0\n"
    )
    version.write_text(lines.format(10))
    assert find_build(variant="host", tensorrt_include=tmp_path).tensorrt_version == "10.3.0"
    version.write_text(lines.format("TRT_MAJOR //!< major") + "#define TRT_MAJOR 11\n")
    assert find_build(variant="host", tensorrt_include=tmp_path).tensorrt_version == "11.3.0"
    version.write_text(lines.format(8))
    with pytest.raises(PluginBuildError, match=r"TensorRT 8\.3\.0: at least 10\.0"):
        find_build(variant="host", tensorrt_include=tmp_path)
    version.write_text("")
    with pytest.raises(PluginBuildError, match="names no version"):
        find_build(variant="host", tensorrt_include=tmp_path)


def test_a_failed_build_leaves_the_old_library(host_build, tmp_path) -> None:
    out = tmp_path / "libspit_plugins.so"
    out.write_bytes(b"old")
    build = dataclasses.replace(find_build(architectures=[86]), tensorrt=tmp_path)
    with pytest.raises(PluginBuildError, match="NvInfer"):
        build_plugins(build, out)
    assert out.read_bytes() == b"old" and list(tmp_path.iterdir()) == [out]


def library(**changes) -> PluginLibrary:
    facts = {
        "path": Path("lib.so"), "version": "1", "variant": "cuda", "machine": platform.machine(),
        "cuda": 12060, "tensorrt": "10.3.0", "architectures": (80, 87),
        "contracts": {"SuperpixelMerge": 1, "RegionFeatures": 1, "VoronoiTessellation": 1},
    }  # fmt: skip
    return PluginLibrary(**(facts | changes))


@pytest.mark.parametrize(
    ("built", "gpu", "runs"),
    [
        ((80,), 80, True), ((80,), 86, True), ((80,), 89, True), ((86,), 80, False),
        ((80, 86), 87, False), ((87,), 87, True), ((87,), 89, False), ((90,), 89, False),
        ((100,), 110, False), ((110,), 110, True), ((120,), 121, True), ((), 86, False),
    ],
)  # fmt: skip
def test_which_gpus_a_library_serves(built, gpu, runs) -> None:
    assert library(architectures=built).has_code_for(gpu) is runs


def test_libraries_that_do_not_fit_are_refused() -> None:
    assert library().cuda_version == "12.6"
    library().check(architecture=87)
    with pytest.raises(PluginLibraryError, match=r"sm_80, sm_87, not .* sm_110.*--arch 110"):
        library().check(architecture=110)
    with pytest.raises(PluginLibraryError, match=r"no GPU, not for this GPU's sm_87"):
        library(architectures=()).check(architecture=87)
    with pytest.raises(PluginLibraryError, match=r"version 1 of SuperpixelMerge but version 2"):
        library().check(contracts={"SuperpixelMerge": 2})
    with pytest.raises(PluginLibraryError, match=r"no contract of RegionMagic"):
        library().check(contracts={"RegionMagic": 1})
    with pytest.raises(PluginLibraryError, match=r"is for riscv64"):
        library(machine="riscv64").check()


@pytest.mark.parametrize(
    "content",
    [b"", b"\x7fELF", b"SPIT-PLUGINS-INFO {", b'SPIT-PLUGINS-INFO {"version": 1}\0',
     b"SPIT-PLUGINS-INFO {\xff}\0"],
)  # fmt: skip
def test_files_that_are_no_library(tmp_path, content) -> None:
    file = tmp_path / "lib.so"
    file.write_bytes(content)
    with pytest.raises(PluginLibraryError, match=r"cannot read|is not a plugin library"):
        read_library(file)


def test_finding_a_library(tmp_path, monkeypatch) -> None:
    """Where one stands does not matter: a library that lies there by chance is not loaded."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPIT_PLUGINS", raising=False)
    monkeypatch.setattr(plugin_library, "built_folder", lambda: tmp_path / "built")
    here = Path("build/plugins") / platform.machine() / "libspit_plugins.so"
    here.parent.mkdir(parents=True)
    here.touch()
    with pytest.raises(PluginLibraryError, match="make one with spit-edge plugins build"):
        find_library("bundle/plugins")
    with pytest.raises(PluginLibraryError, match="there is no plugin library"):
        read_library("no.so")
    built = tmp_path / "built" / platform.machine() / "libspit_plugins.so"
    bundled = Path("bundle/plugins/libspit_plugins.so")
    for file in (built, bundled):
        file.parent.mkdir(parents=True)
        file.touch()
        assert find_library("bundle/plugins") == file
    monkeypatch.setenv("SPIT_PLUGINS", "mine.so")
    assert find_library("bundle/plugins") == Path("mine.so")


def test_built_libraries_lie_in_the_checkout_or_the_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = Path(__file__).resolve().parents[3]
    assert plugin_library.built_folder() == root / "build" / "plugins"
    monkeypatch.setattr(plugin_library, "checkout", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert plugin_library.built_folder() == tmp_path / "spit-edge" / "plugins"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setenv("HOME", "/home/ada")
    assert plugin_library.built_folder() == Path("/home/ada/.cache/spit-edge/plugins")
