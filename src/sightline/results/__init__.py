"""What an explanation is: maps over a domain, flows through the layers, explanations, and how they are kept."""

from sightline.results.corrections import Corrections, Question
from sightline.results.domains import IMAGE, Domain
from sightline.results.explanation import Decision, Explanation, Explanations, Narration, Phrase, load, save
from sightline.results.flow import Flow
from sightline.results.maps import MEANING, AttentionMap, Status, status_of
from sightline.results.original import Original
from sightline.results.several import LayerChoice, Results, explanations_of

__all__ = [
    "IMAGE",
    "MEANING",
    "AttentionMap",
    "Corrections",
    "Decision",
    "Domain",
    "Explanation",
    "Explanations",
    "Flow",
    "LayerChoice",
    "Narration",
    "Original",
    "Phrase",
    "Question",
    "Results",
    "Status",
    "explanations_of",
    "load",
    "save",
    "status_of",
]
