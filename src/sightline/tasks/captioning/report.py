"""The model card of a captioner and what its run page says, made from measured figures."""

from __future__ import annotations

from sightline.common.settings import option_texts
from sightline.common.statistics.bootstrap import Interval
from sightline.reports.run_page import Run
from sightline.tasks.captioning.data.table import CaptionData
from sightline.tasks.captioning.metrics.measures import CaptionMeasures, Hits
from sightline.tasks.captioning.metrics.scores import CaptionScores
from sightline.tasks.captioning.recipe import CaptionRecipe

TITLES = {
    "side": "left or right",
    "height": "above or below",
    "distance": "near or far",
    "size": "bigger or smaller",
}
"""Each kind of relation in words."""
MIRROR = (
    "Its geometry is the same for a scene and its mirror image, so that left and right, above and below stay at "
    "chance: train with --signed for them."
)


def verdict(measures: CaptionMeasures) -> str:
    """What came of it, beside captions that never looked."""
    scores = measures.scores, measures.constant, measures.others, measures.nearest
    own, constant, others, nearest = (item.cider for item in scores)
    text = (
        f"CIDEr-D is {own.mean:.2f} on {measures.pictures} held-out pictures (95 % interval {own.low:.2f} to "
        f"{own.high:.2f}); the most frequent caption for all pictures has {constant.mean:.2f}, its captions given to "
        f"other pictures {others.mean:.2f}, captions of the most similar training pictures {nearest.mean:.2f}"
    )
    gain = own.low > max(constant.high, others.high, nearest.high)
    return f"{text}." if gain else f"{text}: no gain over these is shown, so do not use these weights."


def run_of(measures: CaptionMeasures, recipe: CaptionRecipe, *, title: str, epochs: int, command: str) -> Run:
    """What the run page says beside its curves."""
    headline = [
        ("CIDEr-D", f"{measures.scores.cider.mean:.2f}", "against the references of the held-out pictures"),
        ("one caption for all", f"{measures.constant.cider.mean:.2f}", "the control: the most frequent caption"),
        (
            "captions of other pictures",
            f"{measures.others.cider.mean:.2f}",
            "the control: right style, wrong picture",
        ),
        ("captions of similar pictures", f"{measures.nearest.cider.mean:.2f}", "the control: copied from training"),
    ]
    if measures.true is not None:
        headline.append(("true sentences", f"{measures.true.share:.1%}", "share of captions that are true"))
    facts = {name: f"{value:.4f}" for name, value in measures.scores.row().items()}
    facts |= {TITLES[kind]: f"{hits.share:.4f}" for kind, hits in measures.relations}
    return Run(
        title=title,
        verdict=verdict(measures),
        headline=headline,
        facts={**facts, "command": command},
        recipe=option_texts(recipe),
        best=epochs,
        command=command,
    )


def card(measures: CaptionMeasures, recipe: CaptionRecipe, data: CaptionData, command: str) -> str:
    """What a user of the weights should know."""
    network, origin = recipe.network, _origin(data)
    epochs = f"{recipe.loop.epochs} epochs, {recipe.optim.critical_epochs} more of self-critical CIDEr-D"
    tables = [_scores(measures), *([_relations(measures)] if measures.relations else [])]
    notes = [note for note in (MIRROR,) if measures.relations and not (network.signed or network.absolute)]
    more = "\n".join(f"- {note}" for note in (*notes, *data.notes[:20]))
    return f"""# Captioner

{origin} This page was written by the command that trained it.

{verdict(measures)}

{chr(10).join(tables)}

BLEU, ROUGE-L and CIDEr-D are computed as pycocoevalcap does. METEOR and SPICE need Java and downloads: left out.
CIDEr-D depends on the set of pictures, so that it cannot be compared with figures of other sets.

| | |
|---|---|
| network | {network.preset}, {network.layers} layers, width {network.width}, {network.heads} heads |
| training | {len(data.train)} pictures, {epochs}, seed {recipe.machine.seed} |
| vocabulary | {len(data.words)} words |
| command | `{command}` |

{more}
"""


def _origin(data: CaptionData) -> str:
    if data.origin == "scenes":
        return "Writes captions of Sightline's generated scenes of coloured shapes. It knows nothing of photos."
    regions = "region features from files" if data.origin == "features" else f"regions from {data.origin}"
    return f"Writes captions of pictures, from {regions}. It was trained on {len(data.train)} pictures."


def _scores(measures: CaptionMeasures) -> str:
    rows = (
        ("this captioner", measures.scores, measures.true),
        ("one caption for all pictures", measures.constant, None),
        ("captions of other pictures", measures.others, measures.true_others),
        ("captions of the most similar training pictures", measures.nearest, measures.true_nearest),
    )
    head = "| captions | BLEU-1 | BLEU-4 | ROUGE-L | CIDEr-D |" + (" true |" if measures.true else "")
    lines = [head, "|---" * (head.count("|") - 1) + "|"]
    for name, scores, true in rows:
        share = "" if measures.true is None else f" {_share(true)} |"
        lines.append(f"| {name} | {_cells(scores)} |{share}")
    return "\n".join(lines) + "\n"


def _cells(scores: CaptionScores) -> str:
    return f"{scores.bleu[0]:.3f} | {scores.bleu[3]:.3f} | {_interval(scores.rouge)} | {_interval(scores.cider)}"


def _relations(measures: CaptionMeasures) -> str:
    lines = ["| relation word, all others given | right | majority |", "|---|---|---|"]
    lines += [f"| {TITLES[kind]} | {_share(hits)} | {hits.majority:.3f} |" for kind, hits in measures.relations]
    return "\n".join(lines) + "\n"


def _share(hits: Hits | None) -> str:
    if hits is None:
        return ""
    low, high = hits.interval
    return f"{hits.share:.3f} ({low:.3f} to {high:.3f})"


def _interval(value: Interval) -> str:
    return f"{value.mean:.3f} ({value.low:.3f} to {value.high:.3f})"
