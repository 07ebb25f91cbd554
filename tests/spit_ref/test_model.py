"""The whole model: golden logits, options, batches, gradients, checkpoints, degenerate images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from spit_edge.spit_ref import MODEL_NAMES, Spit, load_model, model_config
from spit_edge.spit_ref.trunk import TRAINING_TOKENS, Trunk, _dropout
from tests.goldens import LogitCase, as_batch, checkpoint, logit_cases
from tests.photographs import DEGENERATE, flat, noise, photograph


@cache
def golden_model(gradient: bool = True) -> Spit:
    """Tests leave it as it is."""
    return load_model("spit_tiny", gradient=gradient, weights=checkpoint(gradient))


@pytest.fixture
def thread_counts() -> Iterator[None]:
    """A test may change the number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("case", logit_cases(), ids=lambda case: case.name)
@torch.no_grad()
def test_goldens_are_met(case: LogitCase) -> None:
    model, images = golden_model(case.gradient), as_batch(case.pixels)
    labels = torch.from_numpy(case.labels.astype(np.int64)).unsqueeze(0)
    given = model(images, labels=labels)
    assert np.abs(given.logits[0].numpy() - case.logits).max() <= 1e-4
    own = model(images)
    assert np.abs(own.logits[0].numpy() - case.logits).max() <= 1e-2
    assert given.num_tokens.tolist() == [case.labels.max() + 1]
    assert torch.equal(given.labels, labels.to(torch.int32))


def mixed_batch(height: int = 48, width: int = 64) -> Tensor:
    """Five images of one size with very different numbers of regions."""
    return torch.cat(
        [
            photograph("astronaut", height, width),
            flat(height, width),
            noise(height, width),
            photograph("chelsea", height, width),
            flat(height, width, 0),
        ]
    )


@torch.no_grad()
def test_only_what_is_asked_for_is_given() -> None:
    model, images = golden_model(), mixed_batch()
    plain = model(images)
    assert plain.logits.shape == (5, 10) and plain.logits.dtype == torch.float32
    assert plain.labels.shape == (5, 48, 64) and plain.labels.dtype == torch.int32
    assert plain.num_tokens.shape == (5,) and plain.num_tokens.dtype == torch.int32
    tokens = int(plain.num_tokens.max())
    shapes: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
        "token_logits": ({"token_logits": True}, (5, tokens, 10)),
        "embeddings": ({"embeddings": True}, (5, 1 + tokens, 64)),
        "attention_flow": ({"flow": True}, (5, tokens)),
        "prototypes": ({"prototypes": 3}, (5, tokens, 3)),
    }
    for name, (options, shape) in shapes.items():
        output = model(images, **options)
        assert torch.equal(output.logits, plain.logits)
        assert getattr(output, name).shape == shape
        assert all(getattr(output, other) is None for other in shapes if other != name)
        assert getattr(plain, name) is None


@torch.no_grad()
def test_optional_parts_fit_each_other() -> None:
    model, images = golden_model(), mixed_batch()
    output = model(images, token_logits=True, embeddings=True, flow=True, prototypes=2)
    assert output.embeddings is not None and output.token_logits is not None
    assert output.attention_flow is not None and output.prototypes is not None
    assert len(set(output.num_tokens.tolist())) >= 3
    assert torch.allclose(model.head(output.embeddings[:, 0]), output.logits, atol=1e-6)
    for index, count in enumerate(output.num_tokens.tolist()):
        own = model.head(output.embeddings[index, 1 : 1 + count])
        assert torch.allclose(output.token_logits[index, :count], own, atol=1e-6)
        assert output.token_logits[index, :count].any(dim=1).all()
        for part in (output.token_logits, output.attention_flow, output.prototypes):
            assert not part[index, count:].any()
        for part in (output.attention_flow, output.prototypes):
            assert float(part[index].min()) == 0.0 and part[index].isfinite().all()
            assert float(part[index].max()) == (1.0 if count > 1 else 0.0)


@pytest.mark.parametrize("gradient", [True, False])
@torch.no_grad()
def test_an_image_does_not_depend_on_its_batch(gradient: bool) -> None:
    """Neither on its place, nor on how far its tokens are padded."""
    model, images = golden_model(gradient), mixed_batch()
    options: dict[str, Any] = {"token_logits": True, "flow": True, "prototypes": 1}
    together = model(images, **options)
    reverse = model(images.flip(0), **options)
    for index, count in enumerate(together.num_tokens.tolist()):
        alone = model(images[index : index + 1], **options)
        assert alone.num_tokens.tolist() == [count]
        for output, place in ((together, index), (reverse, 4 - index)):
            assert torch.equal(output.labels[place], alone.labels[0])
            assert torch.allclose(output.logits[place], alone.logits[0], rtol=0, atol=1e-5)
            tokens = output.token_logits[place, :count]
            assert torch.allclose(tokens, alone.token_logits[0], rtol=0, atol=1e-5)
            flow = output.attention_flow[place, :count]
            assert torch.allclose(flow, alone.attention_flow[0], rtol=0, atol=1e-4)
            shown = output.prototypes[place, :count]
            assert torch.allclose(shown, alone.prototypes[0], rtol=0, atol=1e-3)


