"""Every way of explaining, each registered in `METHODS` with its equation, source and cost."""

# In the order of the method matrix: importing a file registers its methods.
from sightline.explainers.cam import cams, eigen, masking  # isort: skip
from sightline.explainers import attention, controls  # isort: skip
from sightline.explainers import captum as captum_methods  # isort: skip
from sightline.explainers.flow.lrp import method as lrp  # isort: skip
from sightline.explainers.flow.naflow import method as naflow  # isort: skip
from sightline.explainers.flow import daam  # isort: skip
from sightline.explainers.method import METHODS, LayerMaps, Method, Outcome, Request, control, own_pass, reduction

__all__ = [
    "METHODS",
    "LayerMaps",
    "Method",
    "Outcome",
    "Request",
    "attention",
    "cams",
    "captum_methods",
    "control",
    "controls",
    "daam",
    "eigen",
    "lrp",
    "masking",
    "naflow",
    "own_pass",
    "reduction",
]
