"""SPiT in PyTorch: the definition of the model, which every other back end is judged by."""

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
