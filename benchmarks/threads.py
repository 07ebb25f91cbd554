"""The same number of threads for everything that runs in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def use_threads(threads: int) -> Iterator[None]:
    """Let PyTorch and OpenCV use ``threads`` threads; PyTorch gets its own number back."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        import cv2

        cv2.setNumThreads(threads)
    except ImportError:
        pass  # then there is no OpenCV to measure
    try:
        yield
    finally:
        torch.set_num_threads(before)
