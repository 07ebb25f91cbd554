"""SPiT in PyTorch: the definition of the model, which every other back end is judged by.

Names are imported on first use: those of the zoo do not need torch.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from spit_edge.base.lazy import lazy_names

if TYPE_CHECKING:
    from spit_edge.spit_ref.download import WeightsError
    from spit_edge.spit_ref.model import Spit, SpitOutput, load_model
    from spit_edge.spit_ref.region_features import region_features
    from spit_edge.spit_ref.superpixel_merge import superpixel_merge
    from spit_edge.spit_ref.tessellation import (
        pca_tree_tessellation,
        square_tessellation,
        voronoi_tessellation,
    )
    from spit_edge.spit_ref.weights import RandomWeightsWarning
    from spit_edge.spit_ref.zoo import MODEL_NAMES, ModelConfig, model_config
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            f"{__name__}.zoo": ("MODEL_NAMES", "ModelConfig", "model_config"),
            f"{__name__}.download": ("WeightsError",),
            f"{__name__}.weights": ("RandomWeightsWarning",),
            f"{__name__}.model": ("Spit", "SpitOutput", "load_model"),
            f"{__name__}.region_features": ("region_features",),
            f"{__name__}.superpixel_merge": ("superpixel_merge",),
            f"{__name__}.tessellation": (
                "pca_tree_tessellation",
                "square_tessellation",
                "voronoi_tessellation",
            ),
        },
    )


class _Package(ModuleType):
    def __setattr__(self, name: str, value: object) -> None:
        # Python binds a module to its name in the package once it is loaded; some are named after
        # the function in them, which is what the name means.
        if isinstance(value, ModuleType) and name in __all__:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

__all__ = [
    "MODEL_NAMES",
    "ModelConfig",
    "RandomWeightsWarning",
    "Spit",
    "SpitOutput",
    "WeightsError",
    "load_model",
    "model_config",
    "pca_tree_tessellation",
    "region_features",
    "square_tessellation",
    "superpixel_merge",
    "voronoi_tessellation",
]
