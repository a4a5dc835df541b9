"""Models that can be looked into: their layers, layouts, weights, labels and preprocessing."""

from sightline.models.adapter.adapter import Adapter, Wanted, adapt
from sightline.models.adapter.layers import Layer, LayerSpec, layer_name
from sightline.models.adapter.layout import Layout, find_layout

__all__ = ["Adapter", "Layer", "LayerSpec", "Layout", "Wanted", "adapt", "find_layout", "layer_name"]
