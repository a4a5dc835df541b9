"""What a notebook shows of a result: photo and map side by side, and a slider over the layers, as a piece of HTML.

It works in any output cell: every picture is inside it, there is no style sheet, no id and no script element. The
slider has its few words of script in its own attributes and looks only within its own card, so that any number of
outputs on one page never meet. Where a notebook does not run scripts the slider stays hidden and one map is shown.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from html import escape

from jaxtyping import UInt8
from torch import Tensor

from sightline.reports.cmaps import DEFAULT
from sightline.reports.drawing import overlay
from sightline.reports.glossary import clean, decided, grid, meaning
from sightline.reports.outline import half_area
from sightline.reports.photo import fit, picture_of
from sightline.reports.region import marked, region_name
from sightline.reports.spread import spread
from sightline.reports.subject import Subject, subjects_of
from sightline.reports.whole import over_whole
from sightline.results import AttentionMap, Explanation, LayerChoice, Results, Status
from sightline.results.original import WHOLE

BYTES = 290_000
"""What an output weighs at most."""
SIDE, STRIP_SIDE, SMALLEST = 320, 720, 96
"""Longer side of a picture: at most, of a strip, and at least."""
CARDS, LAYERS, PICTURES = 12, 48, 24
"""Cards of an output, maps of a card that is alone, and maps of several cards together."""
NARROWEST = 170
"""Pixels that the words below a map need."""
QUALITY = 82

SLIDE = (
    "const c=this.closest('.sightline'),n=+this.value;"
    "c.querySelectorAll('.sightline-layer').forEach((e,i)=>e.style.display=i===n?'block':'none')"
)
"""Shows the layer at the slider's place; `this` is the slider."""
WAKE = "this.closest('.sightline').querySelectorAll('.sightline-slide').forEach(e=>e.style.display='block')"
"""Shows the slider as soon as a map is there, which happens only where scripts run; `this` is the map's picture."""

Card = tuple[Subject, Explanation]


