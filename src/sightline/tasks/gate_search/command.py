"""`sightline gates search`: train or take a supernet, search, tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.terminal.screen import progress, say_json, say_note, say_table

if TYPE_CHECKING:
    from sightline.tasks.gate_search.executors import Evaluate
    from sightline.tasks.gate_search.job import Job
    from sightline.tasks.gate_search.result import Found

SPREADS = ("processes", "ray")


def search(
    data: Annotated[
        Path, typer.Option(help="Folder with train/ and val/, in each a folder of photos for every class.")
    ],
    log: Annotated[Path, typer.Option(help="File of the evaluations; a stopped search goes on from it.")],
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Name of a network; none is the bundled one.")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="What the network begins with: a file, or 'random'.")] = None,
    model_arg: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the network's builder.")] = None,
    gate: Annotated[str, typer.Option(help="A name of `sightline gates list`.")] = "dia",
    share: Annotated[str, typer.Option(help="Which blocks share one gate: stage, block or width.")] = "stage",
    reduction: Annotated[int | None, typer.Option(help="Of the gate's inner width.", min=1)] = None,
    supernet: Annotated[
        Path | None, typer.Option(help="Weights of a trained supernet; trained and kept beside the log if none.")
    ] = None,
    epochs: Annotated[int, typer.Option(help="Of the supernet's training.", min=0)] = 10,
    lr: Annotated[float, typer.Option(help="Learning rate of that training, at its start.")] = 0.05,
    searcher: Annotated[str, typer.Option(help="reinforce, random, greedy or exhaustive.")] = "reinforce",
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the searcher; repeat for more.")] = None,
    budget: Annotated[int, typer.Option(help="Most schemes that are evaluated.", min=2)] = 100,
    sparsity: Annotated[float, typer.Option(help="Accuracy that a network without gates is worth more.")] = 0.02,
    photos: Annotated[int, typer.Option(help="Most validation photos for each evaluation.", min=1)] = 1000,
    recalibrate: Annotated[
        int, typer.Option(help="Training photos to estimate batch norms anew for each scheme; 0: none.", min=0)
    ] = 256,
    batch_size: Annotated[int, typer.Option(help="Photos that go through the network together.", min=2)] = 32,
    workers: Annotated[int, typer.Option(help="Evaluate in so many processes; 0 is this one alone.", min=0)] = 0,
    spread: Annotated[
        str, typer.Option(help="Workers are 'processes' of this machine, or 'ray' workers.")
    ] = "processes",
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on standard output.")] = False,
) -> None:
    """Search which blocks deserve a gate: train a supernet under random masks, then try schemes in it."""
    from sightline.tasks.gate_search.job import Job
    from sightline.tasks.gate_search.searchers import SEARCHERS
    from sightline.terminal.options import arguments_of, device_of, one_of

    one_of(spread, SPREADS, option="--spread")
    one_of(searcher, tuple(SEARCHERS), option="--searcher")
    job = Job(
        folder=data, model=model, weights=weights, model_args=tuple(arguments_of(model_arg).items()), gate=gate,
        share=share, reduction=reduction, photos=photos, recalibrate=recalibrate, batch=batch_size, seed=seed,
        device=device_of(device), supernet=supernet or log.with_name(f"{log.stem}.supernet.safetensors"),
    )  # fmt: skip
    make_supernet(job, epochs=epochs, rate=lr)
    found = run_search(
        job, searcher=searcher, budget=budget, sparsity=sparsity, log=log, workers=workers, spread=spread,
        options=arguments_of(option),
    )  # fmt: skip
    tell(found, as_json=as_json, log=log, supernet=job.supernet)


def make_supernet(job: Job, *, epochs: int, rate: float) -> None:
    """Train the supernet and keep it beside the log, unless it is there."""
    from safetensors.torch import save

    from sightline.common.files import write_bytes
    from sightline.tasks.gate_search.job import read_classes, train_supernet

    if job.supernet.is_file():
        say_note(f"the supernet of {str(job.supernet)!r} is taken")
        return
    loaded = job.build()
    train = read_classes(job.folder, "train")
    steps = epochs * -(-len(train.paths) // job.batch)
    with progress() as bar:
        task = bar.add_task("training the supernet", total=steps)
        train_supernet(
            loaded,
            train,
            epochs=epochs,
            rate=rate,
            batch=job.batch,
            seed=job.seed,
            step=lambda loss: bar.update(task, advance=1),
        )
    job.supernet.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: value.cpu().contiguous() for name, value in loaded.model.state_dict().items()}
    write_bytes(job.supernet, save(weights))
    say_note(f"the supernet is kept in {str(job.supernet)!r}")


def run_search(
    job: Job,
    *,
    searcher: str,
    budget: int,
    sparsity: float,
    log: Path,
    workers: int,
    spread: str,
    options: dict[str, Any],
) -> Found:
    """Search on the trained supernet; what was evaluated when Ctrl-C comes is in the log."""
    import hashlib

    from sightline.gates.surgery.plug import plugged
    from sightline.tasks.gate_search.search import search as seek

    lengths = plugged(job.build().model).sites.lengths
    digest = hashlib.sha256(job.supernet.read_bytes()).hexdigest()[:16]
    about = {
        "model": job.model, "gate": job.gate, "share": job.share, "supernet": digest,
        "data": str(job.folder.resolve()), "photos": job.photos, "recalibrate": job.recalibrate, "batch": job.batch,
    }  # fmt: skip
    with progress() as bar, _evaluate(job.score, workers, spread) as evaluate:
        task = bar.add_task("evaluating schemes", total=budget)
        try:
            return seek(
                None,
                lengths,
                searcher=searcher,
                budget=budget,
                sparsity=sparsity,
                seed=job.seed,
                log=log,
                about=about,
                evaluate=evaluate,
                step=lambda trial: bar.update(task, advance=1),
                **options,
            )
        except KeyboardInterrupt:
            say_note(f"what was evaluated is in {str(log)!r}; the same command goes on from there")
            raise


@contextmanager
def _evaluate(make_score: Callable[[], Any], workers: int, spread: str) -> Iterator[Evaluate]:
    from sightline.tasks.gate_search.executors import here, processes, ray_workers

    if workers == 0:
        yield here(make_score())
        return
    with (ray_workers if spread == "ray" else processes)(make_score, workers) as evaluate:
        yield evaluate


def tell(found: Found, *, as_json: bool, log: Path, supernet: Path) -> None:
    """The best scheme, the front and what each block adds."""
    if as_json:
        say_json({**found.record(), "log": str(log), "supernet": str(supernet)})
        return
    say_table(
        ("scheme", "as integers", ">density", ">accuracy", ">worth"),
        (
            (
                str(trial.scheme),
                ",".join(map(str, trial.scheme.ints)),
                f"{trial.scheme.density:.2f}",
                f"{trial.score:.4f}",
                f"{trial.worth:.4f}",
            )
            for trial in found.front
        ),
        title="accuracy for each density: what nothing sparser beats",
    )
    say_table(
        (">stage", ">block", ">adds", ">low", ">high", "verdict"),
        ((e.stage, e.block, f"{e.mean:+.4f}", f"{e.low:+.4f}", f"{e.high:+.4f}", e.verdict) for e in found.effects()),
        title="what each block's gate adds to the accuracy, with 95 % intervals over the evaluated schemes",
    )
    best = found.best
    say_note(
        f"best: {best.scheme} ({best.score:.4f} at density {best.scheme.density:.2f}); {len(found.trials)} "
        f"evaluations, {found.repeats} repeats, {found.replayed} of them from the log {str(log)!r}"
    )
