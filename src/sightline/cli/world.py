"""`sightline world`: draw bird worlds in the layout of CUB-200-2011, and say what they hold."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from sightline.terminal.screen import say_note

Cue = Annotated[str, typer.Option(help="What carries the class: foreground, part:NAME or background.")]
Species = Annotated[int | None, typer.Option(help="Number of classes; 20, or as many as the cue can tell apart.")]
Seed = Annotated[int, typer.Option(help="Seed of the world.")]
Correlation = Annotated[float, typer.Option(help="Share of scenes whose background is their species' own.")]
Entanglement = Annotated[float, typer.Option(help="Share of plumage colours that copy the breast's.")]
Variation = Annotated[float, typer.Option(help="Chance that a species' own attribute varies in an image.")]
LabelNoise = Annotated[float, typer.Option(help="Chance that the written class is wrong.")]
AttributeNoise = Annotated[float, typer.Option(help="Chance, per group, that the written attribute is wrong.")]
DropOut = Annotated[float, typer.Option(help="Chance, per part, that it is not drawn.")]
Occluders = Annotated[float, typer.Option(help="Mean number of leaves and twigs before the bird.")]
Layout = Annotated[str, typer.Option(help="Where the birds sit: edges, uniform, centre.")]
BirdSize = Annotated[float, typer.Option(help="Factor on the size of all birds.")]


def render(
    out: Annotated[Path, typer.Option(help="New folder to write.")],
    count: Annotated[int, typer.Option(help="Number of scenes.")] = 1000,
    size: Annotated[int, typer.Option(help="Side of the pictures in pixels.")] = 128,
    image_format: Annotated[str, typer.Option("--format", help="jpg, or png for exact bytes.")] = "jpg",
    six_token_rows: Annotated[int, typer.Option(help="Malformed attribute rows, as the real files have.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that draw.")] = 1,
    cue: Cue = "foreground",
    species: Species = None,
    twins: Annotated[int, typer.Option(help="Pairs of species that differ in one group.")] = 3,
    seed: Seed = 0,
    background_correlation: Correlation = 0.0,
    entanglement: Entanglement = 0.0,
    variation: Variation = 0.02,
    label_noise: LabelNoise = 0.0,
    attribute_noise: AttributeNoise = 0.0,
    drop_out: DropOut = 0.0,
    occluders: Occluders = 1.0,
    layout: Layout = "edges",
    bird_size: BirdSize = 1.0,
    train_share: Annotated[float, typer.Option(help="Share of scenes in the training split.")] = 0.8,
) -> None:
    """Draw a world into a new folder: pictures, masks, boxes, parts, attributes, and the truth behind them.

    Interrupted? The same command goes on with the scenes that are there.
    """
    from rich.progress import Progress

    from sightline.worlds.aviary import Knobs, World
    from sightline.worlds.aviary.layout import write_world

    knobs = Knobs(
        cue=cue,
        species=species,
        twins=twins,
        seed=seed,
        background_correlation=background_correlation,
        entanglement=entanglement,
        variation=variation,
        label_noise=label_noise,
        attribute_noise=attribute_noise,
        drop_out=drop_out,
        occluders=occluders,
        layout=layout,
        bird_size=bird_size,
        train_share=train_share,
    )
    begun = time.perf_counter()
    with going_on_later(out), Progress() as bar:
        task = bar.add_task("drawing", total=count)
        write_world(
            World(knobs),
            out,
            count,
            size=size,
            image_format=image_format,
            six_token_rows=six_token_rows,
            workers=workers,
            report=lambda done: bar.update(task, advance=done),
        )
    seconds = time.perf_counter() - begun
    typer.echo(f"{out}: {count} scenes of {len(World(knobs).species)} species in {seconds:.1f} s")


@contextmanager
def going_on_later(out: Path) -> Iterator[None]:
    """Say on Ctrl-C where the scenes are that are done."""
    from sightline.worlds.aviary.resume import Unfinished

    try:
        yield
    except KeyboardInterrupt:
        say_note(f"the scenes that are done stay in {Unfinished.of(out).folder}; the same command goes on with them")
        raise


def cues(
    cue: Cue = "foreground",
    species: Species = None,
    seed: Seed = 0,
    background_correlation: Correlation = 0.0,
    entanglement: Entanglement = 0.0,
    variation: Variation = 0.02,
    label_noise: LabelNoise = 0.0,
    drop_out: DropOut = 0.0,
    scenes: Annotated[int, typer.Option(help="Scenes over which probabilities are averaged.")] = 2000,
) -> None:
    """Say which cue the best possible model of a world must use, and what every cue is worth."""
    from rich.console import Console
    from rich.table import Table

    from sightline.worlds.aviary import Knobs, World
    from sightline.worlds.aviary.cues import bayes_cues, required_cue

    knobs = Knobs(
        cue=cue,
        species=species,
        seed=seed,
        background_correlation=background_correlation,
        entanglement=entanglement,
        variation=variation,
        label_noise=label_noise,
        drop_out=drop_out,
    )
    table = Table(
        "cue", "alone", "all but it", "everything", "required", "sufficient", title="Bayes-optimal accuracy"
    )
    for row in bayes_cues(World(knobs), scenes):
        yes = ("yes" if flag else "" for flag in (row.required, row.sufficient))
        table.add_row(row.name, *(f"{v:.3f}" for v in (row.alone, row.without, row.everything)), *yes)
    Console().print(table)
    typer.echo(f"the best model must use: {required_cue(World(knobs), scenes)}")


def measure(
    count: Annotated[int, typer.Option(help="Number of scenes.")] = 300,
    size: Annotated[int, typer.Option(help="Side of the pictures in pixels.")] = 128,
    seed: Seed = 0,
    layout: Layout = "edges",
    bird_size: BirdSize = 1.0,
) -> None:
    """Measure how fast scenes are drawn on one core, and where the birds sit."""
    from sightline.worlds.aviary import Knobs, World, render
    from sightline.worlds.aviary.placement import placement

    world = World(Knobs(seed=seed, layout=layout, bird_size=bird_size))
    render(world.scene(0), size)
    begun = time.process_time()
    drawn = [render(world.scene(index), size) for index in range(count)]
    rate = count / (time.process_time() - begun)
    where = placement(drawn)
    typer.echo(f"{rate:.0f} scenes/s at {size} px, CPU time of one core")
    typer.echo(f"bird covers {where.area:.3f} of the picture")
    typer.echo(f"picture centre in the bird's box {where.centre_in_box:.3f}, on the bird {where.centre_on_bird:.3f}")
    prior = f"on the bird {where.gaussian_on_bird:.3f}, in its box {where.gaussian_in_box:.3f}"
    typer.echo(f"share of a centred Gaussian (sigma a quarter of the side) {prior}")


def sheet(
    out: Annotated[Path, typer.Option(help="PNG file to write.")],
    count: Annotated[int, typer.Option(help="Number of scenes.")] = 24,
    columns: Annotated[int, typer.Option(help="Scenes per row.")] = 6,
    size: Annotated[int, typer.Option(help="Side of every scene in pixels.")] = 160,
    first: Annotated[int, typer.Option(help="Number of the first scene.")] = 0,
    cue: Cue = "foreground",
    seed: Seed = 0,
    layout: Layout = "edges",
    what: Annotated[
        str, typer.Option(help="scenes; or counterfactuals: one scene per row and its variants.")
    ] = "scenes",
) -> None:
    """Draw a contact sheet."""
    from sightline.worlds.aviary import Knobs, World
    from sightline.worlds.aviary.sheet import check_picture, counterfactual_sheet, save_picture, scene_sheet

    world = World(Knobs(cue=cue, seed=seed, layout=layout))
    check_picture(out)
    draw = counterfactual_sheet if what == "counterfactuals" else scene_sheet
    picture = draw(world, range(first, first + count), columns=columns, size=size)
    save_picture(picture, out)
    typer.echo(f"{out}: {picture.width} x {picture.height} pixels")


def certify(
    what: Annotated[str, typer.Option("--of", help="The cue: foreground, background or part:NAME.")] = "foreground",
    weights: Annotated[Path | None, typer.Option(help="Weights of a birdnet; the bundled one if none.")] = None,
    cue: Cue = "foreground",
    seed: Seed = 0,
    pairs: Annotated[int, typer.Option(help="Pairs of scenes that exchange the cue.")] = 200,
    threshold: Annotated[float, typer.Option(help="What the lower ends of both intervals must reach.")] = 0.8,
) -> None:
    """Certify by re-drawn counterfactuals that a birdnet decides by a cue of its world."""
    from sightline.models.zoo.birdnet import load_birdnet
    from sightline.worlds.aviary import Knobs, World
    from sightline.worlds.aviary.certificate import certify as by_behaviour

    net = load_birdnet(weights)
    world = World(Knobs(cue=cue, seed=seed))
    found = by_behaviour(net.scores_of_bytes, world, what, pairs=pairs, size=net.spec.size, threshold=threshold)
    for name, rate in (("follows the cue", found.follows), ("stays without it", found.stays)):
        low, high = rate.interval
        typer.echo(f"{name}: {rate.share:.3f} ({low:.3f}-{high:.3f})")
    verdict = "certified" if found.certified else "not certified"
    typer.echo(f"{what}: {verdict} at {threshold:g}, from {found.pairs} pairs that the model knows")
