"""`sightline world`: draw bird worlds in the layout of CUB-200-2011, and say what they hold."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from sightline.common.numbers import SEEDS
from sightline.common.settings import Settings, flat, setting
from sightline.terminal.screen import progress, say, say_json, say_note, say_table

AsJson = Annotated[bool, typer.Option("--json", help="As JSON on standard output.")]


@dataclass(frozen=True, kw_only=True)
class SeenWorld(Settings):
    """What a world looks like at first sight."""

    PANEL = "World"

    cue: str = setting("foreground", "What carries the class: foreground, part:NAME or background.")
    seed: int = setting(0, "Seed of the world.", low=0, high=SEEDS - 1)
    layout: str = setting("edges", "Where the birds sit: edges, uniform, centre.")


@dataclass(frozen=True, kw_only=True)
class NoisyWorld(Settings):
    """What decides which cue a model must use."""

    PANEL = "World"

    cue: str = setting("foreground", "What carries the class: foreground, part:NAME or background.")
    species: int | None = setting(None, "Number of classes; 20, or as many as the cue can tell apart.")
    seed: int = setting(0, "Seed of the world.", low=0, high=SEEDS - 1)
    background_correlation: float = setting(0.0, "Share of scenes whose background is their species' own.")
    entanglement: float = setting(0.0, "Share of plumage colours that copy the breast's.")
    variation: float = setting(0.02, "Chance that a species' own attribute varies in an image.")
    label_noise: float = setting(0.0, "Chance that the written class is wrong.")
    drop_out: float = setting(0.0, "Chance, per part, that it is not drawn.", "--part-dropout")


@dataclass(frozen=True, kw_only=True)
class WholeWorld(NoisyWorld):
    """Everything that makes a world."""

    twins: int = setting(3, "Pairs of species that differ in one group.")
    attribute_noise: float = setting(0.0, "Chance, per group, that the written attribute is wrong.")
    occluders: float = setting(1.0, "Mean number of leaves and twigs before the bird.", panel="Scenes")
    layout: str = setting("edges", "Where the birds sit: edges, uniform, centre.", panel="Scenes")
    bird_size: float = setting(1.0, "Factor on the size of all birds.", panel="Scenes")
    train_share: float = setting(0.8, "Share of scenes in the training split.", panel="Scenes")


@dataclass(frozen=True, kw_only=True)
class Drawing(Settings):
    """What is drawn of it."""

    PANEL = "What to write"

    out: Path = setting(Path("sightline_world"), "New folder to write.")
    count: int = setting(1000, "Number of scenes.")
    size: int = setting(128, "Side of the pictures in pixels.")
    image_format: str = setting("jpg", "jpg, or png for exact bytes.", "--format")
    six_token_rows: int = setting(0, "Malformed attribute rows, as the real files have.")
    workers: int = setting(1, "Processes that draw.")
    as_json: bool = setting(False, "As JSON on standard output.", "--json")


def render(drawing: Drawing, options: WholeWorld) -> None:
    """Draw a world into a new folder: pictures, masks, boxes, parts, attributes, and the truth behind them.

    Interrupted? The same command goes on with the scenes that are there.
    """
    from sightline.worlds.aviary import World, WorldConfig
    from sightline.worlds.aviary.layout import write_world

    world, out, count = World(WorldConfig(**flat(options))), drawing.out, drawing.count
    begun = time.perf_counter()
    with going_on_later(out), progress() as bar:
        task = bar.add_task("drawing", total=count)
        write_world(
            world,
            out,
            count,
            size=drawing.size,
            image_format=drawing.image_format,
            six_token_rows=drawing.six_token_rows,
            workers=drawing.workers,
            report=lambda done: bar.update(task, advance=done),
        )
    seconds = time.perf_counter() - begun
    if drawing.as_json:
        say_json({"out": str(out), "scenes": count, "species": len(world.species), "seconds": seconds})
        return
    say(f"{out}: {count} scenes of {len(world.species)} species in {seconds:.1f} s")


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
    options: NoisyWorld,
    scenes: Annotated[int, typer.Option(help="Scenes over which probabilities are averaged.")] = 2000,
    as_json: AsJson = False,
) -> None:
    """Say which cue the best possible model of a world must use, and what every cue is worth."""
    from sightline.worlds.aviary import World, WorldConfig
    from sightline.worlds.aviary.cues import bayes_cues, required_cue

    config = WorldConfig(**flat(options))
    rows, required = bayes_cues(World(config), scenes), required_cue(World(config), scenes)
    if as_json:
        say_json({"required": required, "cues": [asdict(row) for row in rows]})
        return
    say_table(
        ("cue", ">alone", ">all but it", ">everything", "required", "sufficient"),
        (
            (
                row.name,
                *(f"{value:.3f}" for value in (row.alone, row.without, row.everything)),
                *("yes" if flag else "" for flag in (row.required, row.sufficient)),
            )
            for row in rows
        ),
        title="Bayes-optimal accuracy",
    )
    say(f"the best model must use: {required}")


def measure(
    count: Annotated[int, typer.Option(help="Number of scenes.")] = 300,
    size: Annotated[int, typer.Option(help="Side of the pictures in pixels.")] = 128,
    seed: Annotated[int, typer.Option(help="Seed of the world.")] = 0,
    layout: Annotated[str, typer.Option(help="Where the birds sit: edges, uniform, centre.")] = "edges",
    bird_size: Annotated[float, typer.Option(help="Factor on the size of all birds.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Measure how fast scenes are drawn on one core, and where the birds sit."""
    from sightline.worlds.aviary import World, WorldConfig, render
    from sightline.worlds.aviary.placement import placement

    world = World(WorldConfig(seed=seed, layout=layout, bird_size=bird_size))
    render(world.scene(0), size)
    begun = time.process_time()
    drawings = [render(world.scene(index), size) for index in range(count)]
    rate = count / (time.process_time() - begun)
    where = placement(drawings)
    if as_json:
        say_json({"scenes_per_second": rate, "size": size, **vars(where)})
        return
    say(f"{rate:.0f} scenes/s at {size} px, CPU time of one core")
    say(f"bird covers {where.area:.3f} of the picture")
    say(f"picture centre in the bird's box {where.centre_in_box:.3f}, on the bird {where.centre_on_bird:.3f}")
    prior = f"on the bird {where.gaussian_on_bird:.3f}, in its box {where.gaussian_in_box:.3f}"
    say(f"share of a centred Gaussian (sigma a quarter of the side) {prior}")


