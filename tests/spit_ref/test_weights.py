"""Weights: official files and their cache, checkpoints good and bad, random values."""

from __future__ import annotations

import hashlib
import io
import math
import os
import pickle
import struct
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from spit_edge.spit_ref import weights, zoo
from spit_edge.spit_ref.download import DownloadError, WeightsError
from spit_edge.spit_ref.weights import (
    RandomWeightsWarning,
    WrongCheckpoint,
    cache_path,
    check_state,
    checkpoint_shapes,
    random_state,
    resolve_weights,
    state_dict_sha256,
)
from spit_edge.spit_ref.zoo import OfficialFile, model_config
from tests.simulators.file_server import Server, md5, sends, server

__all__ = ["server"]

GOLDENS = Path(__file__).parents[1] / "data" / "goldens"
TINY = model_config("spit_tiny")
TINY_PLAIN = model_config("spit_tiny", gradient=False)
PUBLISHED = model_config("spit_tiny", classes=1000)


def saved(obj: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(obj, buffer)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def published_file() -> bytes:
    return saved(random_state(PUBLISHED, 7))


@pytest.fixture
def official(
    server: Server, published_file: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Server:
    """The server shares an official file of PUBLISHED; the cache is empty."""
    server.answer = sends(published_file)
    monkeypatch.setattr(zoo, "SHARE_ROOT", server.root)
    file = OfficialFile("tiny", md5(published_file))
    monkeypatch.setitem(zoo.OFFICIAL, ("spit_tiny", True), file)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return server


def cached_names() -> list[str]:
    folder = cache_path(PUBLISHED).parent
    return sorted(os.listdir(folder)) if folder.exists() else []


# Official files


def test_official_is_downloaded_once_and_then_read_from_the_cache(official: Server) -> None:
    first, info = resolve_weights(PUBLISHED, "official")
    again, info_again = resolve_weights(PUBLISHED, "official")
    assert official.requests == ["/tiny?download=1"]
    assert official.agents == ["spit-edge"]
    assert cached_names() == ["spit_tiny_gradient.pth"]
    assert info == info_again
    assert (info.source, info.location, info.seed) == (
        "official",
        f"{official.root}tiny?download=1",
        None,
    )
    expected = random_state(PUBLISHED, 7)
    assert list(first) == list(again) == list(checkpoint_shapes(PUBLISHED))
    assert all(torch.equal(first[key], expected[key]) for key in expected)
    assert info.sha256 == state_dict_sha256(expected)


def test_auto_takes_the_official_file_without_a_warning(official: Server) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, info = resolve_weights(PUBLISHED)
    assert info.source == "official"


def test_cache_path_tells_gradient_from_plain(official: Server) -> None:
    assert cache_path(TINY).name == "spit_tiny_gradient.pth"
    assert cache_path(TINY_PLAIN).name == "spit_tiny_plain.pth"
    assert cache_path(TINY).parent == Path(torch.hub.get_dir()) / "checkpoints"


def test_wrong_cached_file_is_replaced(official: Server, published_file: bytes) -> None:
    path = cache_path(PUBLISHED)
    path.parent.mkdir(parents=True)
    path.write_bytes(published_file[:-1])
    with pytest.warns(UserWarning, match="downloaded again"):
        _, info = resolve_weights(PUBLISHED, "official")
    assert info.source == "official"
    assert path.read_bytes() == published_file
    assert len(official.requests) == 1


def test_wrong_cached_file_is_not_kept_when_the_download_fails(official: Server) -> None:
    path = cache_path(PUBLISHED)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"something else")
    official.answer = sends(b"gone", status=404)
    with pytest.warns(UserWarning, match="downloaded again"), pytest.raises(DownloadError):
        resolve_weights(PUBLISHED, "official")
    assert cached_names() == []


def test_something_else_in_the_place_of_the_cached_file(official: Server) -> None:
    cache_path(PUBLISHED).mkdir(parents=True)
    with pytest.raises(WeightsError, match="in the way"):
        resolve_weights(PUBLISHED, "official")


@pytest.mark.parametrize("name", ["rvit_s16", "spit_l16", "spit_tiny"])
def test_models_without_official_file(name: str) -> None:
    with pytest.raises(WeightsError, match=f"There are no official weights for {name}"):
        resolve_weights(model_config(name), "official")


def test_official_weights_have_1000_classes(official: Server) -> None:
    with pytest.raises(WeightsError, match="10 classes"):
        resolve_weights(TINY, "official")
    assert official.requests == []


def test_auto_falls_back_to_random_with_a_warning(official: Server) -> None:
    official.answer = sends(b"gone", status=404)
    with pytest.warns(RandomWeightsWarning) as caught:
        state, info = resolve_weights(PUBLISHED, "auto", seed=3)
    message = str(caught[0].message)
    for part in ("spit_tiny", "meaningless", "--weights PATH", "404"):
        assert part in message
    assert caught[0].filename == __file__
    assert (info.source, info.location, info.seed) == ("random", "seed 3", 3)
    assert torch.equal(state["head.weight"], random_state(PUBLISHED, 3)["head.weight"])


def test_auto_without_official_file_warns_too() -> None:
    with pytest.warns(RandomWeightsWarning, match="There are no official weights"):
        _, info = resolve_weights(TINY)
    assert info.source == "random"


def test_auto_does_not_hide_an_official_file_that_fits_no_model(
    official: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = saved(random_state(TINY, 0))
    official.answer = sends(body)
    monkeypatch.setitem(zoo.OFFICIAL, ("spit_tiny", True), OfficialFile("tiny", md5(body)))
    with pytest.raises(WrongCheckpoint):
        resolve_weights(PUBLISHED, "auto")


# Checkpoints of one's own


@pytest.mark.parametrize("config", [TINY, TINY_PLAIN], ids=["gradient", "plain"])
@pytest.mark.parametrize("kind", [str, Path])
def test_checkpoint_by_path(config: zoo.ModelConfig, kind: type) -> None:
    path = GOLDENS / f"tiny_{'gradient' if config.gradient else 'plain'}.pth"
    state, info = resolve_weights(config, kind(path))
    expected = torch.load(path, weights_only=True)
    assert {key: tuple(value.shape) for key, value in state.items()} == checkpoint_shapes(config)
    assert all(torch.equal(state[key], expected[key]) for key in expected)
    assert (info.source, info.location, info.seed) == ("file", str(path), None)
    assert info.sha256 == state_dict_sha256(expected)


def test_home_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    torch.save(random_state(TINY, 0), tmp_path / "mine.pth")
    _, info = resolve_weights(TINY, "~/mine.pth")
    assert info.location == str(tmp_path / "mine.pth")


@pytest.mark.parametrize("name", ["missing.pth", "offical", ""])
def test_missing_file_names_the_special_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=r"could not be read.*auto, official and random"):
        resolve_weights(TINY, name)


def test_a_path_is_never_a_special_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(random_state(TINY, 5), "random")
    assert resolve_weights(TINY, Path("random"))[1].source == "file"


def test_checkpoint_of_another_size_is_refused_with_the_differences() -> None:
    with pytest.raises(WrongCheckpoint) as caught:
        resolve_weights(TINY_PLAIN, GOLDENS / "tiny_gradient.pth")
    message = str(caught.value)
    assert "tiny_gradient.pth is not a checkpoint of spit_tiny without gradient features" in message
    assert "this looks like spit_tiny with gradient features" in message
    assert "embedder.embedder.linear.weight (64, 1280) not (64, 1024)" in message
    assert "missing" not in message and "unexpected" not in message


def test_refusal_names_every_model_of_the_size() -> None:
    config = replace(model_config("vit_s16", gradient=False), classes=5)
    meta = {key: torch.empty(s, device="meta") for key, s in checkpoint_shapes(config).items()}
    with pytest.raises(WrongCheckpoint) as caught:
        check_state(meta, TINY, "here")
    message = str(caught.value)
    assert "spit_s16 or vit_s16 or rvit_s16 without gradient features" in message
    assert "dim 384, depth 12, 1024 values per token, 5 classes" in message
    listed = message[message.index("unexpected: ") :].splitlines()[0]
    assert listed.count("blocks.") == 8 and listed.endswith(", ... and 122 more")


def test_missing_and_unexpected_keys() -> None:
    state = random_state(TINY, 0)
    state["classifier.bias"] = state.pop("head.bias")
    with pytest.raises(WrongCheckpoint) as caught:
        check_state(state, TINY, "here")
    message = str(caught.value)
    assert "missing: head.bias\n" in message and "unexpected: classifier.bias" in message
    assert "looks like" not in message and "wrong shape" not in message


def test_other_number_of_classes() -> None:
    with pytest.raises(
        WrongCheckpoint, match=r"has 1000 classes and spit_tiny 10: pass --classes 1000"
    ):
        check_state(random_state(PUBLISHED, 0), TINY, "here")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_become_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    expected = {key: value.to(dtype) for key, value in random_state(TINY, 0).items()}
    torch.save(expected, tmp_path / "file.pth")
    state, info = resolve_weights(TINY, tmp_path / "file.pth")
    assert {value.dtype for value in state.values()} == {torch.float32}
    assert all(torch.equal(state[key], expected[key].float()) for key in expected)
    assert info.sha256 == state_dict_sha256(state)


def test_parameters_become_plain_tensors() -> None:
    state = {key: torch.nn.Parameter(value) for key, value in random_state(TINY, 0).items()}
    checked = check_state(state, TINY, "here")
    assert not any(value.requires_grad for value in checked.values())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
def test_values_that_are_not_finite(value: float) -> None:
    state = {key: tensor.double() for key, tensor in random_state(TINY, 0).items()}
    state["norm.bias"][3] = value
    with pytest.raises(WrongCheckpoint, match=r"here: norm\.bias has values that are NaN"):
        check_state(state, TINY, "here")


@pytest.mark.parametrize(
    "change",
    [
        lambda tensor: tensor.int(),
        lambda tensor: tensor.to(torch.complex64),
        lambda tensor: tensor.to_sparse(),
        lambda tensor: tensor.to("meta"),
    ],
    ids=["int", "complex", "sparse", "meta"],
)
def test_tensors_that_are_no_weights(change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    state = random_state(TINY, 0)
    state["norm.bias"] = change(state["norm.bias"])
    with pytest.raises(WrongCheckpoint, match=r"norm\.bias is not a dense floating point"):
        check_state(state, TINY, "here")


class Bomb:
    """Unpickled without care, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"mkdir '{self.path}'",)


@pytest.mark.parametrize(
    "pack",
    [lambda bomb: pickle.dumps(bomb, protocol=2), saved, lambda bomb: saved({"norm.bias": bomb})],
    ids=["bare pickle", "checkpoint", "inside a state dict"],
)
def test_malicious_pickle_is_not_executed(tmp_path: Path, pack: Callable[[Bomb], bytes]) -> None:
    trace, path = tmp_path / "trace", tmp_path / "file.pth"
    path.write_bytes(pack(Bomb(trace)))
    with pytest.raises(WrongCheckpoint, match=r"object of \w+.system, .* could run code"):
        resolve_weights(TINY, path)
    assert not trace.exists()


def test_the_malicious_pickle_is_one(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "trace")))
    assert (tmp_path / "trace").exists()


def flipped(data: bytes) -> bytes:
    """``data`` with one bit of a weight changed, which `torch.load` by itself would accept."""
    weight = random_state(TINY, 0)["blocks.1.mlp.L1.linear.weight"].numpy().tobytes()
    place = data.index(weight) + 100
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: b"weights: none\n" * 50,
        lambda data: b"<!doctype html><title>Sign in</title>",
        lambda data: bytes(1000),
        lambda data: data[:1000],
        lambda data: data[:-100],
        lambda data: data[1000:],
        lambda data: data[:64] + bytes(200) + data[264:],
        flipped,
    ],
    ids=["empty", "text", "html", "zeros", "head", "cut", "tail", "overwritten", "one bit"],
)
def test_damaged_files(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "file.pth"
    path.write_bytes(spoil(saved(random_state(TINY, 0))))
    with pytest.raises(WrongCheckpoint, match="is damaged or not a PyTorch checkpoint") as caught:
        resolve_weights(TINY, path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message and len(message) < 200 + len(str(path))
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        ([1, 2], "it is a list"),
        (torch.zeros(3), "it is a Tensor"),
        ({"weights": random_state(TINY, 0)}, "'weights' is a dict"),
        ({"epoch": 3}, "'epoch' is a int"),
        ({1: torch.zeros(3)}, "1 is a Tensor"),
    ],
)
def test_files_that_hold_no_state_dict(tmp_path: Path, content: object, pattern: str) -> None:
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(WrongCheckpoint, match=pattern):
        resolve_weights(TINY, tmp_path / "file.pth")


# Random values and the hash


def test_random_is_seeded_and_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    state, info = resolve_weights(TINY, "random", seed=1)
    again, info_again = resolve_weights(TINY, "random", seed=1)
    other, info_other = resolve_weights(TINY, "random", seed=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (info.source, info.location, info.seed) == ("random", "seed 1", 1)
    assert info == info_again and info.sha256 != info_other.sha256
    assert all(torch.equal(state[key], again[key]) for key in state)
    assert not torch.equal(state["head.weight"], other["head.weight"])


@pytest.mark.parametrize("config", [TINY, TINY_PLAIN], ids=["gradient", "plain"])
def test_random_state_is_a_valid_checkpoint_with_all_blocks_at_work(
    config: zoo.ModelConfig,
) -> None:
    state = check_state(random_state(config, 0), config, "random")
    for key, tensor in state.items():
        if "norm" in key or key.endswith("lambda_"):
            assert (tensor == (0.0 if key.endswith("bias") else 1.0)).all(), key
        else:
            assert 0 < tensor.abs().max() < 0.1, key
            if tensor.numel() > 1000:
                assert 0.015 < tensor.std() < 0.02, key
                assert abs(tensor.mean()) < 0.002, key
    drawn = {tensor.flatten()[0].item() for key, tensor in state.items() if "linear" in key}
    assert len(drawn) == sum("linear" in key for key in state)


@pytest.mark.parametrize("name", ["gradient", "plain"])
def test_checkpoint_shapes_are_those_of_the_goldens(name: str) -> None:
    config = model_config("spit_tiny", gradient=name == "gradient")
    golden = torch.load(GOLDENS / f"tiny_{name}.pth", weights_only=True)
    assert {key: tuple(v.shape) for key, v in golden.items()} == checkpoint_shapes(config)


def test_hash_is_what_its_docstring_says(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"b": torch.tensor([[1.5], [-2.0]]), "a": torch.tensor(0.25, dtype=torch.float16)}
    text = (
        b"a||float16|" + struct.pack("<e", 0.25) + b"b|2,1|float32|" + struct.pack("<2f", 1.5, -2)
    )
    assert state_dict_sha256(state) == hashlib.sha256(text).hexdigest()
    assert state_dict_sha256(dict(reversed(state.items()))) == hashlib.sha256(text).hexdigest()
    swapped = {"b": state["b"].view(torch.uint8).reshape(2, 1, 4).flip(2).reshape(2, 4)}
    big = {"b": swapped["b"].view(torch.float32)}
    monkeypatch.setattr(weights.sys, "byteorder", "big")
    text = b"b|2,1|float32|" + struct.pack("<2f", 1.5, -2)
    assert state_dict_sha256(big) == hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        lambda state: {**state, "x": state["a"]},
        lambda state: {"b": state["a"]},
        lambda state: {"a": state["a"].reshape(3, 2)},
        lambda state: {"a": state["a"].view(torch.int32)},
        lambda state: {"a": -state["a"]},
    ],
    ids=["more", "key", "shape", "dtype", "value"],
)
def test_hash_sees_every_difference(
    change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]],
) -> None:
    state = {"a": torch.arange(6.0).reshape(2, 3)}
    assert state_dict_sha256(change(state)) != state_dict_sha256(state)


def test_hash_does_not_see_strides() -> None:
    tensor = torch.arange(6.0).reshape(2, 3)
    assert state_dict_sha256({"a": tensor.t()}) == state_dict_sha256({"a": tensor.t().contiguous()})
