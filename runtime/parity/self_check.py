"""``check/``: images and the reference's answers, by which a device can check itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.errors import BundleError
from spit_edge.runtime.images import load_image
from spit_edge.runtime.parity.judge import Expected, ImageParity, compare
from spit_edge.runtime.session import Session


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
    """Images [H, W, 3] and answers by name.  Raises BundleError if they are not readable."""
    try:
        with np.load(bundle.expected, allow_pickle=False) as stored:
            data: dict[str, NDArray[Any]] = {key: stored[key] for key in stored.files}
        answers = [
            Expected(
                labels=data["labels"][index],
                num_tokens=int(data["num_tokens"][index]),
                tokens_sha256=str(data["tokens_sha256"][index]),
                logits=data["logits"][index],
                precision_error=float(data["precision_error"][index]),
            )
            for index in range(len(data["names"]))
        ]
        names = [str(name) for name in data["names"]]
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise BundleError(f"{bundle.expected} is not readable: {error}") from error
    images = [load_image(bundle.check / f"{Path(name).name}.png") for name in names]
    return dict(zip(names, zip(images, answers, strict=True), strict=True))


def self_check(session: Session) -> list[ImageParity]:
    """Run the bundle's own images and judge the results."""
    data = read_check(session.bundle)
    precision = session.bundle.manifest.precision
    rows = []
    for name, (image, expected) in data.items():
        output = session.run(image, tokens=True, truncate=True)
        rows.append(compare(name, output, 0, expected, precision))
    return rows
