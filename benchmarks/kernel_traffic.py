"""What each phase of an op moves through memory and computes, on one image.

Every array that a phase reads or writes counts once, whole or as far as it is used; halos, and
what single items read again, do not count.  Sizes of the records are those in ``plugins/kernels``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks import operation_counts as ops
from spit_edge import plugins
from spit_edge.base.token_rows import BINS, token_size

LABEL, FEATURES, VERTEX, SUMS, REGION = 4, 20, 32, 56, 20
"""Bytes of a label, a pixel's five feature planes, and the structs Vertex, Sums and Region."""
CONTRAST_BYTES = 12
HISTOGRAMS = 2


@dataclass(frozen=True)
class Phase:
    """One kernel launch: bytes and float32 operations."""

    kernel: str
    bytes: float
    operations: float = 0.0


@dataclass(frozen=True)
class Traffic:
    """An op on one image.

    compulsory  bytes of its inputs and outputs, once each
    """

    op: str
    compulsory: float
    phases: tuple[Phase, ...]

    @property
    def bytes(self) -> float:
        """Of all phases, each array through memory."""
        return sum(phase.bytes for phase in self.phases)

    @property
    def operations(self) -> float:
        return sum(phase.operations for phase in self.phases)


@dataclass(frozen=True)
class MergeCounts:
    """How a merge of an image went: ``vertices`` before the first level and after each, and
    ``edges``, pairs of vertices that are scored, before each level but the first.
    """

    vertices: tuple[int, ...]
    edges: tuple[int, ...]


def merge_counts(images: NDArray[np.uint8], levels: int = 4) -> MergeCounts:
    """Counted on the native kernels' results for a batch of one image."""
    vertices, edges = [images.shape[2] * images.shape[3]], []
    for level in range(1, levels + 1):
        labels, counts = plugins.superpixel_merge(images, levels=level)
        vertices.append(int(counts[0]))
        if level < levels:
            edges.append(scored_edges(labels))
    return MergeCounts(tuple(vertices), tuple(edges))


def scored_edges(labels: NDArray[np.int32]) -> int:
    """Neighbouring pixels in different vertices, as ``ScoreEdges`` takes them: not those whose two
    vertices are the same as of the neighbours above (of a pair across) or left (of a pair down)."""
    down, across = labels[:, :-1] == labels[:, 1:], labels[:, :, :-1] == labels[:, :, 1:]
    seen_above = down[:, :, :-1] & down[:, :, 1:] & ~across[:, 1:]
    seen_left = across[:, :-1] & across[:, 1:] & ~down[:, :, 1:]
    differing = np.count_nonzero(~down) + np.count_nonzero(~across)
    return int(differing - np.count_nonzero(seen_above) - np.count_nonzero(seen_left))


def merge_traffic(counts: MergeCounts) -> Traffic:
    """``SuperpixelMerge`` of uint8 pixels, without compactness and threshold."""
    pixels = counts.vertices[0]
    phases = [Phase("VertexFeatures", (3 + FEATURES) * pixels, ops.VERTEX_FEATURES * pixels)]
    levels = len(counts.vertices) - 1
    for level in range(levels):
        before, after = counts.vertices[level : level + 2]
        if level == 0:
            bytes_moved = (FEATURES + LABEL) * pixels
            phases.append(Phase("ChoosePixelNeighbour", bytes_moved, ops.PIXEL_CHOICE * pixels))
        else:
            phases += _score(pixels, before, counts.edges[level - 1])
        phases.append(Phase("ChoicesToParents", (4 + 4 + 4 + 1 / 8) * before))
        phases += _number(before, after)
        phases += _contract(pixels, before, after, first=level == 0, last=level == levels - 1)
    return Traffic("SuperpixelMerge", (3 + LABEL) * pixels + 4, tuple(phases))


def _score(pixels: int, vertices: int, edges: int) -> Iterator[Phase]:
    # Of a vertex, features and norm are read; its best choice is read and written.
    yield Phase("ScoreEdges", LABEL * pixels + (20 + 16) * vertices, ops.SCORE * edges)
    yield Phase("ChooseVertexNeighbour", (12 + 4) * vertices, ops.STAY_ALONE * vertices)


def _number(before: int, after: int) -> Iterator[Phase]:
    bits, sums = before / 8, before / 256
    yield Phase("FindRoots", (4 + 4) * before)
    yield Phase("MarkFirsts", 4 * before + 4 * after + 2 * bits)
    yield Phase("SumChunks", bits + sums)
    yield Phase("RankWords", bits + sums + before / 8)


def _contract(pixels: int, before: int, after: int, *, first: bool, last: bool) -> Iterator[Phase]:
    numbering = before / 4  # bits and ranks
    relabelled = 0 if first else 2 * LABEL * pixels + 4 * before
    if last:
        yield Phase("NumberVertices", (4 + 4) * before + 4 * after + numbering)
        yield Phase("FinishLevel", relabelled)
        return
    contribution = 16 if first else 20  # features, and the size of what is no pixel
    own = contribution * after + SUMS * after
    yield Phase("SumOwned", (4 + 4) * before + 4 * after + numbering + own, 4 * after)
    foreign = before - after
    added = contribution * foreign + 2 * SUMS * min(after, foreign)
    yield Phase("SumForeign", 4 * before + numbering + added, 4 * foreign)
    yield Phase("FinishLevel", relabelled + (SUMS + VERTEX) * after, ops.MEAN * after)


def feature_traffic(pixels: int, regions: int, sigma: float) -> Traffic:
    """``RegionFeatures`` with gradient, to float32 rows, as many as there are regions.

    Additions to the histograms stay in the cache as far as it goes: they are not counted as bytes.
    """
    cells = BINS * BINS
    sums = 8 * cells * HISTOGRAMS * regions
    rows = 4 * token_size(BINS, gradient=True) * regions
    clean = (REGION * regions) + sums
    # Each histogram weighs the bins near both of a pixel's values, each bin once.
    window = max(3, int((5.25 * sigma + 1e-5) * BINS + 1))
    weights = HISTOGRAMS * 2 * window * ops.WEIGHT
    sampled = 8 * ops.SUMMED_CHANNELS + 2 * ops.GRADIENT
    written = ops.SAMPLE + HISTOGRAMS * ops.HISTOGRAM_VALUE
    phases = (
        Phase("PrepareFeatures", (3 + CONTRAST_BYTES) * pixels + clean, 3 * ops.CONTRAST * pixels),
        Phase("SumPixelHistograms", (3 + LABEL) * pixels, (weights + sampled + 4) * pixels),
        Phase(
            "WriteTokens",
            (CONTRAST_BYTES + LABEL) * pixels + sums + rows,
            written * cells * regions,
        ),
    )
    return Traffic("RegionFeatures", (3 + LABEL) * pixels + rows + 4, phases)
