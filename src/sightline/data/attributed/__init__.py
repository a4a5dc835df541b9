"""Photos with attributes: the vocabulary, one table for all formats, and a reader for each of them."""

from sightline.data.attributed.aviary import aviary_vocabulary
from sightline.data.attributed.awa2 import AwA2Tables, read_awa2_tables
from sightline.data.attributed.cub_words import POINTS as CUB_POINTS
from sightline.data.attributed.layouts import LAYOUTS, Asked, Layout
from sightline.data.attributed.read import read_attributes
from sightline.data.attributed.table import SPLITS, AttributeData, class_means
from sightline.data.attributed.vocabulary import Attribute, Group, Vocabulary
from sightline.data.attributed.voted import majority

__all__ = [
    "CUB_POINTS",
    "LAYOUTS",
    "SPLITS",
    "Asked",
    "Attribute",
    "AttributeData",
    "AwA2Tables",
    "Group",
    "Layout",
    "Vocabulary",
    "aviary_vocabulary",
    "class_means",
    "majority",
    "read_attributes",
    "read_awa2_tables",
]
