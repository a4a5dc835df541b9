"""`sightline train colours`."""

import typer

from colours.recipe import ColourRecipe
from sightline.terminal.guard import RunOptions


def train(run: RunOptions, recipe: ColourRecipe) -> None:
    """Train a network that knows three colours."""
    import torch

    from colours.network import network
    from sightline.models.architectures import write_network

    torch.manual_seed(0)
    net = network()
    batch, labels = torch.eye(3)[:, :, None, None].expand(3, 3, 8, 8), torch.arange(3)
    optimiser = torch.optim.Adam(net.parameters(), lr=recipe.optim.lr)
    for _ in range(recipe.steps):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(batch), labels)
        loss.backward()
        optimiser.step()
    write_network(run.out, net.state_dict(), "colours", "{}")
    typer.echo(f"loss {loss.item():.3f} after {recipe.steps} steps; {run.out} written")
