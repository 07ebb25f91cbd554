"""The trunk as it is exported: the reference's computation with its precision written out.

Matrix products and their weights are in the reduced type.  The residual stream, LayerNorm, softmax,
layer scale and the head stay in float32: in half precision LayerNorm overflows and attention
flattens (TensorRT issues 4723, 4355, 2564).  TensorRT 11 takes types from the graph and nowhere
else, so every cast is explicit.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from export.precision import DTYPES, Precision
from spit_ref.saliency import attention_flow
from spit_ref.trunk import Attention, Block, Embeddings, Mlp, Trunk

MASKED = -1e9
"""Added to scores of padding: finite, so that no engine meets inf - inf, and exp of it is 0."""


class TrunkGraph(nn.Module):
    """(tokens float32 [B, T, D], counts int32 [B]) to logits and the ``extras`` asked for.

    extras  any of "embeddings" ([B, 1 + T, d]) and "attention" (attention flow [B, T]); float32
    """

    def __init__(self, trunk: Trunk, precision: Precision, extras: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.dtype = DTYPES[precision]
        self.extras = extras
        self.trunk = trunk
        self.cls_token = trunk.embedder.cls_token
        self.embedder = _reduced(trunk.embedder.embedder.linear, self.dtype)
        self.blocks = nn.ModuleList(
            BlockGraph(block, self.dtype) for block in trunk.blocks if isinstance(block, Block)
        )

    def forward(self, tokens: Tensor, counts: Tensor) -> tuple[Tensor, ...]:
        x = self.embedder(tokens.to(self.dtype)).float()
        x = torch.cat([self.cls_token.expand(x.shape[0], 1, -1), x], dim=1)
        # The class token is number 0, so padding begins behind number ``counts``.
        place = torch.arange(x.shape[1], dtype=torch.int32)
        padding = place.view(1, 1, 1, -1) > counts.view(-1, 1, 1, 1)
        mask = padding.float() * MASKED
        attentions = []
        for block in self.blocks:
            x, attention = block(x, mask)
            attentions.append(attention)
        x = self.trunk.norm(x)
        embeddings = Embeddings(x, counts)
        outputs = {"logits": self.trunk.classify(embeddings), "embeddings": x}
        if "attention" in self.extras:
            outputs["attention"] = attention_flow(attentions, counts)
        return tuple(outputs[name] for name in ("logits", *self.extras))


class BlockGraph(nn.Module):
    """A block with matrix products in ``dtype``; input and output are float32."""

    def __init__(self, block: Block, dtype: torch.dtype) -> None:
        super().__init__()
        attention, mlp = block.att, block.mlp
        assert isinstance(attention, Attention) and isinstance(mlp, Mlp)
        self.dtype = dtype
        self.heads, self.scale = attention.heads, attention.scale
        self.norm1, self.norm2 = block.norm1, block.norm2
        self.ls1, self.ls2 = block.ls1, block.ls2
        self.qkv = _reduced(attention.qkv.linear, dtype)
        self.proj = _reduced(attention.proj.linear, dtype)
        self.up = _reduced(mlp.L1.linear, dtype)
        self.down = _reduced(mlp.L2.linear, dtype)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        mixed, attention = self._attend(self.norm1(x).to(self.dtype), mask)
        x = x + self.ls1(mixed.float())
        hidden = F.gelu(self.up(self.norm2(x).to(self.dtype)))
        return x + self.ls2(self.down(hidden).float()), attention

    def _attend(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        batch, length, dim = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = (q * self.scale) @ k.transpose(-2, -1)
        attention = (scores.float() + mask).softmax(dim=-1)
        mixed = (attention.to(self.dtype) @ v).transpose(1, 2).reshape(batch, length, dim)
        return self.proj(mixed), attention


def _reduced(linear: nn.Linear, dtype: torch.dtype) -> nn.Linear:
    """A copy of ``linear`` in ``dtype`` (the reference's parameters stay as they are)."""
    copy = nn.Linear(
        linear.in_features, linear.out_features, linear.bias is not None, device="meta"
    )
    copy.weight = nn.Parameter(linear.weight.detach().to(dtype))
    if linear.bias is not None:
        copy.bias = nn.Parameter(linear.bias.detach().to(dtype))
    return copy
