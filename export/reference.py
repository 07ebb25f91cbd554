"""The reference as judge: its answers for images, and the model a bundle was made of."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spit_edge.base.made_here import made_here, text_sha256
from spit_edge.export.graph.trunk import DTYPES
from spit_edge.runtime.bundle.manifest import Manifest, Precision, Weights
from spit_edge.runtime.parity.judge import Expected, tokens_sha256
from spit_edge.spit_ref import Spit, WeightsError, load_model
from spit_edge.spit_ref.tokenizer import Tokens


def model_of(manifest: Manifest, given: Path | None = None) -> Spit:
    """The model a bundle was exported from, weights and all.

    given  the checkpoint; None: the file that the manifest names, but only if this user built from
           it on this machine: a bundle of somebody else does not make us open files

    Raises WeightsError if its weights are not at hand any more or have changed.
    """
    weights, tokenizer = manifest.weights, manifest.tokenizer
    chosen: str | Path = given or weights.source
    if given is None and weights.source == "file":
        if not made_here(weights_key(weights)):
            raise WeightsError(
                f"this bundle was built elsewhere, from {weights.location!r}: give the checkpoint "
                "with --weights"
            )
        chosen = Path(weights.location)
    model = load_model(
        manifest.model,
        gradient=manifest.gradient,
        weights=chosen,
        seed=weights.seed if weights.seed is not None else tokenizer.seed or 0,
        classes=manifest.classes,
        tessellation="pca_tree" if tokenizer.kind == "pca_tree" else "voronoi",
        final_threshold=tokenizer.threshold,
    )
    assert model.weights is not None
    if model.weights.sha256 != weights.sha256:
        raise WeightsError(
            f"{given or weights.location} is not what this bundle was exported from (hash of the "
            "weights differs): give back the old file or export again"
        )
    return model


def weights_key(weights: Weights) -> str:
    """What to remember of a checkpoint that was built from: where it lay and what it held."""
    return text_sha256("weights", weights.location, weights.sha256)


class Reference:
    """Answers of ``model`` in float32, and how far off it is when run in ``precision``.

    Where a matrix product is to stay in float32 (``fp32`` has its name), the run in ``precision``
    has its whole branch of the residual stream in float32, from LayerNorm to layer scale.
    """

    def __init__(
        self, model: Spit, precision: Precision, fp32: Collection[str] = frozenset()
    ) -> None:
        self.model = model
        self.reduced = None
        if precision != "fp32":
            self.reduced = copy.deepcopy(model).to(DTYPES[precision])
            for branch in {_branch(name) for name in fp32}:
                _keep_in_fp32(self.reduced, model, branch)

    def expected(self, image: NDArray[np.uint8]) -> Expected:
        """The answer for one image, uint8 [H, W, 3]."""
        return self.expected_of(self.tokens(image))

    def tokens(self, image: NDArray[np.uint8]) -> Tokens:
        """The token rows [1, T, D] of one image, and its regions."""
        batch = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).unsqueeze(0)
        return self.model.tokenizer.tokens(batch)

    @torch.no_grad()
    def expected_of(self, tokens: Tokens) -> Expected:
        """The answer for one image that has become tokens already."""
        logits = self.model.classify(self.model.embed(tokens.rows, tokens.counts))
        count = int(tokens.counts[0])
        return Expected(
            labels=tokens.labels[0].numpy(),
            num_tokens=count,
            tokens_sha256=tokens_sha256(tokens.rows[0].numpy(), count),
            logits=logits[0].numpy(),
            precision_error=self.precision_error(tokens, logits),
        )

    @torch.no_grad()
    def precision_error(self, tokens: Tokens, logits: Tensor) -> float:
        """How far the run in ``precision`` is from the logits [1, classes] in float32."""
        if self.reduced is None:
            return 0.0
        rows = tokens.rows.to(self.reduced.head.weight.dtype)
        reduced = self.reduced.classify(self.reduced.embed(rows, tokens.counts))
        return float((reduced.float() - logits).abs().max())

    def answers(self, images: Mapping[str, NDArray[np.uint8]]) -> list[Expected]:
        """The answers for several images."""
        return [self.expected(image) for image in images.values()]


def _branch(product: str) -> tuple[str, ...]:
    """The modules of the branch that holds a matrix product, in the order of their calls."""
    block, _, layer = product.rpartition(".")
    if not block:
        return ("embedder.embedder",)
    names = ("norm2", "mlp", "ls2") if layer in ("up", "down") else ("norm1", "att", "ls1")
    return tuple(f"{block}.{name}" for name in names)


def _keep_in_fp32(reduced: Spit, model: Spit, branch: tuple[str, ...]) -> None:
    """Give ``reduced`` the branch of ``model``, and casts around it."""
    modules = [reduced.get_submodule(name) for name in branch]
    for name, module in zip(branch, modules, strict=True):
        module.float().load_state_dict(model.get_submodule(name).state_dict())
    dtype = reduced.head.weight.dtype
    modules[0].register_forward_pre_hook(lambda _, inputs: (inputs[0].float(), *inputs[1:]))
    modules[-1].register_forward_hook(lambda _module, _inputs, output: output.to(dtype))