@torch.no_grad()
def test_labels_and_tokens_do_not_depend_on_threads(thread_counts: None) -> None:
    """Every kind of tokenizer; to the bit."""
    images = photograph("coffee", 96, 128)
    for name in ("spit_s16", "vit_s16", "rvit_s16"):
        tokenizer = Spit(replace(model_config(name), depth=0), seed=3).tokenizer
        torch.set_num_threads(1)
        one = tokenizer.tokens(images)
        torch.set_num_threads(2)
        two = tokenizer.tokens(images)
        for a, b in ((one.rows, two.rows), (one.labels, two.labels), (one.counts, two.counts)):
            assert torch.equal(a, b)


@torch.no_grad()
def test_uint8_and_unit_images_give_the_same_bits() -> None:
    model, images = golden_model(), photograph("chelsea", 40, 50)
    unit = torch.from_numpy((images.numpy() / 255.0).astype(np.float32))
    assert torch.equal(model(images).logits, model(unit).logits)


def grid(height: int, width: int, side: int) -> Tensor:
    """Squares of ``side`` pixels, [1, height, width]."""
    columns = torch.arange(width) // side
    rows = torch.arange(height).view(-1, 1) // side
    return (rows * int(columns[-1] + 1) + columns).unsqueeze(0)


LABEL_MAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "gaps": lambda labels: labels * 37 + 5,
    "negative": lambda labels: labels - 1000,
    "huge": lambda labels: labels * 2**40 - 2**60,
    "reversed": lambda labels: labels.amax() - labels,
    "int16": lambda labels: labels.to(torch.int16),
    "uint8": lambda labels: labels.to(torch.uint8),
}


@pytest.mark.parametrize("name", LABEL_MAPS)
@torch.no_grad()
def test_any_label_map_may_be_given(name: str) -> None:
    """What regions are called is of no meaning."""
    model, images = golden_model(), photograph("coffee", 48, 64)
    labels = grid(48, 64, 12)
    expected = model(images, labels=labels)
    assert expected.num_tokens.tolist() == [24]
    assert torch.equal(expected.labels, labels.to(torch.int32))
    output = model(images, labels=LABEL_MAPS[name](labels))
    assert torch.equal(output.labels, expected.labels)
    assert torch.equal(output.logits, expected.logits)


@torch.no_grad()
def test_given_labels_may_differ_from_image_to_image() -> None:
    model = golden_model()
    images = torch.cat([photograph("coffee", 48, 64), noise(48, 64)])
    labels = torch.cat([grid(48, 64, 16), grid(48, 64, 5)])
    output = model(images, labels=labels)
    assert output.num_tokens.tolist() == [12, 130]
    for index in range(2):
        alone = model(images[index : index + 1], labels=labels[index : index + 1])
        assert torch.allclose(output.logits[index], alone.logits[0], rtol=0, atol=1e-5)
    assert (output.logits[0] - model(images[:1]).logits[0]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("labels", "error"),
    [
        (torch.zeros(1, 8, 9, dtype=torch.int64), ValueError),
        (torch.zeros(2, 8, 8, dtype=torch.int64), ValueError),
        (torch.zeros(8, 8, dtype=torch.int64), ValueError),
        (torch.zeros(1, 8, 8), ValueError),
        (np.zeros((1, 8, 8), np.int64), TypeError),
    ],
)
def test_label_maps_that_do_not_fit_are_refused(labels: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="label"):
        golden_model()(noise(8, 8), labels=labels)


def assert_all_gradients(model: Spit, logits: Tensor) -> None:
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))
    (logits * weights).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all() and parameter.grad.any(), name


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("gradient", [True, False])
def test_gradients_reach_every_parameter(training: bool, gradient: bool) -> None:
    model = load_model("spit_tiny", gradient=gradient, weights="random").train(training)
    assert_all_gradients(model, model(mixed_batch(24, 32)).logits)


