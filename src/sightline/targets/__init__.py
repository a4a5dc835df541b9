"""Decisions that can be explained: each target reads scalars off a model's output, logits or an embedding."""

from sightline.targets.base import Readout, Target
from sightline.targets.box_form import box
from sightline.targets.boxes import Box
from sightline.targets.classes import ClassPerSample, ClassScore, Contrast, TopClasses
from sightline.targets.closest import ContrastClosest
from sightline.targets.contrastive import InfoNCE
from sightline.targets.custom import Custom
from sightline.targets.head import ClassHead
from sightline.targets.logsoftmax import LogSoftmax
from sightline.targets.names import class_index
from sightline.targets.neighbours import NearestNeighbours
from sightline.targets.others import ContrastOthers
from sightline.targets.parse import Score, TargetLike, parse_target
from sightline.targets.prototypes import Prototypes, prototypes_of
from sightline.targets.segment_form import segment
from sightline.targets.segments import Segment
from sightline.targets.select import Selector, select_output
from sightline.targets.similarity import (
    SIMILARITIES,
    CosineSimilarity,
    DotProduct,
    EuclideanSimilarity,
    Similarity,
    similarity_of,
)
from sightline.targets.texts import TextSimilarity, text
from sightline.targets.token import Token, token
from sightline.targets.value import Value

__all__ = [
    "SIMILARITIES",
    "Box",
    "ClassHead",
    "ClassPerSample",
    "ClassScore",
    "Contrast",
    "ContrastClosest",
    "ContrastOthers",
    "CosineSimilarity",
    "Custom",
    "DotProduct",
    "EuclideanSimilarity",
    "InfoNCE",
    "LogSoftmax",
    "NearestNeighbours",
    "Prototypes",
    "Readout",
    "Score",
    "Segment",
    "Selector",
    "Similarity",
    "Target",
    "TargetLike",
    "TextSimilarity",
    "Token",
    "TopClasses",
    "Value",
    "box",
    "class_index",
    "parse_target",
    "prototypes_of",
    "segment",
    "select_output",
    "similarity_of",
    "text",
    "token",
]
