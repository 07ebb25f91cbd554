"""Validate a bundle in any back end, against its own check images or against the reference."""

from __future__ import annotations

from pathlib import Path

from spit_edge.base.progress import Steps
from spit_edge.export.reference import Reference, model_of
from spit_edge.runtime.bundle.folder import Bundle
from spit_edge.runtime.images import ImageFolder
from spit_edge.runtime.parity.judge import ImageParity, compare
from spit_edge.runtime.parity.self_check import self_check
from spit_edge.runtime.session import Session


def validate(
    path: Path,
    steps: Steps,
    *,
    images: Path | None = None,
    backend: str = "auto",
    weights: Path | None = None,
) -> tuple[str, list[ImageParity]]:
    """Judge a bundle; returns the back end's name and a row per image.

    images   a folder of images to ask the reference about; None takes the answers that the bundle
             brought along
    weights  the checkpoint the bundle was built from; None: see :func:`model_of`

    An image with more regions than the token budget is compared without the ones beyond it, and
    fails by its tokens and logits.
    """
    with steps.step("opening the bundle"):
        bundle = Bundle.open(path)
        session = Session.open(bundle, backend)
    with session:
        if images is None:
            with steps.step("comparing with the expected answers"):
                return session.backend, self_check(session)
        return session.backend, _against_reference(session, images, steps, weights)


def _against_reference(
    session: Session, folder: Path, steps: Steps, weights: Path | None
) -> list[ImageParity]:
    images = ImageFolder(folder)
    manifest = session.bundle.manifest
    with steps.step("loading the reference"):
        model = model_of(manifest, weights)
        reference = Reference(model, manifest.precision, manifest.fp32_products)
    size = manifest.preprocessing
    rows = []
    fitted = images.fitted(size.height, size.width)
    for name, image in steps.track(fitted, "comparing", len(images)):
        output = session.run(image, tokens=True, truncate=True)
        answer = reference.expected(image)
        rows.append(compare(name, output, 0, answer, manifest.precision))
    return rows
