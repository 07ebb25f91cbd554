"""The custom ops of exported graphs: their contracts, and the kernels that compute them.

``superpixel_merge``, ``region_features`` and ``voronoi_tessellation`` are the native kernels, with
the names and signatures of the reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spit_edge.plugins.native.ops import region_features, superpixel_merge, voronoi_tessellation

__all__ = ["region_features", "superpixel_merge", "voronoi_tessellation"]


def __getattr__(name: str) -> Any:
    # On first use: the contracts must load where the library is not built.
    if name in __all__:
        from spit_edge.plugins.native import ops

        return getattr(ops, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
