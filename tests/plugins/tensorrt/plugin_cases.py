"""Calls of the ops with the reference's answers, as files that plugin_host.cpp reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from spit_edge.base.contracts import CONTRACTS, Value
from spit_edge.spit_ref.region_features import region_features
from spit_edge.spit_ref.superpixel_merge import superpixel_merge
from spit_edge.spit_ref.tessellation import voronoi_tessellation

TOKEN_TYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
Tensors = Sequence[tuple[str, torch.Tensor]]


def write_cases(folder: Path) -> None:
    """Twelve calls: all pixel kinds, token types and interpolations, odd sizes, batches."""
    generator = torch.Generator().manual_seed(0)
    for number, (batch, height, width, fields) in enumerate(
        [
            (1, 48, 64, {}),
            (3, 33, 47, {"pixels": "unit", "levels": 2, "compactness": 0.1}),
            (2, 40, 31, {"pixels": "imagenet", "levels": 3, "final_threshold": 0.05}),
            (1, 1, 1, {"levels": 0}),
            (2, 7, 130, {"compactness": 0.123456, "final_threshold": 0.3}),
        ]
    ):
        images = _images(generator, batch, height, width, str(fields.get("pixels", "uint8")))
        _write_merge(folder / f"merge-{number}", images, fields)
    for number, (token_type, pixels, interpolation, gradient, bins) in enumerate(
        [
            ("float32", "uint8", "bilinear", 1, 16),
            ("float16", "unit", "bilinear", 1, 5),
            ("bfloat16", "imagenet", "bilinear", 0, 16),
            ("float32", "uint8", "nearest", 0, 7),
        ]
    ):
        fields = {
            "token_type": token_type,
            "pixels": pixels,
            "interpolation": interpolation,
            "gradient": gradient,
            "bins": bins,
            "sigma": 0.05 if number % 2 else 0.025,
            "max_tokens": 24,
        }
        images = _images(generator, 2, 45, 38, pixels)
        _write_features(folder / f"features-{number}", images, fields)
    for number, (height, width, seeds) in enumerate(
        [(32, 48, [0]), (57, 23, [1, -1, 2**40]), (1, 9, [7, 8])]
    ):
        labels, counts = voronoi_tessellation(seeds, height, width)
        _write(
            folder / f"voronoi-{number}",
            "VoronoiTessellation",
            {"height": height, "width": width},
            [("int64", torch.tensor(seeds))],
            [("int32", labels), ("int32", counts)],
        )


def _images(
    generator: torch.Generator, batch: int, height: int, width: int, pixels: str
) -> torch.Tensor:
    """Smooth blobs with noise, float32 [B, 3, H, W], in the range that ``pixels`` names."""
    coarse = torch.rand(batch, 3, height // 8 + 2, width // 8 + 2, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    noise = torch.rand(batch, 3, height, width, generator=generator)
    unit = 0.9 * smooth + 0.1 * noise
    if pixels == "unit":
        return unit
    return (unit * 255).round() if pixels == "uint8" else unit * 5 - 2.2


def _write_merge(folder: Path, images: torch.Tensor, fields: Mapping[str, Value]) -> None:
    values = _all_values("SuperpixelMerge", fields)
    labels, counts = superpixel_merge(images, **values)
    outputs = [("int32", labels), ("int32", counts)]
    _write(folder, "SuperpixelMerge", fields, [("float32", images)], outputs)


def _write_features(folder: Path, images: torch.Tensor, fields: Mapping[str, Value]) -> None:
    values = _all_values("RegionFeatures", fields)
    token_type = str(values.pop("token_type"))
    labels, counts = superpixel_merge(
        images, pixels=values["pixels"], levels=3, compactness=0.0, final_threshold=0.0
    )
    tokens = region_features(images, labels, counts, **values)
    rounded = tokens.to(TOKEN_TYPES[token_type])
    inputs = [("float32", images), ("int32", labels), ("int32", counts)]
    _write(folder, "RegionFeatures", fields, inputs, [(token_type, rounded)])


def _all_values(op: str, fields: Mapping[str, Value]) -> dict:
    (contract,) = [c for c in CONTRACTS if c.name == op]
    return contract.field_values(fields)


def _write(
    folder: Path, op: str, fields: Mapping[str, Value], inputs: Tensors, outputs: Tensors
) -> None:
    folder.mkdir(parents=True)
    kinds = {int: "int", float: "float", str: "string"}
    lines = [f"op {op}"]
    lines += [f"field {kinds[type(value)]} {name} {value}" for name, value in fields.items()]
    for kind, tensors in (("input", inputs), ("output", outputs)):
        for index, (dtype, tensor) in enumerate(tensors):
            file = f"{kind}-{index}.bin"
            (folder / file).write_bytes(_bytes_of(tensor))
            shape = " ".join(str(size) for size in tensor.shape)
            lines.append(f"{kind} {dtype} {file} {tensor.ndim} {shape}")
    (folder / "case.txt").write_text("\n".join(lines) + "\n")


def _bytes_of(tensor: torch.Tensor) -> bytes:
    whole = tensor.contiguous()
    if whole.dtype == torch.bfloat16:  # numpy has no such type
        whole = whole.view(torch.int16)
    return np.ascontiguousarray(whole.numpy()).tobytes()
