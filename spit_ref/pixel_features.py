"""Per-pixel features: what regions are described by, and what superpixels are merged on.

Everything here is exact (see :mod:`.exact`): the same bits for any batch, thread count and
back end.  Numbers and formulas are those of the published tokenizer (arXiv 2408.07680, appendix).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from spit_edge.spit_ref import exact

Pixels = Literal["uint8", "unit", "imagenet"]
"""What pixel values mean: 0...255, [0, 1], or normalised with the ImageNet mean and deviation."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Kumaraswamy contrast: the median mu of each channel is mapped to 1/2.
CONTRAST_MU = IMAGENET_MEAN
CONTRAST_LAMBDA = (0.539, 0.507, 0.404)
CONTRAST_BETA = tuple(
    -math.log(2.0) / math.log(1.0 - mu**lam)
    for mu, lam in zip(CONTRAST_MU, CONTRAST_LAMBDA, strict=True)
)
GREY = (0.299, 0.587, 0.114)
SATURATION = 2.718
CHROMA_BLUE = 0.564
CHROMA_RED = 0.713
COLOUR_STEEPNESS = 10.0
COLOUR_SCALE = 1.0 / math.asinh(COLOUR_STEEPNESS)
GRADIENT_STEEPNESS = 27.8
GRADIENT_SCALE = 1.0 / math.asinh(GRADIENT_STEEPNESS)
SCHARR_SCALE = GRADIENT_STEEPNESS / (3.0 * 16.0)
# The longest gradient a Scharr filter gives, (13, 13)/16, after the asinh.
GRADIENT_NORM_SCALE = 2.0 / (
    math.sqrt(2.0) * math.asinh(GRADIENT_STEEPNESS * 13.0 / 16.0) * GRADIENT_SCALE
)
DIFFUSION_STEPS = 4
DIFFUSION_KAPPA_INVERSE = 10.0
DIFFUSION_GAMMA = 0.5


@dataclass(frozen=True)
class PixelFeatures:
    """Features of a batch of images, float32.

    contrast   [B, 3, H, W]  contrasted colours v in [0, 1]
    gradient   [B, 2, H, W]  (gy, gx), about [-1, 1]
    """

    contrast: Tensor
    gradient: Tensor

    @property
    def colour(self) -> Tensor:
        """[B, 3, H, W] contrasted colours in [-1, 1]."""
        return self.contrast * 2.0 - 1.0


def unit_pixels(images: Tensor, pixels: Pixels) -> Tensor:
    """Raw pixel values [B, 3, H, W] as float32 in [0, 1]; NaN becomes 0, the rest is clipped."""
    x = images.to(torch.float32)
    if pixels == "uint8":
        x = exact.divide(x, 255.0)
    elif pixels == "imagenet":
        std = x.new_tensor(IMAGENET_STD).view(1, 3, 1, 1)
        mean = x.new_tensor(IMAGENET_MEAN).view(1, 3, 1, 1)
        x = x * std + mean
    return torch.clamp(torch.nan_to_num(x, nan=0.0), 0.0, 1.0)


def pixel_features(unit: Tensor) -> PixelFeatures:
    """Features of images [B, 3, H, W] in [0, 1]."""
    return PixelFeatures(contrast=_contrast(unit), gradient=_gradient(unit))


