"""Every kind of regions in the split form, on the simulated GPU and by the CPU's kernels."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from spit_edge import plugins
from spit_edge.runtime import BackendUnavailable, BundleError
from spit_edge.runtime.backends.cpu.tokenizer import NativeTokenizer
from spit_edge.runtime.backends.onnxruntime_session import open_session
from spit_edge.runtime.bundle.folder import REGIONS, TRUNK, WEIGHTS, Bundle
from spit_edge.runtime.bundle.manifest import TensorSpec
from spit_edge.runtime.cuda.kernels import TokenizerLibrary
from tests.simulators.gpu_rig import simulated_gpu


@pytest.fixture(scope="module")
def built(make_bundle):
    return Bundle.open(make_bundle(height=40, width=56).path)


@pytest.fixture(scope="module")
def images(photographs):
    return np.ascontiguousarray(photographs(40, 56).transpose(0, 3, 1, 2))


@pytest.fixture(params=["superpixel", "voronoi", "voronoi with seeds", "square"])
def bundle(request, built, tmp_path) -> Bundle:
    """The tiny bundle with other regions: its trunk takes tokens of any."""
    kind, _, seeds = request.param.partition(" with ")
    manifest = built.manifest
    tokenizer = msgspec.structs.replace(
        manifest.tokenizer, kind=kind, seed=5 if kind == "voronoi" else None
    )
    inputs = [*manifest.inputs]
    if seeds:
        inputs.append(TensorSpec(name="seeds", dtype="int64", shape=["B"]))
    for name in (TRUNK, WEIGHTS):
        shutil.copy(built.path / name, tmp_path)
    regions = np.add.outer(np.arange(40) // 8 * 7, np.arange(56) // 8).astype(np.int32)
    np.save(tmp_path / REGIONS, regions)
    return Bundle(tmp_path, msgspec.structs.replace(manifest, tokenizer=tokenizer, inputs=inputs))


def test_split_form_equals_the_kernels_of_the_cpu(bundle, images) -> None:
    takes_seeds = len(bundle.manifest.inputs) == 2
    seeds = [7, -3, 2**40] if takes_seeds else None
    trunk = open_session(bundle.trunk)
    native = NativeTokenizer(bundle, 1)
    wanted = native.run(images, None if seeds is None else np.array(seeds, np.int64))
    logits = trunk.run(["logits"], {n: wanted[n] for n in ("tokens", "num_tokens")})[0]
    with simulated_gpu(bundle) as rig, rig.session("tensorrt-split") as session:
        for _ in range(3):
            output = session.run(images, seeds=seeds, tokens=True)
            for name in ("labels", "num_tokens", "tokens"):
                assert getattr(output, name).tobytes() == wanted[name].tobytes(), name
            np.testing.assert_allclose(output.logits, logits, atol=1e-5)
        if takes_seeds:
            own = session.run(images, tokens=True).labels
            assert own[0].tobytes() == plugins.voronoi_tessellation(5, 40, 56)[0].tobytes()


def test_unreadable_regions(built, tmp_path) -> None:
    tokenizer = msgspec.structs.replace(built.manifest.tokenizer, kind="square")
    bundle = Bundle(tmp_path, msgspec.structs.replace(built.manifest, tokenizer=tokenizer))
    with pytest.raises(BundleError, match=r"regions\.npy is missing"):
        NativeTokenizer(bundle, 1)
    np.save(tmp_path / REGIONS, np.zeros((40, 55), np.int32))
    with pytest.raises(BundleError, match=r"does not hold int32 \[40, 56\]"):
        NativeTokenizer(bundle, 1)


def test_a_file_that_is_no_library(tmp_path) -> None:
    with pytest.raises(BackendUnavailable, match="cannot load the tokenizer"):
        TokenizerLibrary.load(tmp_path / "missing.so")
    import ctypes.util

    other = ctypes.util.find_library("m")
    with pytest.raises(BackendUnavailable, match="spit_superpixel_merge"):
        TokenizerLibrary.load(Path(str(other)))
