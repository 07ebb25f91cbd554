"""The whole model, and the one function that makes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from spit_edge.base.ranges import SEED
from spit_edge.spit_ref.saliency import attention_flow, prototype_pca
from spit_edge.spit_ref.tokenizer import Tokenizer
from spit_edge.spit_ref.trunk import Trunk
from spit_edge.spit_ref.weights import WeightsInfo, resolve_weights
from spit_edge.spit_ref.zoo import ModelConfig, Tessellation, model_config


@dataclass(frozen=True)
class SpitOutput:
    """What a model says of a batch of images; optional parts are None unless asked for.

    logits          [B, classes]
    labels          int32 [B, H, W], the region of every pixel
    num_tokens      int32 [B]
    token_logits    [B, T, classes], zero for padding
    embeddings      [B, 1 + T, d], the class token first
    attention_flow  [B, T] in [0, 1]
    prototypes      [B, T, components] in [0, 1]
    """

    logits: Tensor
    labels: Tensor
    num_tokens: Tensor
    token_logits: Tensor | None = None
    embeddings: Tensor | None = None
    attention_flow: Tensor | None = None
    prototypes: Tensor | None = None


class Spit(Trunk):
    """A trunk that makes its own tokens.  ``weights`` says where its parameters come from."""

    def __init__(
        self, config: ModelConfig, *, tessellation: Tessellation = "voronoi", seed: int = 0
    ) -> None:
        super().__init__(config)
        self.tokenizer = Tokenizer(config, tessellation, seed)
        self.weights: WeightsInfo | None = None

    def forward(
        self,
        images: Tensor,
        *,
        labels: Tensor | None = None,
        token_logits: bool = False,
        embeddings: bool = False,
        flow: bool = False,
        prototypes: int = 0,
    ) -> SpitOutput:
        """Classify images [B, 3, H, W], uint8 or float32 in [0, 1].

        labels        any integer label maps [B, H, W] to use instead of the model's own regions
        token_logits  also classify every token
        embeddings    also give the token embeddings
        flow          also give the attention flow
        prototypes    also give that many principal components of the embeddings

        While training, optional parts cover the tokens that were kept, in random order.
        """
        tokens = self.tokenizer.tokens(images, labels=labels)
        rows = tokens.rows.to(self.head.weight.dtype)
        embedded = self.embed(rows, tokens.counts, attentions=flow)
        counts = embedded.counts
        return SpitOutput(
            logits=self.classify(embedded),
            labels=tokens.labels,
            num_tokens=tokens.counts,
            token_logits=self.token_logits(embedded) if token_logits else None,
            embeddings=embedded.tokens if embeddings else None,
            attention_flow=attention_flow(embedded.attentions, counts) if flow else None,
            prototypes=prototype_pca(embedded.tokens, counts, prototypes) if prototypes else None,
        )


def load_model(
    name: str,
    *,
    gradient: bool = True,
    weights: str | Path = "auto",
    seed: int = 0,
    classes: int | None = None,
    tessellation: Tessellation = "voronoi",
    final_threshold: float = 0.0,
) -> Spit:
    """A model in evaluation mode.

    name             one of :data:`spit_ref.MODEL_NAMES`
    gradient         whether token rows hold gradient features
    weights          a checkpoint's path, "official", "random", or "auto": official if it can be had
    seed             for random weights, and for the regions of the models with random regions,
                     0...2^63-1
    classes          outputs of the head, 1...2^20; None: 1000, and 10 for ``spit_tiny``
    tessellation     kind of random regions
    final_threshold  > 0 joins, at the end, all neighbouring superpixels whose features differ by
                     less; for models with superpixels

    Raises OptionError, a ValueError, for an unknown name and values out of range, and WeightsError
    for weights that cannot be had or do not fit.
    """
    SEED.checked("seed", seed)
    config = model_config(name, gradient=gradient, classes=classes, final_threshold=final_threshold)
    model = Spit(config, tessellation=tessellation, seed=seed)
    state, model.weights = resolve_weights(config, weights, seed=seed)
    model.load_state_dict(state, strict=True)
    return model.eval()
