"""The page of one explained row: the sentence, the field x field map, the parts, what would have to change."""

from __future__ import annotations

from sightline.reports.document import document
from sightline.tasks.clicks.explain.story import Story

CELL = 26
"""Side of a cell of the map, in units of the drawing."""
LETTER, LONGEST = 7, 22
"""Width of a letter, and letters of a field's name that are shown."""


def story_page(story: Story, title: str) -> str:
    """The page as text.

    Args:
        story: an explained row.
        title: heading.
    """
    from markupsafe import Markup

    how = (
        "Exact: the logit of this model is a sum over fields and pairs of fields."
        if story.parts.exact
        else "Sampled over random orders of the fields (Shapley-Taylor index of order 2); each sums to the logit."
    )
    return document(
        "explain.html.j2",
        package="sightline.tasks.clicks.explain",
        title=title,
        styles=("explain.css",),
        story=story,
        how=how,
        here=Markup(map_svg(story)),  # noqa: S704 - our own drawing; its texts are escaped
        overall=Markup(map_svg(story, overall=True)),  # noqa: S704 - likewise
        parts=[(name, cells, f"{value:+.3f}") for name, cells, value in story.part_rows(20)],
        rows=cells_of(story),
        base=f"{story.parts.base:+.3f}",
        logit=f"{story.parts.logit:+.3f}",
        rest=f"{story.parts.logit - story.parts.base - sum(row[2] for row in story.part_rows(20)):+.3f}",
    )


def cells_of(story: Story) -> list[tuple[str, ...]]:
    """What the row holds, with integrated gradients where the parts are sampled."""
    if story.gradients is None:
        return list(zip(story.names, story.cells, strict=True))
    gradients = [f"{value:+.3f}" for value in story.gradients.tolist()]
    return list(zip(story.names, story.cells, gradients, strict=True))


def map_svg(story: Story, *, overall: bool = False) -> str:
    """A field x field map: pairs above the diagonal, fields alone on it; lime is for a click, blue against.

    Args:
        story: an explained row.
        overall: the whole log's map, which has no sign, instead of the row's.
    """
    from markupsafe import escape

    names, count = story.names, len(story.names)
    values = story.overall.clone() if overall else story.parts.pairs.clone()
    if not overall:
        values += story.parts.main.diag()
    top = max(float(values.abs().max()), 1e-9)
    room = 12 + LETTER * min(LONGEST, max(map(len, names)))
    side = room + CELL * count
    label = "over the whole log" if overall else "of this row"
    lines = [f'<svg role="img" aria-label="Fields and pairs of fields {label}" viewBox="0 0 {side} {side}">']
    for place, name in enumerate(names):
        short = escape(name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…")
        middle = room + CELL * place + CELL / 2 + 4
        lines.append(f'<text x="{room - 6}" y="{middle:.0f}" text-anchor="end">{short}</text>')
        lines.append(f'<text transform="translate({middle:.0f} {room - 6}) rotate(-90)">{short}</text>')
    places = [(i, j) for i in range(count) for j in range(i + int(overall), count)]
    lines += [
        _cell(float(values[place]) / top, place, names, room, text=_text(float(values[place]), overall))
        for place in places
    ]
    return "\n".join([*lines, "</svg>"])


def _text(value: float, overall: bool) -> str:
    return f"{value:.3f}" if overall else f"{value:+.3f}"


def _cell(share: float, place: tuple[int, int], names: tuple[str, ...], room: int, *, text: str) -> str:
    from markupsafe import escape

    i, j = place
    name = names[i] if i == j else f"{names[i]} x {names[j]}"
    colour = "var(--map-for)" if share >= 0 else "var(--map-against)"
    box = f'x="{room + CELL * j}" y="{room + CELL * i}" width="{CELL - 1}" height="{CELL - 1}"'
    return (
        f'<g><title>{escape(name)}: {text}</title><rect class="under" {box}/><rect {box} fill="{colour}" '
        f'fill-opacity="{abs(share):.3f}"/></g>'
    )
