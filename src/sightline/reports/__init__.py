"""What a person looks at: colours over a photo, the montage, the animation and the self-contained HTML page.

This room knows results only: it draws what is in an `Explanation` and never computes a map.
"""

from sightline.reports.animation import frames, save_animation
from sightline.reports.cmaps import CMAPS
from sightline.reports.drawing import overlay
from sightline.reports.frame import Frame
from sightline.reports.montage import montage, save_montage
from sightline.reports.outline import half_area
from sightline.reports.page import page, save_page
from sightline.reports.resize import upsample
from sightline.results.concentration import concentration

__all__ = [
    "CMAPS",
    "Frame",
    "concentration",
    "frames",
    "half_area",
    "montage",
    "overlay",
    "page",
    "save_animation",
    "save_montage",
    "save_page",
    "upsample",
]
