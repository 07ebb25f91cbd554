"""The trunk as it is exported: the reference's computation with its precision written out.

Matrix products and their weights are in the reduced type.  The residual stream, LayerNorm, softmax,
layer scale and the head stay in float32: in half precision LayerNorm overflows and attention
flattens (TensorRT issues 4723, 4355, 2564).  TensorRT 11 takes types from the graph and nowhere
else, so every cast is explicit.

The matrix products have names (:func:`product_names`): paths of modules here, of values in the ONNX
graph and of entries in a precision plan.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spit_edge.runtime.bundle.manifest import Precision
from spit_edge.spit_ref.saliency import attention_flow
from spit_edge.spit_ref.trunk import Attention, Block, Embeddings, Mlp, Trunk

DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}

MASKED = -1e9
"""Added to scores of padding: finite, so that no engine meets inf - inf, and exp of it is 0."""


BLOCK_PRODUCTS = ("qkv", "scores", "mix", "proj", "up", "down")
"""Matrix products of a block in the order in which they are computed."""


def product_names(depth: int) -> list[str]:
    """Names of a trunk's matrix products in the order in which they are computed."""
    blocks = [f"blocks.{index}.{name}" for index in range(depth) for name in BLOCK_PRODUCTS]
    return ["embedder", *blocks]


class TrunkGraph(nn.Module):
    """(tokens float32 [B, T, D], counts int32 [B]) to logits and the ``extras`` asked for.

    extras  any of "embeddings" ([B, 1 + T, d]) and "attention" (attention flow [B, T]); float32
    fp32    names of products that are computed in float32 whatever the precision
    """

    def __init__(
        self,
        trunk: Trunk,
        precision: Precision,
        extras: tuple[str, ...] = (),
        fp32: Collection[str] = (),
    ) -> None:
        super().__init__()
        types = {
            name: torch.float32 if name in fp32 else DTYPES[precision]
            for name in product_names(len(trunk.blocks))
        }
        self.extras = extras
        self.trunk = trunk
        self.cls_token = trunk.embedder.cls_token
        self.embedder = LinearProduct(trunk.embedder.embedder.linear, types["embedder"])
        self.blocks = nn.ModuleList(
            BlockGraph(block, {name: types[f"blocks.{index}.{name}"] for name in BLOCK_PRODUCTS})
            for index, block in enumerate(trunk.blocks)
            if isinstance(block, Block)
        )

    def forward(self, tokens: Tensor, counts: Tensor) -> tuple[Tensor, ...]:
        x = self.embedder(tokens).float()
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
    """A block with every matrix product in the type that ``types`` has for it.

    Input and output are float32.
    """

    def __init__(self, block: Block, types: dict[str, torch.dtype]) -> None:
        super().__init__()
        attention, mlp = block.att, block.mlp
        assert isinstance(attention, Attention) and isinstance(mlp, Mlp)
        self.heads, self.scale = attention.heads, attention.scale
        self.norm1, self.norm2 = block.norm1, block.norm2
        self.ls1, self.ls2 = block.ls1, block.ls2
        self.qkv = LinearProduct(attention.qkv.linear, types["qkv"])
        self.scores, self.mix = Product(types["scores"]), Product(types["mix"])
        self.proj = LinearProduct(attention.proj.linear, types["proj"])
        self.up = LinearProduct(mlp.L1.linear, types["up"])
        self.down = LinearProduct(mlp.L2.linear, types["down"])

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        mixed, attention = self._attend(self.norm1(x), mask)
        x = x + self.ls1(mixed.float())
        hidden = F.gelu(self.up(self.norm2(x)))
        return x + self.ls2(self.down(hidden).float()), attention

    def _attend(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        batch, length, dim = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = self.scores(q * self.scale, k.transpose(-2, -1))
        attention = (scores.float() + mask).softmax(dim=-1)
        mixed = self.mix(attention, v).transpose(1, 2).reshape(batch, length, dim)
        return self.proj(mixed), attention


class Product(nn.Module):
    """The product of two matrices, computed and given in ``dtype``."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return left.to(self.dtype) @ right.to(self.dtype)


class LinearProduct(nn.Module):
    """``linear`` with a copy of its parameters in ``dtype`` (the reference's stay as they are)."""

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach().to(dtype))
        self.bias = None if linear.bias is None else nn.Parameter(linear.bias.detach().to(dtype))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.to(self.weight.dtype), self.weight, self.bias)
