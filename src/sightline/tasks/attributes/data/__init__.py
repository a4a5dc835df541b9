"""Photos with attributes: the vocabulary, one table for all formats, and a reader for each of them."""

from sightline.tasks.attributes.data.aviary import aviary_vocabulary
from sightline.tasks.attributes.data.awa2 import AwA2Tables, read_awa2_tables
from sightline.tasks.attributes.data.cub_words import POINTS as CUB_POINTS
from sightline.tasks.attributes.data.layouts import LAYOUTS, Asked, Layout
from sightline.tasks.attributes.data.lexicon import BIRDS, Lexicon, read_lexicon
from sightline.tasks.attributes.data.majority import majority
from sightline.tasks.attributes.data.read import read_attributes
from sightline.tasks.attributes.data.table import SPLITS, AttributeData, class_means
from sightline.tasks.attributes.data.vocabulary import Attribute, Group, Vocabulary

__all__ = [
    "BIRDS",
    "CUB_POINTS",
    "LAYOUTS",
    "SPLITS",
    "Asked",
    "Attribute",
    "AttributeData",
    "AwA2Tables",
    "Group",
    "Layout",
    "Lexicon",
    "Vocabulary",
    "aviary_vocabulary",
    "class_means",
    "majority",
    "read_attributes",
    "read_awa2_tables",
    "read_lexicon",
]
