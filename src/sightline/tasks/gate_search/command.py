"""The work behind `sightline gates search`: train or take a supernet, search, tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.terminal.screen import progress, say_json, say_note, say_table

if TYPE_CHECKING:
    from sightline.tasks.gate_search import Found
    from sightline.tasks.gate_search.executors import Evaluate
    from sightline.tasks.gate_search.job import Job

SPREADS = ("processes", "ray")


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
    from sightline.tasks.gate_search import search

    lengths = plugged(job.build().model).sites.lengths
    digest = hashlib.sha256(job.supernet.read_bytes()).hexdigest()[:16]
    about = {
        "model": job.model, "gate": job.gate, "share": job.share, "supernet": digest,
        "data": str(job.folder.resolve()), "photos": job.photos, "recalibrate": job.recalibrate, "batch": job.batch,
    }  # fmt: skip
    with progress() as bar, _evaluate(job.score, workers, spread) as evaluate:
        task = bar.add_task("evaluating schemes", total=budget)
        try:
            return search(
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