def notebook(results: Results, *, layers: LayerChoice = None) -> str:
    """The output of a notebook cell.

    Args:
        results: one explanation, flow or map, or many: the first dozen get a card each.
        layers: which layers: a name, a wildcard, a place, or a list of these; None is all. Of very many
            an even spread is shown.

    Returns:
        HTML without anything from elsewhere, below 300 kB.

    Raises:
        ResultError: there is nothing to draw, or a layer does not exist.

    Example:
        >>> import torch
        >>> notebook(AttentionMap(torch.eye(4), "conv1")).count("<img")
        1
    """
    cards = [(subject, item) for subject in subjects_of(results, layers) for item in subject.items]
    shown = cards[:CARDS]
    most = LAYERS if len(shown) == 1 else max(2, PICTURES // len(shown))
    side = _side(shown, most)
    while True:
        parts = [_card(card, side=side, most=most, photo=first) for card, first in _firsts(shown)]
        weight = sum(map(len, parts))
        if weight <= BYTES or side == SMALLEST:
            break
        side = max(SMALLEST, _smaller(side, BYTES / weight))
    if len(cards) > CARDS:
        parts.append(f"<div>... and {len(cards) - CARDS} more; pick one by its number to see it</div>")
    return f'<div style="display:flex;flex-wrap:wrap;gap:20px;align-items:flex-start">{"".join(parts)}</div>'


def _firsts(cards: Sequence[Card]) -> Iterator[tuple[Card, bool]]:
    """Each card, and whether it shows the photo: the first one of a photo does."""
    before = None
    for card in cards:
        yield card, card[0].has_photo and card[0] is not before
        before = card[0]


def _side(cards: Sequence[Card], most: int) -> int:
    """The longest side at which all pictures should stay within the budget, judged by a few layers of each card."""
    side = STRIP_SIDE if all(subject.wide for subject, _ in cards) else SIDE
    weight = 0.0
    for subject, item in cards:
        maps = _maps(item, most)
        samples = [maps[place] for place in spread(len(maps), 3)]
        bytes_ = sum(len(_address(_drawn(subject, item, map_, side=side))) for map_ in samples)
        weight += (len(maps) + 1) * bytes_ / len(samples)
    return max(SMALLEST, min(side, _smaller(side, BYTES / weight)))


def _smaller(side: int, share: float) -> int:
    """The side at which a picture weighs this share; a picture's weight grows with about the 1.3rd power of it."""
    return int(0.97 * side * share ** (1 / 1.3)) // 8 * 8


def _maps(item: Explanation, most: int) -> list[AttentionMap]:
    return [item.flow[place] for place in spread(len(item.flow), most)]


def _start(item: Explanation, maps: Sequence[AttentionMap]) -> int:
    """The place of the main map among those that are shown, or of the nearest one before it."""
    order, main = item.flow.layers, item.flow.main.layer
    return max((i for i, map_ in enumerate(maps) if order.index(map_.layer) <= order.index(main)), default=0)


def _card(card: Card, *, side: int, most: int, photo: bool) -> str:
    """One explanation: its decision, the photo, its maps of which one is seen, and the slider."""
    subject, item = card
    pixels, maps, name = _photo(subject, side), _maps(item, most), "input" if subject.wide else "photo"
    start = _start(item, maps)
    layers = "".join(
        _layer(_drawn(subject, item, map_, side=side), _words(item, map_), seen=place == start)
        for place, map_ in enumerate(maps)
    )
    first = (
        f'<div><img src="{_address(pixels)}" alt="{name}" style="display:block;max-width:100%">'
        f'<div style="opacity:.75">{name}</div></div>'
        if photo
        else ""
    )
    return (
        '<div class="sightline" style="font:13px/1.4 system-ui,sans-serif;max-width:100%">'
        f"<div>{_heading(item)}</div>"
        f'<div style="display:flex;flex-wrap:wrap;gap:8px;margin:4px 0">{first}<div>{layers}</div></div>'
        f"{_slider(maps, start, width=pixels.shape[1]) if len(maps) > 1 else ''}</div>"
    )


def _heading(item: Explanation) -> str:
    facts = (decided(item.decision), "" if item.method == "map" else item.method, item.source)
    details = " · ".join(clean(part) for part in facts if part)
    label = f"<b>{escape(clean(item.decision.label))}</b> " if item.decision.label else ""
    return f'{label}<span style="opacity:.75">{escape(details)}</span>'


def _words(item: Explanation, map_: AttentionMap) -> str:
    """The line below a map."""
    place = "" if len(item.flow) == 1 else f" · layer {item.flow.layers.index(map_.layer) + 1} of {len(item.flow)}"
    if map_.status is not Status.OK:
        return f"{map_.layer} · {grid(map_)}{place} · {meaning(map_)}"
    area = half_area(map_, crop=WHOLE if item.original is None else item.original.crop)
    half, whole = ("", "input") if map_.shape[0] == 1 else ("outlined: ", "picture")
    share = f" · {half}half of the evidence, in {100 * area:.2g} % of the {whole}" if area == area else ""
    region = f" · dashed: the {name} of the decision" if (name := region_name(item.decision)) else ""
    return f"{map_.layer} · {grid(map_)}{place}{share}{region}"


def _layer(pixels: UInt8[Tensor, "h w 3"], words: str, *, seen: bool) -> str:
    text = escape(clean(words))
    return (
        f'<div class="sightline-layer" style="display:{"block" if seen else "none"}">'
        f'<img src="{_address(pixels)}" alt="{text}" onload="{WAKE}" style="display:block;max-width:100%">'
        f'<div style="opacity:.75;max-width:{max(NARROWEST, pixels.shape[1])}px">{text}</div></div>'
    )


def _slider(maps: Sequence[AttentionMap], start: int, *, width: int) -> str:
    """Hidden until a script shows it, so that a notebook without scripts has no dead control."""
    return (
        f'<label class="sightline-slide" style="display:none;max-width:{2 * width + 8}px">layers, first to last '
        f'<input type="range" min="0" max="{len(maps) - 1}" value="{start}" oninput="{SLIDE}" aria-label="layer" '
        'style="width:100%;display:block"></label>'
    )


def _photo(subject: Subject, side: int) -> UInt8[Tensor, "h w 3"]:
    """The photo that the user gave, or what is known of it."""
    pixels = subject.pixels if subject.original is None else subject.original.pixels
    return fit(pixels, side, enlarge=True)


def _drawn(subject: Subject, item: Explanation, map_: AttentionMap, *, side: int) -> UInt8[Tensor, "h w 3"]:
    tint = subject.tint(DEFAULT)
    if subject.original is not None:
        return marked(over_whole(map_, subject.original, longest=side, cmap=tint), item.decision, box=subject.crop)
    return marked(overlay(map_, fit(subject.pixels, side, enlarge=True), cmap=tint), item.decision)


def _address(pixels: UInt8[Tensor, "h w 3"]) -> str:
    return f"data:image/webp;base64,{base64.b64encode(_encoded(pixels)).decode()}"


def _encoded(pixels: UInt8[Tensor, "h w 3"]) -> bytes:
    buffer = io.BytesIO()
    picture_of(pixels).save(buffer, "WEBP", quality=QUALITY, method=2)
    return buffer.getvalue()
