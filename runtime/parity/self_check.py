"""``check/``: images and the reference's answers, by which a device can check itself."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.bundle.manifest import MANIFEST
from spit_edge.runtime.bundle.reading import read_inside
from spit_edge.runtime.errors import BundleError
from spit_edge.runtime.images import load_image
from spit_edge.runtime.parity.judge import Expected, ImageParity, compare
from spit_edge.runtime.session import Session

EXPECTED = "check/expected.npz"
_ARCHIVE_LIMIT = 256 << 20
_MOST_IMAGES = 1024
_ITEM_BYTES = 1024
"""Of one value: names are text of a fixed length."""
_HEADER_BYTES = 1 << 16


def write_check(
    folder: Path, images: Mapping[str, NDArray[np.uint8]], expected: Sequence[Expected]
) -> None:
    """Write images [H, W, 3] as PNG and the answers as ``expected.npz`` into ``folder``/check."""
    check = folder / "check"
    check.mkdir()
    for name, image in images.items():
        Image.fromarray(image).save(check / f"{name}.png")
    np.savez_compressed(
        check / "expected.npz",
        names=np.array(list(images)),
        labels=np.stack([e.labels for e in expected]),
        num_tokens=np.array([e.num_tokens for e in expected], np.int32),
        tokens_sha256=np.array([e.tokens_sha256 for e in expected]),
        logits=np.stack([e.logits for e in expected]),
        precision_error=np.array([e.precision_error for e in expected]),
    )


def read_check(bundle: Bundle) -> dict[str, tuple[NDArray[np.uint8], Expected]]:
    """Images [H, W, 3] and answers by name, at least one.

    Raises BundleError if they are not readable, are not the manifest's, or do not fit the model.
    """
    _listed(bundle, [EXPECTED])
    data = read_inside(bundle.path, EXPECTED, _ARCHIVE_LIMIT)
    try:
        answers = _answers(data, bundle)
    # Damaged archives raise errors of zipfile, of zlib, of NumPy and of Python's tokenizer.
    except Exception as error:
        raise BundleError(f"{bundle.expected} is not readable: {error}") from error
    files = _listed(bundle, [f"check/{name}.png" for name in answers])
    images = [load_image(bundle.path / file) for file in files]
    size = bundle.manifest.preprocessing
    for file, image in zip(files, images, strict=True):
        if image.shape != (size.height, size.width, 3):
            raise BundleError(
                f"{bundle.path / file} has {image.shape[0]} x {image.shape[1]} pixels instead of "
                f"{size.height} x {size.width}"
            )
    return {
        name: (image, answer) for (name, answer), image in zip(answers.items(), images, strict=True)
    }


def _listed(bundle: Bundle, names: Sequence[str]) -> Sequence[str]:
    """``names``, all of which the manifest lists.  Raises BundleError."""
    for name in names:
        if name not in bundle.manifest.files:
            raise BundleError(f"{bundle.path / MANIFEST} lists no {name}: export the bundle again")
    return names


def _answers(data: bytes, bundle: Bundle) -> dict[str, Expected]:
    """What ``expected.npz`` holds, by name.  Raises ValueError and much else."""
    size = bundle.manifest.preprocessing
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        count = _shape(archive, "names")[0]
        if not 1 <= count <= _MOST_IMAGES:
            raise ValueError(f"it has answers for {count} images, expected 1 to {_MOST_IMAGES}")
        names = _array(archive, "names", "U", (count,))
        labels = _array(archive, "labels", "i", (count, size.height, size.width))
        num_tokens = _array(archive, "num_tokens", "i", (count,))
        hashes = _array(archive, "tokens_sha256", "U", (count,))
        logits = _array(archive, "logits", "f", (count, bundle.manifest.classes))
        errors = _array(archive, "precision_error", "f", (count,))
    if len(set(names.tolist())) != count:
        raise ValueError("it has several answers for one image")
    return {
        str(names[index]): Expected(
            labels=labels[index],
            num_tokens=int(num_tokens[index]),
            tokens_sha256=str(hashes[index]),
            logits=logits[index],
            precision_error=float(errors[index]),
        )
        for index in range(count)
    }


def _shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    with archive.open(f"{name}.npy") as stream:
        shape, _, _ = _header(stream)
    if not shape:
        raise ValueError(f"{name} is a single value")
    return shape


def _array(archive: zipfile.ZipFile, name: str, kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array of this kind and shape; the header is looked at before space is taken for it."""
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as stream:
        found, columns_first, dtype = _header(stream)
        if found != shape or columns_first:
            raise ValueError(f"{name} has the shape {list(found)}, expected {list(shape)}")
        if dtype.kind != kind or dtype.itemsize > _ITEM_BYTES or not dtype.itemsize:
            raise ValueError(f"{name} is of type {dtype}, which it cannot be")
        wanted = math.prod(shape) * dtype.itemsize
        if member.file_size > wanted + _HEADER_BYTES:
            raise ValueError(f"{name} has {member.file_size} bytes instead of {wanted}")
        content = stream.read(wanted)
    if len(content) != wanted:
        raise ValueError(f"{name} is cut off")
    return np.frombuffer(content, dtype).reshape(shape)


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order of axes and type of a .npy file."""
    npy = np.lib.format
    if npy.read_magic(stream) == (1, 0):
        return npy.read_array_header_1_0(stream)
    return npy.read_array_header_2_0(stream)


def self_check(session: Session) -> list[ImageParity]:
    """Run the bundle's own images and judge the results."""
    data = read_check(session.bundle)
    precision = session.bundle.manifest.precision
    rows = []
    for name, (image, expected) in data.items():
        output = session.run(image, tokens=True, truncate=True)
        if output.logits.shape != (1, len(expected.logits)):
            raise BundleError(
                f"the graph in {session.bundle.path} gives logits {list(output.logits.shape)} "
                f"instead of [1, {len(expected.logits)}]"
            )
        rows.append(compare(name, output, 0, expected, precision))
    return rows
