"""The transformer: token rows in, embeddings and logits out.

Module and parameter names are those of the published checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spit_edge.spit_ref.zoo import ModelConfig

LAYER_NORM_EPSILON = 1e-6
MLP_RATIO = 4
TRAINING_TOKENS = 256


@dataclass(frozen=True)
class Embeddings:
    """What leaves the last block, normalised.

    tokens      [B, 1 + T, d], the class token first; padded rows mean nothing
    counts      [B] valid tokens, without the class token
    attentions  per block [B, heads, 1 + T, 1 + T], if asked for
    """

    tokens: Tensor
    counts: Tensor
    attentions: list[Tensor] = field(default_factory=list)


class Linear(nn.Module):
    """A linear map one level deeper, as the checkpoints have it."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        mapped: Tensor = self.linear(x)
        return mapped


class Embedder(nn.Module):
    """Token rows [B, T, D] to [B, 1 + T, d], the class token in front."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(config.dim))
        self.embedder = Linear(config.token_size, config.dim)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedder(tokens)
        return torch.cat([self.cls_token.expand(x.shape[0], 1, -1), x], dim=1)


class LayerScale(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lambda_ = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.lambda_


class Attention(nn.Module):
    """Multi-head self-attention; keys where ``valid`` [B, 1 + T] is False take no part."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.qkv = Linear(dim, 3 * dim, bias=False)
        self.proj = Linear(dim, dim)

    def forward(self, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """[B, N, d] to the same, and the attention [B, heads, N, N]."""
        batch, length, dim = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = (q * self.scale) @ k.transpose(-2, -1)
        scores = scores.masked_fill(~valid[:, None, None, :], float("-inf"))
        attention = scores.softmax(dim=-1)
        mixed = (attention @ v).transpose(1, 2).reshape(batch, length, dim)
        return self.proj(mixed), attention


class Mlp(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.L1 = Linear(dim, MLP_RATIO * dim)
        self.L2 = Linear(MLP_RATIO * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        mapped: Tensor = self.L2(F.gelu(self.L1(x)))
        return mapped


class Block(nn.Module):
    """Pre-norm attention and MLP, each scaled and added to the residual stream."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.drop_path = config.drop_path
        self.norm1 = nn.LayerNorm(config.dim, eps=LAYER_NORM_EPSILON)
        self.att = Attention(config.dim, config.heads)
        self.ls1 = LayerScale(config.dim)
        self.norm2 = nn.LayerNorm(config.dim, eps=LAYER_NORM_EPSILON)
        self.mlp = Mlp(config.dim)
        self.ls2 = LayerScale(config.dim)

    def forward(self, x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        mixed, attention = self.att(self.norm1(x), valid)
        x = x + self._dropped(self.ls1(mixed))
        x = x + self._dropped(self.ls2(self.mlp(self.norm2(x))))
        return x, attention

    def _dropped(self, branch: Tensor) -> Tensor:
        """Stochastic depth: while training, the branch is left out for some of the images."""
        if not self.training or self.drop_path == 0.0:
            return branch
        keep = 1.0 - self.drop_path
        return branch * (torch.rand_like(branch[:, :1, :1]) < keep) / keep


class Trunk(nn.Module):
    """Embedder, blocks, norm and head."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedder = Embedder(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.dim, eps=LAYER_NORM_EPSILON)
        self.head = nn.Linear(config.dim, config.classes)

    def embed(self, tokens: Tensor, counts: Tensor, *, attentions: bool = False) -> Embeddings:
        """Token rows [B, T, D], of which the first ``counts`` [B] are valid, through all blocks.

        While training, at most 256 randomly chosen tokens of each image take part.
        """
        if self.training and tokens.shape[1] > TRAINING_TOKENS:
            tokens, counts = _dropout(tokens, counts, TRAINING_TOKENS)
        x = self.embedder(tokens)
        valid = torch.arange(x.shape[1], device=x.device) <= counts.view(-1, 1)
        kept = []
        for block in self.blocks:
            x, attention = block(x, valid)
            if attentions:
                kept.append(attention)
        return Embeddings(self.norm(x), counts, kept)

    def classify(self, embeddings: Embeddings) -> Tensor:
        """Logits [B, classes] from the class token."""
        logits: Tensor = self.head(embeddings.tokens[:, 0])
        return logits

    def token_logits(self, embeddings: Embeddings) -> Tensor:
        """Logits of every token [B, T, classes], zero for padding: dense prediction."""
        tokens = embeddings.tokens[:, 1:]
        valid = torch.arange(tokens.shape[1], device=tokens.device) < embeddings.counts.view(-1, 1)
        logits: Tensor = self.head(tokens)
        return logits * valid.unsqueeze(-1)


def _dropout(tokens: Tensor, counts: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """``keep`` random valid rows of each image, the valid ones first."""
    order = torch.rand(tokens.shape[:2], device=tokens.device)
    valid = torch.arange(tokens.shape[1], device=tokens.device) < counts.view(-1, 1)
    chosen = order.masked_fill(~valid, -1.0).topk(keep, dim=1).indices
    rows = chosen.unsqueeze(-1).expand(-1, -1, tokens.shape[2])
    return tokens.gather(1, rows), counts.clamp(max=keep)