def test_training_with_token_dropout_and_stochastic_depth() -> None:
    torch.manual_seed(0)
    config = replace(model_config("spit_tiny"), drop_path=0.2)
    model = Spit(config)
    model.load_state_dict(load_model("spit_tiny", weights="random").state_dict())
    images = torch.cat([photograph("coffee", 80, 80), photograph("chelsea", 80, 80)] * 4)
    labels = torch.cat([grid(80, 80, 4), grid(80, 80, 10)] * 4)
    model.train()
    output = model(images, labels=labels, token_logits=True, embeddings=True, flow=True)
    assert output.num_tokens.tolist() == [400, 64] * 4
    assert output.token_logits.shape == (8, TRAINING_TOKENS, 10)
    assert output.embeddings.shape == (8, 1 + TRAINING_TOKENS, 64)
    assert output.attention_flow.shape == (8, TRAINING_TOKENS)
    assert output.token_logits[0].any(dim=1).all()
    assert output.token_logits[1, :64].any(dim=1).all() and not output.token_logits[1, 64:].any()
    assert_all_gradients(model, output.logits)
    again = model(images, labels=labels).logits
    assert again.isfinite().all() and not torch.allclose(again, output.logits, atol=1e-4)
    model.eval()
    still = [model(images, labels=labels).logits for _ in range(2)]
    assert torch.equal(*still)


def test_token_dropout_takes_different_tokens_of_those_there_are() -> None:
    """Row k holds k + 1, so that it can be told which were taken."""
    rows = torch.arange(1.0, 401.0).view(1, -1, 1).repeat(2, 1, 3)
    rows[1, 300:] = 0.0
    for _ in range(3):
        kept, counts = _dropout(rows, torch.tensor([400, 300]), TRAINING_TOKENS)
        assert counts.tolist() == [TRAINING_TOKENS] * 2 and kept.shape == (2, TRAINING_TOKENS, 3)
        assert len(kept[0, :, 0].unique()) == len(kept[1, :, 0].unique()) == TRAINING_TOKENS
        assert float(kept[1].min()) > 0.0
    few, counts = _dropout(rows, torch.tensor([400, 20]), TRAINING_TOKENS)
    assert counts.tolist() == [TRAINING_TOKENS, 20]
    assert sorted(few[1, :20, 0].tolist()) == list(range(1, 21))


def test_token_dropout_keeps_the_tokens_of_small_images() -> None:
    """Without stochastic depth, an image of few tokens is the same in training as after it,
    though a larger one in its batch is cut."""
    model = load_model("spit_tiny", weights="random")
    images = torch.cat([photograph("coffee", 80, 80), photograph("chelsea", 80, 80)])
    labels = torch.cat([grid(80, 80, 4), grid(80, 80, 10)])
    expected = model(images, labels=labels).logits
    trained = model.train()(images, labels=labels).logits
    assert torch.allclose(trained[1], expected[1], rtol=0, atol=1e-5)
    assert not torch.allclose(trained[0], expected[0], rtol=0, atol=1e-5)


def test_stochastic_depth_keeps_the_mean() -> None:
    """A branch that is left out for a share p of the images counts 1 / (1 - p) for the others."""
    config = replace(model_config("spit_tiny"), drop_path=0.25)
    block = Trunk(config).train().blocks[0]
    torch.manual_seed(0)
    dropped = block._dropped(torch.ones(4000, 3, 2))
    assert (dropped == dropped[:, :1, :1]).all()
    kept = dropped[:, 0, 0]
    assert torch.allclose(kept.unique(), torch.tensor([0.0, 1 / 0.75]))
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.03)
    assert torch.equal(block.eval()._dropped(torch.ones(2, 3, 2)), torch.ones(2, 3, 2))


# name: dim, heads, depth, stochastic depth, tokenizer, sigma with gradient, interpolation
SPECIFIED: dict[str, tuple[int, int, int, float, str, float, str]] = {
    "spit_tiny": (64, 4, 2, 0.0, "superpixel", 0.05, "bilinear"),
    "spit_s16": (384, 6, 12, 0.0, "superpixel", 0.025, "bilinear"),
    "spit_b16": (768, 12, 12, 0.2, "superpixel", 0.05, "bilinear"),
    "spit_l16": (1024, 16, 24, 0.2, "superpixel", 0.05, "bilinear"),
    "vit_s16": (384, 6, 12, 0.0, "square", 0.025, "nearest"),
    "vit_b16": (768, 12, 12, 0.2, "square", 0.025, "nearest"),
    "rvit_s16": (384, 6, 12, 0.0, "random", 0.025, "bilinear"),
    "rvit_b16": (768, 12, 12, 0.2, "random", 0.025, "bilinear"),
}
BLOCK_SHAPES = {
    "norm1.weight": "d",
    "norm1.bias": "d",
    "norm2.weight": "d",
    "norm2.bias": "d",
    "ls1.lambda_": "d",
    "ls2.lambda_": "d",
    "att.qkv.linear.weight": "3d d",
    "att.proj.linear.weight": "d d",
    "att.proj.linear.bias": "d",
    "mlp.L1.linear.weight": "4d d",
    "mlp.L1.linear.bias": "4d",
    "mlp.L2.linear.weight": "d 4d",
    "mlp.L2.linear.bias": "d",
}
OTHER_SHAPES = {
    "embedder.cls_token": "d",
    "embedder.embedder.linear.weight": "d t",
    "embedder.embedder.linear.bias": "d",
    "norm.weight": "d",
    "norm.bias": "d",
    "head.weight": "c d",
    "head.bias": "c",
}


