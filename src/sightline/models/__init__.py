"""Models that can be looked into: their layers, layouts, weights, labels and preprocessing."""

from sightline.models.adapter.adapter import Adapter, adapt
from sightline.models.adapter.layers import Layer, LayerSpec, layer_name
from sightline.models.adapter.layout import Layout
from sightline.models.adapter.structure import Structure, Wanted

__all__ = ["Adapter", "Layer", "LayerSpec", "Layout", "Structure", "Wanted", "adapt", "layer_name"]
