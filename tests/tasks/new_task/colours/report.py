"""The panel of maps over words: a row of cells over a picture without a photo."""

from dataclasses import replace

from sightline.results import Explanation
from sightline.results.domains import IMAGE


def words(item: Explanation) -> Explanation:
    maps = tuple(replace(map_, values=map_.values[None], domain=IMAGE) for map_ in item.flow.maps)
    return replace(item, flow=replace(item.flow, maps=maps), image=None)