def positions(height: int, width: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Rows' y [H] and columns' x [W], in [-1, 1) along the longer side."""
    step = exact.divide(torch.tensor(2.0), float(max(height, width))).to(device)
    y = torch.arange(height, device=device, dtype=torch.float32) * step - 1.0
    x = torch.arange(width, device=device, dtype=torch.float32) * step - 1.0
    return y, x


def base_features(features: PixelFeatures) -> Tensor:
    """The seven features (r, g, b, y, x, gy, gx) of every pixel, [B, 7, H, W]."""
    batch, _, height, width = features.contrast.shape
    y, x = positions(height, width, features.contrast.device)
    plane = (batch, 1, height, width)
    return torch.cat(
        [
            features.colour,
            y.view(1, 1, -1, 1).expand(plane),
            x.view(1, 1, 1, -1).expand(plane),
            features.gradient,
        ],
        dim=1,
    )


def vertex_features(features: PixelFeatures) -> Tensor:
    """The four features superpixels are merged on, [B, 4, H, W] in [-1, 1]: three diffused
    colour channels and the length of the gradient."""
    colour = torch.clamp(_diffuse(_opponent_colours(features.contrast)), -1.0, 1.0)
    gy, gx = features.gradient.unbind(1)
    length = exact.sqrt(gy * gy + gx * gx) * GRADIENT_NORM_SCALE - 1.0
    return torch.cat([colour, length.unsqueeze(1)], dim=1)


def _contrast(unit: Tensor) -> Tensor:
    channels = []
    for x, lam, beta in zip(unit.unbind(1), CONTRAST_LAMBDA, CONTRAST_BETA, strict=True):
        inner = 1.0 - exact.power(x, exact.Exponent.of(lam))
        channels.append(1.0 - exact.power(inner, exact.Exponent.of(beta)))
    return torch.stack(channels, dim=1)


def _gradient(unit: Tensor) -> Tensor:
    """Scharr on the mean of the channels.  The factors 1/3 (mean), 1/16 (Scharr) and 27.8 are one,
    which saves two roundings."""
    r, g, b = unit.unbind(1)
    total = F.pad((r + g) + b, (1, 1, 1, 1), mode="replicate")
    down = total[:, 2:, :] - total[:, :-2, :]
    right = total[:, :, 2:] - total[:, :, :-2]
    gy = (down[:, :, :-2] + down[:, :, 2:]) * 3.0 + down[:, :, 1:-1] * 10.0
    gx = (right[:, :-2, :] + right[:, 2:, :]) * 3.0 + right[:, 1:-1, :] * 10.0
    return exact.asinh(torch.stack([gy, gx], dim=1) * SCHARR_SCALE) * GRADIENT_SCALE


def _grey(r: Tensor, g: Tensor, b: Tensor) -> Tensor:
    return (r * GREY[0] + g * GREY[1]) + b * GREY[2]


def _opponent_colours(contrast: Tensor) -> Tensor:
    """Saturated YCbCr, stretched around the middle, [B, 3, H, W]."""
    r, g, b = contrast.unbind(1)
    grey = _grey(r, g, b)
    r, g, b = (torch.clamp((c - grey) * SATURATION + grey, 0.0, 1.0) for c in (r, g, b))
    luma = _grey(r, g, b)
    # Chroma is 2 (0.564 (b - Y) + 0.5) - 1: the halves cancel, and with them two roundings.
    blue = (b - luma) * (2.0 * CHROMA_BLUE)
    red = (r - luma) * (2.0 * CHROMA_RED)
    ycc = torch.stack([luma * 2.0 - 1.0, blue, red], dim=1)
    return exact.asinh(ycc * COLOUR_STEEPNESS) * COLOUR_SCALE


def _diffuse(u: Tensor) -> Tensor:
    """Perona-Malik diffusion (IEEE PAMI 12(7), 1990, equation 8) of each channel."""
    for _ in range(DIFFUSION_STEPS):
        south = F.pad(_flux(u[:, :, 1:, :] - u[:, :, :-1, :]), (0, 0, 1, 1))
        east = F.pad(_flux(u[:, :, :, 1:] - u[:, :, :, :-1]), (1, 1, 0, 0))
        inflow = (south[:, :, 1:, :] - south[:, :, :-1, :]) + (east[..., 1:] - east[..., :-1])
        u = u + inflow * DIFFUSION_GAMMA
    return u


def _flux(difference: Tensor) -> Tensor:
    scaled = difference * DIFFUSION_KAPPA_INVERSE
    return exact.exp(-(scaled * scaled)) * difference
