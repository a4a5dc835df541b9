"""`sightline train colours`."""

from pathlib import Path

import typer


def train(out: Path) -> None:
    """Train a network that knows three colours."""
    import torch

    from colours.network import network
    from sightline.models.architectures import write_network

    torch.manual_seed(0)
    net = network()
    batch, labels = torch.eye(3)[:, :, None, None].expand(3, 3, 8, 8), torch.arange(3)
    descent = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(60):
        descent.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(batch), labels)
        loss.backward()
        descent.step()
    write_network(out, net.state_dict(), "colours", "{}")
    typer.echo(f"loss {loss.item():.3f}; {out} written")
