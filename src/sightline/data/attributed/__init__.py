"""Photos with attributes: the vocabulary, one table for all formats, and a reader for each of them."""

from sightline.data.attributed.table import SPLITS, AttributeData, class_means
from sightline.data.attributed.vocabulary import Attribute, Group, Vocabulary

__all__ = ["SPLITS", "Attribute", "AttributeData", "Group", "Vocabulary", "class_means"]
