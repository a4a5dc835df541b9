"""`explain`: a model, a batch and a target in, explanations out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sightline._version import __version__
from sightline.api.arguments import Explained, over_each_input
from sightline.api.bound import bound, sized
from sightline.api.decision import LabelsLike, decided, decisions_of, stated
from sightline.api.domain import Rate, domain_of, kept, named, rates
from sightline.api.inputs import check_lengths, passed
from sightline.api.layers import Layers, named_layers
from sightline.api.methods import Fitting, chosen, options_of
from sightline.api.narration import narrated, on_object
from sightline.api.other_maps import beside_others
from sightline.api.question import Question, ask
from sightline.api.scope import within_scope
from sightline.capture import Plan, in_chunks
from sightline.common.threads import exclusive, steady
from sightline.explainers import METHODS, Method, Outcome
from sightline.explainers.default import DEFAULT, WHY, WHY_FALLBACK
from sightline.models.adapter.embedded import AUTO, NONE, place_of
from sightline.models.load import LoadedModel
from sightline.models.outputs import Probabilities
from sightline.renamed import answering
from sightline.results import AttentionMap, Domain, Explanation, Explanations, Flow
from sightline.results.domains import DomainKind
from sightline.targets import Score, Selector, TargetLike, parse_target
from sightline.terminal.waiting import with_bar

Progress = Callable[[int, int], None]
"""Called after each chunk with the number of samples done and their total."""


@answering
@with_bar("explaining")
@over_each_input
@exclusive
@steady()  # within the claim: until it is had, another thread may change the model
def explain(
    model: nn.Module | LoadedModel,
    inputs: Any,
    *,
    target: TargetLike = None,
    contrast: int | str | None = None,
    contrast_weight: float | None = None,
    score: Score = "logit",
    probabilities: Probabilities = "auto",
    embedding: str | None = None,
    method: str | Sequence[str] | None = None,
    layers: Layers = None,
    labels: LabelsLike = None,
    output: Selector | None = None,
    images: Float[Tensor, "b c ..."] | None = None,
    sources: Sequence[str] | None = None,
    foreground: Bool[Tensor, "b y x"] | None = None,
    domain: DomainKind | None = None,
    rate: Rate = None,
    preprocess: Any = None,
    explained: Explained = None,
    options: Mapping[str, Any] | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | bool | None = None,
) -> Explanations:
    """Show what a model's decisions were based on, layer by layer.

    All methods of the CAM family that are asked for share one forward and one backward, for all layers and all
    targets. The model is left exactly as it was found. Several threads may explain one model: they take turns.

    Args:
        model: any module, in any mode, frozen or not; or what `open_model` gives.
        inputs: as the model takes them (normalised), on its device and of its dtype: pictures `[b, c, h, w]`, signals
            `[b, c, t]`, volumes `[b, c, z, y, x]` or clips `[b, c, t, y, x]`, or with these axes in another order. Or
            pictures that the model's own preprocessing makes ready: a path, a PIL image, an array of pixels, or a
            list of these. Where the model takes several inputs: a mapping of its keyword arguments (a dict, or what
            a processor returns), or a tuple.
        explained: which of several inputs is explained, by name or position; None finds it; `"all"` explains each.
        target: the decision: None (the top class), index, label name, `"top3"`, list, `[b]` tensor, callable, Target.
        contrast: a second class: why the target rather than this one; `"runner-up"` for the best of the rest,
            `"others"` for all of them by their soft-max weights, `"closest:3"` for the three most like it.
        contrast_weight: how much the closest classes weigh, 0.6 by default.
        score: score of a class that is explained: its `logit`, or its `log-softmax`.
        probabilities: what the outputs are: logits of classes that exclude each other (`softmax`) or do not
            (`sigmoid`), probabilities as they are (`given`), or nothing of the kind (`none`); `auto` reads it off the
            computation and the model's configuration, and takes a soft-max otherwise.
        embedding: what a target reads that compares embeddings: `"auto"`, the input of the model's last classifier
            (None is that where the target wants it); `"none"`, the model's output; or the path of a module.
        method: one or more names from `METHODS`, in any spelling; None is the one of the user's setting, or with the
            best evidence, and `provenance["why"]` then says which it was and why. One of several that does not fit
            the model is left out, and `provenance["left_out"]` says why.
        layers: None (the method's own choice, mostly every block), `"last"`, `"convs"`, names, wildcards, or modules
            of the model; `"input"` is the network's own input, `"all+input"` every block and the input.
        labels: class names in the order of the logits, index to name (`id2label`), or a file of them; None takes
            those in the model's configuration. Two names for one logit: the second where it is positive.
        output: which part of the model's output holds the logits: a key, an index or a callable.
        images: the pictures as the network sees them, 0..1, kept with the result for drawing; or the signals,
            volumes or clips themselves. Of pictures that were passed they are made here.
        sources: a name for each sample; of files their names.
        foreground: mask of the object in each picture, on a grid of any size: each map (note `object`) and each
            phrase then says which share of its evidence lies there.
        domain: what the maps lie over, `"volume"` or `"space-time"`, where the inputs have three axes of places.
        rate: samples of a signal or frames of a clip in a second, of all or of each; three axes are a clip then.
        preprocess: how images are preprocessed, where the model does not say: a `Preprocess`, torchvision's weights,
            an image processor of Hugging Face, or a callable that makes a tensor of a PIL image.
        options: options of the methods, as `{"scorecam": {"groups": 64}}`, or flat where one method is asked for.
        batch_size: most samples at a time; on memory shortage it is halved automatically.
        seed: seed of everything random.
        provenance: facts about model and data to keep with the result; the range of the pixels is read off
            `preprocess`, if it is among them.
        progress: False shows no bar; by default one appears after two seconds, on a terminal or in a notebook. Or a
            function that is called after each chunk with the number of samples done and their total.

    Returns:
        An explanation for every sample, target and method, in that order of nesting.

    Raises:
        SightlineError: a subclass that says what was asked, what was found and what to try, before any work where
            that can be known.

    Example:
        >>> from torch import nn
        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        >>> results = explain(net, torch.ones(1, 3, 8, 8), target=1, method="gradcam")
        >>> results.one().flow.layers
        ('1',)
    """
    choice = chosen(method)
    content = passed(model, inputs, preprocess=preprocess, explained=explained).but(
        images=images, sources=sources, labels=labels, facts=provenance
    )
    model, inputs, images, sources = content.model, content.inputs, content.images, content.sources
    decision = parse_target(target, contrast=contrast, contrast_weight=contrast_weight, score=score)
    decision, adapter = bound(decision, content.adapter())
    adapter.check_inputs(inputs)
    adapter, each_rate = named(adapter, inputs, domain, rate), rates(rate, len(inputs))
    decision = sized(decision, adapter, inputs)
    where = embedding or (AUTO if decision.wants_embedding else NONE)
    about = {} if where == NONE else {"embedding": place_of(adapter.model, where)}
    adapter = adapter if where == NONE else adapter.encoder(where)
    readable = decided(decision, adapter, inputs, labels=content.labels, probabilities=probabilities, output=output)
    adapter = readable.adapter
    question = Question(
        adapter=adapter,
        methods=tuple(METHODS[name] for name in choice.names),
        plan=Plan(readable.target, named_layers(adapter.model, layers), output=output, labels=readable.labels),
        seed=seed,
        batch_size=batch_size,
        options=options_of(choice.names, options or {}),
        choice=choice,
        preprocess=content.settings,
    )
    question.plan.target.check(adapter.classes, readable.labels)
    check_lengths(inputs, images=images, sources=sources, foreground=foreground)
    about = _provenance(question, {"target": _wording(decision), **about, **content.facts})
    explanations: list[Explanation] = []
    fitting = Fitting()

    def work(part: slice) -> list[Explanation]:
        plan = replace(question.plan, target=question.plan.target.rows(part))
        own = replace(question, adapter=question.adapter.rows(part))
        outcomes = fitting.ask(
            question.methods, lambda methods: ask(replace(own, plan=plan, methods=methods), inputs[part])
        )
        facts = {**about, **stated(readable.facts, outcomes[0][1].readout), **_why(question, outcomes, fitting)}
        pictures = kept(question.adapter, inputs, images)
        items = _explanations(outcomes, domain_of(question.adapter, inputs), part, pictures, sources, facts)
        per_sample = len(items) // len(inputs[part])
        samples = [part.start + i // per_sample for i in range(len(items))]
        whole = content.originals if images is content.images else ()
        return [
            replace(item, rate=each_rate[sample], original=whole[sample] if whole else None)
            for sample, item in zip(samples, items, strict=True)
        ]

    for part, items in in_chunks(work, len(inputs), batch_size):
        masks = None if foreground is None else foreground[part]
        spoken = items if decision.wants_embedding else narrated(adapter.model, items, inputs[part], masks)
        spoken = on_object(spoken, masks, len(items) // len(inputs[part]))
        explanations.extend(within_scope(model, spoken, inputs[part]))
        if callable(progress):
            progress(part.stop, len(inputs))
    return Explanations(beside_others(explanations, foreground, len(explanations) // len(inputs)))


def _why(question: Question, outcomes: list[tuple[Method, Outcome]], fitting: Fitting) -> dict[str, Any]:
    """Why these methods answered, where the call did not name them, and which were left out."""
    left_out = {"left_out": dict(fitting.reasons)} if fitting.reasons else {}
    if question.choice.by_default:
        return {**left_out, "why": WHY if outcomes[0][0].name == DEFAULT else WHY_FALLBACK}
    return {**left_out, "why": question.choice.why} if question.choice.why else left_out


def _explanations(
    outcomes: list[tuple[Method, Outcome]],
    domain: Domain,
    part: slice,
    images: Tensor | None,
    sources: Sequence[str] | None,
    provenance: dict[str, Any],
) -> list[Explanation]:
    """One explanation per sample, target and method."""
    first = outcomes[0][1].readout
    decisions = decisions_of(first, domain)
    return [
        Explanation(
            flow=_flow(method, outcome, domain, b, k),
            decision=decisions[b][k],
            image=None if images is None else images[part.start + b].detach(),
            source="" if sources is None else str(sources[part.start + b]),
            provenance={
                **provenance,
                "method": method.name,
                "title": method.title,
                "equation": method.equation,
                "source": method.source,
            },
        )
        for b in range(len(first.scores))
        for k in range(first.scores.shape[1])
        for method, outcome in outcomes
    ]


def _flow(method: Method, outcome: Outcome, domain: Domain, b: int, k: int) -> Flow:
    maps = tuple(
        AttentionMap(
            values=layer.maps[b, k],
            layer=layer.layer,
            domain=domain,
            signed=method.signed if layer.signed is None else layer.signed,
            notes={
                name: float(values[b] if values.ndim == 1 else values[b, k]) for name, values in layer.notes.items()
            },
        )
        for layer in outcome.layers
    )
    return Flow(maps, method.name, outcome.remarks[b][k] if outcome.remarks else ())


def _provenance(question: Question, facts: Mapping[str, Any]) -> dict[str, Any]:
    model = question.adapter.model
    return {
        "model": type(model).__name__,
        "sightline": __version__,
        "torch": torch.__version__,
        "seed": question.seed,
        "options": {name: dict(own) for name, own in question.options.items() if own},
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
    }


def _wording(target: Any) -> str:
    text = repr(target)
    return text if len(text) <= 200 else f"{type(target).__name__}(...)"
