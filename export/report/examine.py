"""One image through a bundle and through the reference."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from spit_edge.export.precision.layers import LayerMeter
from spit_edge.export.reference import Reference
from spit_edge.export.report.contents import ImageFacts, difference, guesses
from spit_edge.export.report.pictures import image_pictures
from spit_edge.runtime.classes import class_name
from spit_edge.runtime.parity.judge import Expected, compare
from spit_edge.runtime.session import Session
from spit_edge.spit_ref.saliency import attention_flow


class Examiner:
    """Judges images one at a time; ``meter`` collects the errors of the trunk's layers."""

    def __init__(self, session: Session, reference: Reference, meter: LayerMeter) -> None:
        self._session, self._reference, self._meter = session, reference, meter

    def examine(
        self, name: str, image: NDArray[np.uint8], expected: Expected | None
    ) -> tuple[ImageFacts, dict[str, bytes]]:
        """Facts and pictures of an image [H, W, 3].

        expected  an answer of the reference to judge by; None: what it answers now
        """
        tokens = self._reference.tokens(image)
        wanted = expected or self._reference.expected_of(tokens)
        output = self._session.run(image, tokens=True, truncate=True)
        assert output.tokens is not None
        parity = compare(name, output, 0, wanted, self._session.bundle.manifest.precision)
        self._meter.measure(name, tokens.rows, tokens.counts)
        flow = self._flow(tokens.rows, tokens.counts)
        labels, logits = output.labels[0], output.logits[0]
        count = int(output.num_tokens[0])
        found_flow = None if output.attention is None else output.attention[0, :count]
        facts = ImageFacts(
            name=name,
            parity=parity,
            expected_num_tokens=wanted.num_tokens,
            first_label=_first(labels != wanted.labels),
            tokens=difference(output.tokens[0, :count], tokens.rows[0].numpy()),
            logits=difference(logits, wanted.logits),
            worst_class=class_name(
                int(np.abs(np.nan_to_num(logits - wanted.logits, nan=np.inf)).argmax()),
                len(logits),
            ),
            attention=None if found_flow is None else difference(found_flow, flow),
            expected_top=guesses(wanted.logits),
            top=guesses(logits),
        )
        pictures = image_pictures(image, (wanted.labels, flow), (labels, found_flow))
        return facts, pictures

    @torch.no_grad()
    def _flow(self, rows: torch.Tensor, counts: torch.Tensor) -> NDArray[np.float32]:
        """The reference's attention flow [T]."""
        attentions = self._reference.model.embed(rows, counts, attentions=True).attentions
        flow: NDArray[np.float32] = attention_flow(attentions, counts)[0].numpy()
        return flow


def _first(differing: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Row and column of the first True."""
    places = np.argwhere(differing)
    return None if len(places) == 0 else (int(places[0][0]), int(places[0][1]))
