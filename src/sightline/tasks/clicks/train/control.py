"""Logistic regression on the rows that a network learns from: the simplest model that its figures stand beside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sightline.tasks.clicks.data.batches import Part
from sightline.tasks.clicks.data.cases import order_of
from sightline.tasks.clicks.data.prepare import Prepared
from sightline.tasks.clicks.metrics.choices import CaseTally
from sightline.tasks.clicks.metrics.outcome import logits_of
from sightline.tasks.clicks.metrics.scores import log_losses
from sightline.tasks.clicks.network.choice import batch_loss
from sightline.tasks.clicks.network.network import ClickNet, ClickSpec
from sightline.tasks.clicks.network.store import load_clicks, save_clicks
from sightline.tasks.clicks.recipe import ClickRecipe

RATE = 0.01
"""Learning rate: one layer does not mind."""
WAIT = 2
"""Epochs without a better one after which it stops."""


def logistic(data: Prepared, recipe: ClickRecipe, work: Path) -> ClickNet:
    """Logistic regression, trained once and kept in the work folder.

    Args:
        data: the log as numbers.
        recipe: batch size, epochs and seed.
        work: the folder.
    """
    path = work / f"logistic-{data.fingerprint[:12]}.safetensors"
    if path.is_file():
        return load_clicks(path)[0]
    with torch.random.fork_rng(devices=[]):  # the network beside it draws what it would have drawn
        torch.manual_seed(recipe.machine.seed)
        own = data.encoder
        net = ClickNet(ClickSpec(model="lr", sizes=own.sizes, numbers=own.numbers, owners=own.owners))
        _train(net, data, recipe)
    save_clicks(net, data.encoder, path)
    return net.eval()


def _train(net: ClickNet, data: Prepared, recipe: ClickRecipe) -> None:
    """Adam until the validation loss no longer falls; the weights of the best epoch stay."""
    part, looked_at = Part(data.path("train")), Part(data.path("validation"))
    order, outside = order_of(part, recipe.loop.batch_size, recipe.machine.seed), data.encoder.schema.outside
    optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=RATE)
    best, wait, kept = float("inf"), 0, net.state_dict()
    for epoch in range(recipe.loop.epochs):
        order.set_epoch(epoch)
        for place in order:
            batch = part[place]
            optimiser.zero_grad()
            torch.autograd.backward(batch_loss(net(*batch[:2]), batch, outside=outside))
            optimiser.step()
        loss = _loss(net, looked_at, outside=outside)
        if loss < best:
            best, wait, kept = loss, 0, {name: value.clone() for name, value in net.state_dict().items()}
        elif (wait := wait + 1) >= WAIT:
            break
    net.load_state_dict(kept)


def _loss(net: ClickNet, part: Part, *, outside: bool) -> float:
    total, tally = 0.0, CaseTally()
    for rows in part.in_turn():
        if len(rows.case):
            utilities = torch.from_numpy(logits_of(net, rows).astype(np.float64))
            tally.add(utilities, rows.labels.double(), rows.case, outside=outside)
            continue
        probabilities = 1 / (1 + np.exp(-logits_of(net, rows).astype(np.float64)))
        total += float(log_losses(probabilities, rows.labels.numpy()).sum())
    return tally.loss / tally.cases if tally.cases else total / len(part)