def test_every_model_is_specified() -> None:
    assert set(MODEL_NAMES) == set(SPECIFIED)


@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("name", SPECIFIED)
def test_models_are_as_specified(name: str, gradient: bool) -> None:
    config = model_config(name, gradient=gradient)
    dim, heads, depth, drop_path, tokenizer, sigma, interpolation = SPECIFIED[name]
    assert (config.dim, config.heads, config.depth) == (dim, heads, depth)
    assert config.drop_path == drop_path
    assert (config.tokenizer, config.interpolation) == (tokenizer, interpolation)
    assert config.token_size == (1280 if gradient else 1024)
    assert config.sigma == (sigma if gradient else 0.025)
    assert config.compactness == (0.1 if tokenizer == "superpixel" and not gradient else None)
    assert (config.levels, config.bins) == (4, 16)
    assert config.classes == (10 if name == "spit_tiny" else 1000)
    assert model_config(name, gradient=gradient, classes=7).classes == 7


@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("name", SPECIFIED)
def test_parameters_are_those_of_published_checkpoints(name: str, gradient: bool) -> None:
    config = model_config(name, gradient=gradient)
    d, t, c = config.dim, 1280 if gradient else 1024, config.classes
    sizes = {"d": d, "3d": 3 * d, "4d": 4 * d, "t": t, "c": c}
    keys = dict(OTHER_SHAPES)
    for block in range(SPECIFIED[name][2]):
        keys |= {f"blocks.{block}.{key}": shape for key, shape in BLOCK_SHAPES.items()}
    with torch.device("meta"):
        state = Trunk(config).state_dict()
    expected = {key: tuple(sizes[word] for word in text.split()) for key, text in keys.items()}
    assert {key: tuple(value.shape) for key, value in state.items()} == expected


@pytest.mark.parametrize("name", ["vit_s16", "rvit_s16"])
@pytest.mark.parametrize("tessellation", ["voronoi", "pca_tree"])
@torch.no_grad()
def test_other_tokenizers_run(name: str, tessellation: Any) -> None:
    """On a shallow model; seeds move the cells of the random ones."""
    config = replace(model_config(name, classes=5), dim=64, heads=4, depth=1)
    images = torch.cat([photograph("coffee", 40, 56), noise(40, 56)])
    outputs = [Spit(config, tessellation=tessellation, seed=s).eval()(images) for s in (0, 0, 1)]
    for output in outputs:
        assert output.logits.shape == (2, 5) and output.logits.isfinite().all()
        assert torch.equal(output.labels[0], output.labels[1])
        assert output.num_tokens.tolist() == [int(output.labels.max()) + 1] * 2
    first, same, other = (output.labels for output in outputs)
    assert torch.equal(first, same)
    assert torch.equal(first, other) == (name == "vit_s16")


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown model 'spit_x': choose one of spit_tiny, "):
        load_model("spit_x")


def test_random_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = load_model("spit_tiny", weights="random", seed=5).state_dict()
    torch.manual_seed(2)
    second = load_model("spit_tiny", weights="random", seed=5).state_dict()
    other = load_model("spit_tiny", weights="random", seed=6).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


@pytest.mark.parametrize("gradient", [True, False])
@torch.no_grad()
def test_a_saved_model_comes_back(gradient: bool, tmp_path: Path) -> None:
    model = load_model("spit_tiny", gradient=gradient, weights="random", seed=3, classes=7)
    path = tmp_path / "mine.pth"
    torch.save(model.state_dict(), path)
    back = load_model("spit_tiny", gradient=gradient, weights=path, classes=7)
    assert not back.training
    images = photograph("astronaut", 40, 40)
    assert torch.equal(back(images).logits, model(images).logits)
    assert back.weights is not None and back.weights.source == "file"


@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("images", DEGENERATE.values(), ids=DEGENERATE)
@torch.no_grad()
def test_degenerate_images_are_ordinary_input(images: Tensor, gradient: bool) -> None:
    output = golden_model(gradient)(
        images, token_logits=True, embeddings=True, flow=True, prototypes=2
    )
    assert int(output.num_tokens) == int(output.labels.max()) + 1
    for part in (
        output.logits,
        output.token_logits,
        output.embeddings,
        output.attention_flow,
        output.prototypes,
    ):
        assert part is not None and part.isfinite().all()
