"""The plugin library's C functions as the runtime calls them, on its variant for the CPU."""

from __future__ import annotations

import ctypes
import re

import numpy as np
import pytest

from spit_edge import plugins
from spit_edge.plugins.cuda_build import KERNELS
from spit_edge.runtime import ExecutionError
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.cuda import kernels as bound
from spit_edge.runtime.cuda.kernels import (
    FLOAT32,
    INTERPOLATIONS,
    PIXELS,
    SpitFeatures,
    SpitImages,
    SpitMerge,
    SpitVoronoi,
    TokenizerLibrary,
)
from tests.simulators.gpu_rig import batches, bits, simulated_gpu

HEADER = KERNELS / "tokenizer_api.h"


@pytest.fixture(scope="module")
def library(host_build) -> TokenizerLibrary:
    return TokenizerLibrary.load(host_build.library)


@pytest.fixture(scope="module")
def images(photographs):
    return np.ascontiguousarray(photographs(40, 56).transpose(0, 3, 1, 2))


class Aligned:
    """Workspace as the library wants it."""

    def __init__(self, size: int) -> None:
        self.memory = np.full(size + 256, 0xA5, np.uint8)
        self.address = self.memory.ctypes.data + -self.memory.ctypes.data % 256


def run(library: TokenizerLibrary, arguments) -> None:
    workspace = Aligned(library.workspace(arguments))
    arguments.workspace = workspace.address
    library.enqueue(arguments, 0)


def of(images: np.ndarray) -> SpitImages:
    batch, _, height, width = images.shape
    return SpitImages(images.ctypes.data, 0, PIXELS["uint8"], batch, height, width)


@pytest.mark.parametrize("compactness", [0.0, 0.5])
def test_superpixels(library, images, compactness) -> None:
    labels, counts = np.empty((3, 40, 56), np.int32), np.empty(3, np.int32)
    places = {"labels": labels.ctypes.data, "counts": counts.ctypes.data}
    merge = SpitMerge(
        images=of(images), levels=3, compactness=compactness, final_threshold=0.25, **places
    )
    run(library, merge)
    wanted = plugins.superpixel_merge(
        images, levels=3, compactness=compactness, final_threshold=0.25, threads=1
    )
    assert labels.tobytes() == wanted[0].tobytes() and counts.tobytes() == wanted[1].tobytes()


@pytest.mark.parametrize("gradient", [0, 1])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_tokens(library, images, gradient, interpolation) -> None:
    labels, counts = plugins.superpixel_merge(images, threads=1)
    tokens = np.empty((3, 20, 49 * (4 + gradient)), np.float32)
    features = SpitFeatures(
        images=of(images),
        labels=labels.ctypes.data,
        counts=counts.ctypes.data,
        max_tokens=20,
        bins=7,
        sigma=0.0625,
        gradient=gradient,
        interpolation=INTERPOLATIONS[interpolation],
        token_type=FLOAT32,
        tokens=tokens.ctypes.data,
    )
    run(library, features)
    choices = {"max_tokens": 20, "bins": 7, "sigma": 0.0625, "interpolation": interpolation}
    wanted = plugins.region_features(
        images, labels, counts, gradient=bool(gradient), threads=1, **choices
    )
    assert tokens.tobytes() == wanted.tobytes()


def test_cells(library) -> None:
    seeds = np.array([3, -1, 2**62], np.int64)
    labels, counts = np.empty((3, 24, 36), np.int32), np.empty(3, np.int32)
    places = (labels.ctypes.data, counts.ctypes.data)
    run(library, SpitVoronoi(seeds.ctypes.data, 3, 24, 36, *places))
    wanted = plugins.voronoi_tessellation(seeds.tolist(), 24, 36, threads=1)
    assert labels.tobytes() == wanted[0].tobytes() and counts.tobytes() == wanted[1].tobytes()


def test_bad_arguments_are_refused(library, images) -> None:
    merge = SpitMerge(images=of(images), levels=-1)
    says = r"SuperpixelMerge: levels must lie in \[0, 16\], not -1"
    with pytest.raises(ExecutionError, match=says):
        library.workspace(merge)
    with pytest.raises(ExecutionError, match=says):
        library.enqueue(merge, 0)


def test_fields_are_those_of_the_header() -> None:
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)
    structures = re.findall(r"typedef struct (\w+) \{(.*?)\}", text, flags=re.S)
    assert len(structures) == 4
    for name, body in structures:
        fields = []
        for line in body.split(";"):
            names = re.sub(r"^\s*(const\s+)?\w+(\s*\*)?", "", line).split(",")
            fields += [field.strip(" *\n") for field in names if field.strip()]
        assert [field[0] for field in getattr(bound, name)._fields_] == fields, name


@pytest.mark.parametrize("seed", range(3))
def test_split_form_with_the_library(make_bundle, host_build, images, seed) -> None:
    bundle = Bundle.open(make_bundle(height=40, width=56).path)
    given = batches(images, 12)
    with simulated_gpu(bundle, seed) as rig, rig.session("tensorrt-split") as session:
        wanted = [bits(session.run(batch, tokens=True)) for batch in given]
        library = ctypes.CDLL(str(host_build.library))
        with rig.session("tensorrt-split", library=library) as other:
            tickets = [other.submit(batch, tokens=True) for batch in given]
            assert [bits(ticket.result()) for ticket in tickets] == wanted
