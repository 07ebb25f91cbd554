"""Superpixels that are joined at the end, from the command line to every back end."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from spit_edge.export.__main__ import main
from spit_edge.export.reference import model_of
from spit_edge.plugins.torch_ops import accelerate
from spit_edge.runtime import Session
from spit_edge.runtime.backends.cpu.tokenizer import NativeTokenizer
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.bundle.manifest import decode, encode
from spit_edge.spit_ref import load_model
from tests.conftest import GOLDENS
from tests.simulators.gpu_rig import simulated_gpu

WEIGHTS = GOLDENS / "tiny_gradient.pth"
THRESHOLD = 0.8


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "bundle"
    words = ["build", "--model", "spit_tiny", "--weights", str(WEIGHTS), "--image-size", "48x64"]
    assert main([*words, "--final-threshold", str(THRESHOLD), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def images(photographs) -> np.ndarray:
    return np.ascontiguousarray(photographs(48, 64).transpose(0, 3, 1, 2))


@pytest.fixture(scope="module")
def wanted(images):
    """The reference's labels and numbers; without the threshold there are more regions."""
    with torch.no_grad():
        plain = load_model("spit_tiny", weights=WEIGHTS)(torch.from_numpy(images))
        model = load_model("spit_tiny", weights=WEIGHTS, final_threshold=THRESHOLD)
        found = model(torch.from_numpy(images))
        native = accelerate(model)(torch.from_numpy(images))
    assert (found.num_tokens < plain.num_tokens).all()
    assert torch.equal(native.labels, found.labels)
    return found.labels.numpy(), found.num_tokens.numpy()


@pytest.mark.parametrize("backend", ["onnxruntime", "onnxruntime-graph", "torch"])
def test_back_ends_give_the_reference_s_labels(path, images, wanted, backend) -> None:
    with Session.open(path, backend) as session:
        output = session.run(images)
    assert output.labels.tobytes() == wanted[0].tobytes()
    assert output.num_tokens.tolist() == wanted[1].tolist()


@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt-split"])
def test_gpu_tokenizer_gives_them_too(path, images, wanted, backend) -> None:
    bundle = Bundle.open(path)
    tokens = NativeTokenizer(bundle, 1).run(images, None)["tokens"]
    with simulated_gpu(bundle) as rig, rig.session(backend) as session:
        output = session.run(images, tokens=True)
    assert output.labels.tobytes() == wanted[0].tobytes()
    assert output.tokens is not None and output.tokens.tobytes() == tokens.tobytes()


def test_the_bundle_says_so(path, capsys) -> None:
    manifest = Bundle.open(path).manifest
    assert manifest.tokenizer.threshold == THRESHOLD
    assert model_of(manifest).config.final_threshold == THRESHOLD
    assert main(["inspect", str(path)]) == 0
    assert f"final threshold {THRESHOLD}" in " ".join(capsys.readouterr().out.split())


def test_manifests_without_it_are_read_and_written_as_before(path) -> None:
    manifest = Bundle.open(path).manifest
    plain = msgspec.structs.replace(
        manifest,
        tokenizer=msgspec.structs.replace(manifest.tokenizer, final_threshold=msgspec.UNSET),
    )
    text = encode(plain)
    assert "final_threshold" not in json.loads(text)["tokenizer"]
    assert decode(text, "m").tokenizer.threshold == 0.0


@pytest.mark.parametrize("value", [-1.0, float("inf"), float("nan")])
def test_what_is_no_threshold_is_refused(value) -> None:
    with pytest.raises(ValueError, match=r"final_threshold must lie in \[0, 8\]"):
        load_model("spit_tiny", weights="random", final_threshold=value)


def test_other_regions_are_not_joined() -> None:
    with pytest.raises(ValueError, match="for superpixels, which vit_s16"):
        load_model("vit_s16", weights="random", final_threshold=0.5)
