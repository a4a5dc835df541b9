"""Every way of explaining, each registered in `METHODS` with its equation, source and cost."""

# In the order of the method matrix: importing a file registers its methods.
from sightline.explainers import cams, eigen, masking, attention, captum_methods, nulls  # isort: skip
from sightline.explainers.flow.relevance import method as relevance  # isort: skip
from sightline.explainers.flow.naflow import method as naflow  # isort: skip
from sightline.explainers.flow import daam  # isort: skip
from sightline.explainers.method import METHODS, Method, Outcome, Request, StageMaps, null, own_pass, reduction

__all__ = [
    "METHODS",
    "Method",
    "Outcome",
    "Request",
    "StageMaps",
    "attention",
    "cams",
    "captum_methods",
    "daam",
    "eigen",
    "masking",
    "naflow",
    "null",
    "nulls",
    "own_pass",
    "reduction",
    "relevance",
]
