"""The method matrix, from the registry that `explain` and the command line read."""

from __future__ import annotations

from sightline.explainers import METHODS, Method

HEAD = """# Methods

Every attribution (saliency) method that `sightline methods` lists. The default is `lrp`. Ask for others by
name, in any spelling: `--method Grad-CAM,layercam`, or `method=["gradcam", "LayerCAM"]`. Of several, one that does
not fit the model is left out with a sentence, and the others go on.

In the equations, $A_{c,i}$ is channel $c$ of a layer's activation at place $i$, written `A[c,i]`; `G` its gradient
$\\partial y / \\partial A$; `y` the score of the decision; `x` the network's input; `relu` keeps the positive part.
Values are raw: nothing is scaled to 0..1. The negative values of a signed map are evidence against the decision.

Methods of the family *CAM* share one forward and one backward, for all layers and all targets. The *controls* know
nothing of the model: a method that does not beat them explains nothing, so compare with them. Costs are counted in
passes of the network; [measured times](studies/performance.md) differ between networks and machines.

![Nine methods at the last block, for one photo](assets/howto/methods.jpg)

*Photo: Open Images V5, CC BY 2.0. Made by `python docs/_gen/howto_pictures.py methods`.*
"""
FIRST, LAST = ("CAM", "CAM by masking", "Attention"), "Controls"
STAGES = {"all": "all", "last": "last", "input": "input only"}


def methods_page() -> str:
    """The page's text."""
    families = [(family, [m for m in METHODS.values() if m.family == family]) for family in _families()]
    matrix = [row for _, group in families for row in map(_row, group)]
    head = "| name | title | family | cost in forwards | signed | default layers | models | source |"
    lines = [HEAD, "## The matrix", "", head, "|---" * 8 + "|", *matrix, ""]
    for family, group in families:
        lines += [f"## {family}", ""]
        for method in group:
            lines += _details(method)
    return "\n".join(lines)


def _families() -> list[str]:
    """Families in the order of this page; those that it does not know yet stand before the controls."""
    named = [family for family in FIRST if any(method.family == family for method in METHODS.values())]
    others = [method.family for method in METHODS.values() if method.family not in (*FIRST, LAST)]
    return list(dict.fromkeys([*named, *others, LAST]))


def _anchor(method: Method) -> str:
    return method.name.replace("+", "p")


def _row(method: Method) -> str:
    cells = (
        f"[`{method.name}`](#{_anchor(method)})",
        method.title,
        method.family,
        method.cost,
        "yes" if method.signed else "",
        STAGES[method.default_layers],
        method.models,
        f"[{method.source}](references.md#{method.source})",
    )
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _details(method: Method) -> list[str]:
    facts = [f"*{method.title}*. Cost in forwards: {method.cost}. Models: {method.models}."]
    facts.append(f"Source: [{method.source}](references.md#{method.source}).")
    lines = [f"### `{method.name}` {{ #{_anchor(method)} }}", "", " ".join(facts), "", "```text"]
    lines += [method.equation, "```", ""]
    if method.options:
        lines += ["| option | meaning |", "|---|---|"]
        lines += [f"| `{name}` | {meaning} |" for name, meaning in method.options.items()]
        lines.append("")
    return lines
