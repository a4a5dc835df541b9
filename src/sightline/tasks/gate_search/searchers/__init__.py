"""The searchers, by name; each file registers its own."""

from sightline.tasks.gate_search.searchers import reinforce as _reinforce  # noqa: F401 - it registers itself
from sightline.tasks.gate_search.searchers.base import SEARCHERS as SEARCHERS
