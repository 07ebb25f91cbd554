"""The custom ops of exported graphs: their contracts, and the kernels that compute them.

``superpixel_merge``, ``region_features`` and ``voronoi_tessellation`` are the native kernels, with
the names and signatures of the reference.
"""

from typing import TYPE_CHECKING

from spit_edge.base.lazy import lazy_names

__all__ = ["region_features", "superpixel_merge", "voronoi_tessellation"]

if TYPE_CHECKING:
    from spit_edge.plugins.native.ops import region_features, superpixel_merge, voronoi_tessellation
else:
    # On first use: the contracts must load where the library is not built.
    __getattr__, __dir__ = lazy_names(__name__, {f"{__name__}.native.ops": __all__})