@dataclass(frozen=True, kw_only=True)
class Sheet(Settings):
    """What is drawn on a contact sheet."""

    PANEL = "What to write"

    out: Path = setting(Path("sightline_world.png"), "PNG file to write.")
    count: int = setting(24, "Number of scenes.")
    columns: int = setting(6, "Scenes per row.")
    size: int = setting(160, "Side of every scene in pixels.")
    first: int = setting(0, "Number of the first scene.")
    what: str = setting("scenes", "scenes; or counterfactuals: one scene per row and its variants.")
    as_json: bool = setting(False, "As JSON on standard output.", "--json")


def sheet(page: Sheet, options: SeenWorld) -> None:
    """Draw a contact sheet."""
    from sightline.worlds.aviary import World, WorldConfig
    from sightline.worlds.aviary.sheet import check_picture, counterfactual_sheet, save_picture, scene_sheet

    world, numbers = World(WorldConfig(**flat(options))), range(page.first, page.first + page.count)
    check_picture(page.out)
    draw = counterfactual_sheet if page.what == "counterfactuals" else scene_sheet
    picture = draw(world, numbers, columns=page.columns, size=page.size)
    save_picture(picture, page.out)
    if page.as_json:
        say_json({"out": str(page.out), "width": picture.width, "height": picture.height})
        return
    say(f"{page.out}: {picture.width} x {picture.height} pixels")


def certify(
    what: Annotated[str, typer.Option("--of", help="The cue: foreground, background or part:NAME.")] = "foreground",
    weights: Annotated[
        Path | None, typer.Option("--weights", "-w", help="Weights of a birdnet; the bundled one if none.")
    ] = None,
    cue: Annotated[
        str, typer.Option(help="What carries the class: foreground, part:NAME or background.")
    ] = "foreground",
    seed: Annotated[int, typer.Option(help="Seed of the world.")] = 0,
    pairs: Annotated[int, typer.Option(help="Pairs of scenes that exchange the cue.")] = 200,
    threshold: Annotated[float, typer.Option(help="What the lower ends of both intervals must reach.")] = 0.8,
    as_json: AsJson = False,
) -> None:
    """Certify by re-drawn counterfactuals that a birdnet decides by a cue of its world."""
    from sightline.models.zoo.birdnet import load_birdnet
    from sightline.worlds.aviary import World, WorldConfig
    from sightline.worlds.aviary.certificate import certify as by_behaviour

    net = load_birdnet(weights)
    world = World(WorldConfig(cue=cue, seed=seed))
    certificate = by_behaviour(net.scores_of_bytes, world, what, pairs=pairs, size=net.spec.size, threshold=threshold)
    if as_json:
        rates = {"follows": certificate.follows, "stays": certificate.stays}
        shares = {name: {"share": rate.share, "interval": rate.interval} for name, rate in rates.items()}
        say_json({"cue": what, "certified": certificate.certified, "pairs": certificate.pairs, **shares})
        return
    for name, rate in (("follows the cue", certificate.follows), ("stays without it", certificate.stays)):
        low, high = rate.interval
        say(f"{name}: {rate.share:.3f} ({low:.3f}-{high:.3f})")
    verdict = "certified" if certificate.certified else "not certified"
    say(f"{what}: {verdict} at {threshold:g}, from {certificate.pairs} pairs that the model knows")
