"""What the model looked at: one value per region, in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor

ATTENTION_SHARE = 0.9
"""Weight of the attention against the residual connection in attention flow."""
FLOW_FLOOR = 1e-8


def attention_flow(attentions: list[Tensor], counts: Tensor) -> Tensor:
    """How much each token flows into the class token, [B, T] in [0, 1], 0 beyond ``counts``.

    attentions  per block [B, heads, 1 + T, 1 + T]
    counts      [B] valid tokens without the class token
    """
    length = attentions[0].shape[-1]
    identity = torch.eye(length, device=attentions[0].device)
    valid = torch.arange(length, device=identity.device) <= counts.view(-1, 1)
    columns = valid[:, None, None, :]
    flow = ATTENTION_SHARE * attentions[0].float() + (1.0 - ATTENTION_SHARE) * identity
    for attention in attentions[1:]:
        step = ATTENTION_SHARE * attention.float() + (1.0 - ATTENTION_SHARE) * identity
        # The floor must not let padding flow: only valid columns take part.
        flow = (flow.clamp(FLOW_FLOOR, 1.0) * columns) @ step
    received = flow.amax(dim=1)[:, 0, 1:].clamp(min=torch.finfo(torch.float32).tiny)
    return _scaled(received.log(), valid[:, 1:])


def prototype_pca(embeddings: Tensor, counts: Tensor, components: int = 1) -> Tensor:
    """Token features on their first principal components, [B, T, components] in [0, 1].

    embeddings  [B, 1 + T, d], the class token first
    counts      [B] valid tokens without the class token

    A component points to where its largest entry is positive.  0 beyond ``counts``.
    """
    batch, length, _ = embeddings.shape
    result = embeddings.new_zeros(batch, length - 1, components, dtype=torch.float32)
    for index, count in enumerate(counts.tolist()):
        features = embeddings[index, : count + 1].float()
        features = features - features.mean(dim=0)
        axes = torch.linalg.svd(features, full_matrices=False).Vh[:components]
        peaks = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))
        projected = features[1:] @ (axes * peaks.sign()).t()
        everyone = torch.ones_like(projected.t(), dtype=torch.bool)
        result[index, :count, : axes.shape[0]] = _scaled(projected.t(), everyone).t()
    return result


def _scaled(values: Tensor, valid: Tensor) -> Tensor:
    """Rows of ``values`` standardised and moved to [0, 1] over their ``valid`` part.

    Standardising is an affine map, and so is what follows: the smallest value goes to 0 and the
    largest to 1 whatever the mean and deviation.
    """
    low = values.masked_fill(~valid, float("inf")).amin(dim=-1, keepdim=True)
    high = values.masked_fill(~valid, float("-inf")).amax(dim=-1, keepdim=True)
    span = (high - low).clamp(min=torch.finfo(torch.float32).tiny)
    return ((values - low) / span).masked_fill(~valid, 0.0)
