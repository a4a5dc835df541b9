"""`sightline evaluate`: which method for my model, judged on photos, with controls and intervals."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sightline.common.numbers import SEEDS
from sightline.common.settings import Settings, setting
from sightline.terminal.model import LabelledModelOptions
from sightline.terminal.screen import progress, say, say_json, say_note, say_table

if TYPE_CHECKING:
    from sightline.compare import Answer, Sample
    from sightline.compare import Settings as CompareSettings
    from sightline.models.load import LoadedModel
    from sightline.reports.comparison import Panel

METHODS = "lrp,gradcam,hirescam,layercam,xgradcam,gradcam++,gradxact,eigencam"


@dataclass(frozen=True, kw_only=True)
class JudgeOptions(Settings):
    """What is compared, and by what."""

    PANEL = "What to compare"

    method: tuple[str, ...] = setting((), f"Methods, with commas. Default: {METHODS}.")
    metric: tuple[str, ...] = setting((), "Metrics, with commas. Default: what the data allows.")
    cue: str | None = setting(
        None,
        "For a rendered world: foreground, background or a part; only scenes whose decision is certified to follow "
        "it are judged, and it is what a map must find. Default: what the world's best model must use. 'none' "
        "judges without a certificate.",
    )
    depth: tuple[str, ...] = setting((), "early, middle, late. Default: all three.")
    count: int = setting(32, "Photos, drawn at random.", low=2)
    steps: int = setting(20, "Steps of deletion and insertion.", low=2)
    budget: int | None = setting(None, "Most forwards; fewer photos are drawn to keep it.", low=1)
    seed: int = setting(0, "Seed of everything random.", low=0, high=SEEDS - 1)
    batch_size: int | None = setting(None, "Most rows in one forward.", low=1)
    fused: bool = setting(True, "Forwards through a quicker copy that says the same.", "--fused/--own-model")

    def settings(self, metrics: tuple[str, ...]) -> CompareSettings:
        """The same as `compare` takes it."""
        from sightline.compare import PLACES, Settings, with_controls

        return Settings(
            methods=with_controls(list(self.method) or METHODS.split(",")),
            metrics=metrics,
            places=self.depth or PLACES,
            options={name: {"steps": self.steps} for name in metrics if name in ("deletion", "insertion", "aopc")},
            seed=self.seed,
            batch_size=self.batch_size,
            fused=self.fused,
        )


@dataclass(frozen=True, kw_only=True)
class OutputOptions(Settings):
    """Where the answer is written."""

    PANEL = "What to write"

    out: Path = setting(Path("sightline_comparison"), "Table and page; an unfinished run there is resumed.")
    as_json: bool = setting(False, "The standings as JSON on standard output.", "--json")


def evaluate(
    data: Annotated[
        Path, typer.Argument(help="Photos, a folder in CUB's layout (a rendered world is), or one with COCO's file.")
    ],
    model: LabelledModelOptions,
    options: JudgeOptions,
    output: OutputOptions,
) -> None:
    """Compare explanation methods on a model: all on the same photos, beside explainers that know nothing."""
    from sightline.compare import compare, draw, read_samples, within_budget
    from sightline.compare.judges import judging_of
    from sightline.compare.store import check_folder
    from sightline.models.load import default_model, load_model
    from sightline.terminal.folder import check_writable

    check_writable(output.out)
    check_folder(output.out)
    samples, out = draw(read_samples(data), options.count, options.seed), output.out
    judging, requests = judging_of(data, options.cue), list(options.metric)
    again = judging.metrics(requests) if judging else ()
    metrics = tuple(name for name in requests if name not in again) if requests else _metrics(samples)
    settings = options.settings(metrics)
    more = judging.forwards(settings, again) if judging else 0
    subset = within_budget(samples, settings, options.budget, more=more)
    if len(subset) < len(samples):
        say_note(f"{len(subset)} of {len(samples)} photos keep the budget of {options.budget} forwards")
    drawn = judging is not None or judging_of(data, None) is not None
    name = model.model if drawn else default_model(model.model, model.weights)  # scenes are for the bundled network
    loaded = load_model(name, **model.arguments(), seed=options.seed)
    certified = judging.certificate(loaded, subset, settings, metrics=again, folder=out) if judging else None
    subset = list(certified.samples) if certified else subset
    extra = certified.extra if certified else None
    with progress() as bar:
        task = bar.add_task("judging", total=len(subset))
        answer = compare(
            loaded, subset, settings, folder=out, step=lambda done, _: bar.update(task, completed=done), extra=extra
        )
    certificate = certified.text if certified else "none: what drives the decision was not tested"
    page = _write_page(answer, loaded, subset, settings, out=out, data=data, certificate=certificate)
    _tell(answer, page, out, as_json=output.as_json, certificate=certificate)


def _metrics(samples: list[Sample]) -> tuple[str, ...]:
    from sightline.compare import WITH_LOCATION, WITHOUT_LOCATION

    return WITH_LOCATION if all(sample.located for sample in samples) else WITHOUT_LOCATION


def _write_page(
    answer: Answer,
    loaded: LoadedModel,
    samples: list[Sample],
    settings: CompareSettings,
    *,
    out: Path,
    data: Path,
    certificate: str,
) -> Path:
    from sightline._version import __version__
    from sightline.compare.store import PAGE
    from sightline.reports.comparison import save_comparison

    facts = {
        "model": loaded.name,
        "data": data.name,
        "photos": str(len(samples)),
        "certificate": certificate,
        "intervals": "95 % bootstrap; methods are compared by paired differences, corrected for their number",
        "forwards": answer.forwards,
        "seed": str(settings.seed),
        "sightline": __version__,
    }
    title = f"Which method for {loaded.name}?"
    words = {"title": title, "verdict": answer.verdict, "facts": facts, "wins": answer.wins}
    return save_comparison(_panels(answer), out / PAGE, **words)


def _panels(answer: Answer) -> list[Panel]:
    from sightline.metrics import METRICS as METRIC_SPECS
    from sightline.reports.comparison import Panel

    groups: dict[tuple[str, str], list[Any]] = {}
    for standing in answer.standings:
        groups.setdefault((standing.place, standing.metric), []).append(standing)
    return [
        Panel(
            metric=METRIC_SPECS[metric].title,
            place=place,
            better="higher" if METRIC_SPECS[metric].higher_is_better else "lower",
            cannot=METRIC_SPECS[metric].cannot,
            chance=METRIC_SPECS[metric].chance,
            bars=tuple(_bar(standing) for standing in standings),
        )
        for (place, metric), standings in groups.items()
    ]


def _bar(standing: Any) -> Any:
    from sightline.reports.comparison import Bar

    interval = standing.interval
    mean, low, high = (float("nan"),) * 3 if interval is None else (interval.mean, interval.low, interval.high)
    return Bar(
        method=standing.method,
        mean=mean,
        low=low,
        high=high,
        n=0 if interval is None else interval.n,
        skipped=standing.skipped,
        control=standing.control,
        level=standing.level,
        beats_controls=standing.beats_controls,
    )


def _tell(answer: Answer, page: Path, out: Path, *, as_json: bool, certificate: str) -> None:
    rows = [vars(_bar(s)) | {"metric": s.metric, "place": s.place} for s in answer.standings]
    if as_json:
        wins = {method: {"won": won, "of": total} for method, (won, total) in answer.wins.items()}
        files = [str(page), str(out / "table.parquet")]
        facts = {"verdict": answer.verdict, "forwards": answer.forwards, "certificate": certificate, "wins": wins}
        say_json(facts | {"standings": rows, "files": files})
        return
    columns = ("place", "metric", "method", ">mean", ">low", ">high", ">n", "not scored", "level", "beats controls")
    say_table(columns, [_line(row) for row in rows])
    say(f"certificate: {certificate}")
    say(answer.verdict)
    say(f"{out}: comparison.html, table.parquet")


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    numbers = tuple(f"{row[name]:.3f}" if row["n"] else "-" for name in ("mean", "low", "high"))
    yes = ("yes" if row["level"] else "", "yes" if row["beats_controls"] else "")
    skipped = ", ".join(f"{count} {why}" for why, count in row["skipped"].items())
    return (row["place"], row["metric"], row["method"], *numbers, str(row["n"]), skipped, *yes)
