"""`sightline gates search`: train or take a supernet, search, tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.common.numbers import SEEDS
from sightline.common.settings import REQUIRED, Settings, setting
from sightline.terminal.model import ModelOptions
from sightline.terminal.options import arguments_of, device_of, one_of
from sightline.terminal.screen import progress, say, say_json, say_note, say_table

if TYPE_CHECKING:
    from sightline.tasks.gate_search.executors import Evaluate
    from sightline.tasks.gate_search.job import Job
    from sightline.tasks.gate_search.result import SearchResult

EXECUTORS = ("processes", "ray")


@dataclass(frozen=True, kw_only=True)
class SearchOptions(Settings):
    """What is searched, and for how long."""

    PANEL = "Search"

    data: Path = setting(REQUIRED, "Folder with train/ and val/, in each a folder of photos for every class.")
    log: Path = setting(Path("gate_search.jsonl"), "File of the evaluations; a stopped search goes on from it.")
    searcher: str = setting("reinforce", "reinforce, random, greedy or exhaustive.")
    option: list[str] | None = setting(None, "NAME=VALUE for the searcher; repeat for more.")
    budget: int = setting(100, "Most schemes that are evaluated.", low=2)
    sparsity: float = setting(0.02, "Accuracy that a network without gates is worth more.")
    photos: int = setting(1000, "Most validation photos for each evaluation.", "--count", low=1)
    recalibrate: int = setting(256, "Training photos to estimate batch norms anew for each scheme; 0: none.", low=0)
    workers: int = setting(0, "Evaluate in so many processes; 0 is this one alone.", low=0)
    executor: str = setting("processes", "Workers are 'processes' of this machine, or 'ray' workers.")
    seed: int = setting(0, "Seed of everything that is drawn.", low=0, high=SEEDS - 1)
    as_json: bool = setting(False, "As JSON on standard output.", "--json")


@dataclass(frozen=True, kw_only=True)
class SupernetOptions(Settings):
    """The network in which schemes are tried, and how it is trained."""

    PANEL = "Supernet"

    gate: str = setting("dia", "A name of `sightline gates list`.")
    share: str = setting("stage", "Which blocks share one gate: stage, block or width.")
    reduction: int | None = setting(None, "Reduction of the gate's inner width.", low=1)
    supernet: Path | None = setting(None, "Weights of a trained supernet; trained and kept beside the log if none.")
    epochs: int = setting(10, "Passes of the supernet's training.", low=0)
    lr: float = setting(0.05, "Learning rate of that training, at its start.", above=0)
    batch_size: int = setting(32, "Photos that go through the network together.", low=2)


def search(model: ModelOptions, net: SupernetOptions, options: SearchOptions) -> None:
    """Search which blocks deserve a gate: train a supernet under random masks, then try schemes in it."""
    from sightline.common.files import check_ours, write_sealed
    from sightline.models.load import default_model
    from sightline.tasks.gate_search.job import Job
    from sightline.tasks.gate_search.report import page_of, search_page
    from sightline.tasks.gate_search.searchers import SEARCHERS

    one_of(options.executor, EXECUTORS, option="--executor")
    one_of(options.searcher, tuple(SEARCHERS), option="--searcher")
    log = options.log
    name = default_model(model.model, model.weights)
    job = Job(
        folder=options.data, model=name, weights=model.weights, model_args=tuple(model.model_args.items()),
        gate=net.gate, share=net.share, reduction=net.reduction, photos=options.photos,
        recalibrate=options.recalibrate, batch=net.batch_size, seed=options.seed, device=device_of(model.device),
        supernet=net.supernet or log.with_name(f"{log.stem}.supernet.safetensors"),
    )  # fmt: skip
    page = page_of(log)
    check_ours(page)
    make_supernet(job, epochs=net.epochs, rate=net.lr)
    result = run_search(job, options)
    write_sealed(page, search_page(result, _facts(job, options)))
    tell(result, as_json=options.as_json, log=log, files={"supernet": job.supernet, "page": page})


def _facts(job: Job, options: SearchOptions) -> dict[str, str]:
    """What the page says of the search beside its result."""
    return {
        "model": job.model or "", "gate": f"{job.gate}, shared by {job.share}", "data": job.folder.name,
        "searcher": options.searcher, "photos for each evaluation": str(job.photos), "seed": str(job.seed),
    }  # fmt: skip


def make_supernet(job: Job, *, epochs: int, rate: float) -> None:
    """Train the supernet and keep it beside the log, unless it is there."""
    from sightline.common.files import with_parents
    from sightline.common.runs import locked
    from sightline.errors import GateError

    supernet, cure = job.supernet, "give another --supernet"
    with with_parents(supernet, error=GateError), locked(supernet, error=GateError, cure=cure):
        if job.supernet.is_file():
            say_note(f"the supernet of {str(job.supernet)!r} is taken")
        else:
            _train_and_keep(job, epochs=epochs, rate=rate)
            say_note(f"the supernet is kept in {str(job.supernet)!r}")


def _train_and_keep(job: Job, *, epochs: int, rate: float) -> None:
    from sightline.tasks.gate_search.job import keep_supernet, read_classes, train_supernet

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
    keep_supernet(job, loaded, train.classes)


def run_search(job: Job, options: SearchOptions) -> SearchResult:
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
    with progress() as bar, _evaluate(job.score, options.workers, options.executor) as evaluate:
        task = bar.add_task("evaluating schemes", total=options.budget)
        try:
            return seek(
                None,
                lengths,
                searcher=options.searcher,
                budget=options.budget,
                sparsity=options.sparsity,
                seed=job.seed,
                log=options.log,
                about=about,
                evaluate=evaluate,
                step=lambda trial: bar.update(task, advance=1),
                **arguments_of(options.option),
            )
        except KeyboardInterrupt:
            say_note(f"what was evaluated is in {str(options.log)!r}; the same command goes on from there")
            raise


@contextmanager
def _evaluate(make_score: Callable[[], Any], workers: int, executor: str) -> Iterator[Evaluate]:
    from sightline.tasks.gate_search.executors import in_process, processes, ray_workers

    if workers == 0:
        yield in_process(make_score())
        return
    with (ray_workers if executor == "ray" else processes)(make_score, workers) as evaluate:
        yield evaluate


def _signed(value: float) -> str:
    """A change, or nothing where it was not measured."""
    return f"{value:+.4f}" if math.isfinite(value) else ""


def tell(result: SearchResult, *, as_json: bool, log: Path, files: Mapping[str, Path]) -> None:
    """The best scheme, the front and what each block adds."""
    if as_json:
        say_json({**result.record(), "log": str(log), **{name: str(path) for name, path in files.items()}})
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
            for trial in result.front
        ),
        title="accuracy for each density: what nothing sparser beats",
    )
    say_table(
        (">stage", ">block", ">adds", ">low", ">high", "verdict"),
        (
            (effect.stage, effect.block, *map(_signed, (effect.mean, effect.low, effect.high)), effect.words)
            for effect in result.effects()
        ),
        title="what each block's gate adds to the accuracy, with 95 % intervals over the evaluated schemes",
    )
    best = result.best
    say_note(
        f"best: {best.scheme} ({best.score:.4f} at density {best.scheme.density:.2f}); {len(result.trials)} "
        f"evaluations, {result.repeats} repeats, {result.replayed} of them from the log {str(log)!r}"
    )
    say(str(files["page"]))
