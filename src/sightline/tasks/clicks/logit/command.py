"""`sightline logit`: part-worths of a table of choices, and what follows from them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sightline.common.settings import Settings, setting
from sightline.terminal.config import command_line
from sightline.terminal.screen import say, say_alarm, say_json

if TYPE_CHECKING:
    from sightline.tasks.clicks.logit.study import ChoiceStudy


@dataclass(frozen=True, kw_only=True)
class TableOptions(Settings):
    """What the columns of the table are."""

    PANEL = "Table"

    choice: str = setting(
        "choice", "Column of the choice: 1 and 0 in a long table, the alternative's code in a wide one."
    )
    case: str = setting("", "Column that is the same for all rows of one choice; it makes the table a long one.")
    alternative: str = setting("alt", "Column of the alternative's name, in a long table.")
    alternatives: tuple[str, ...] = setting(
        (), "Alternatives in their order; in a wide table with their codes: train=1,car=3. Commas."
    )
    available: str = setting(
        "", "Column or formula that is not 0 where an alternative could be chosen; {} is its name. Default: always."
    )
    where: str = setting("", "Condition for the rows that are read, in SQL's words, such as 'PURPOSE IN (1, 3)'.")
    person: str = setting("", "Column of who chose, for robust errors over persons with several choices.")


@dataclass(frozen=True, kw_only=True)
class UtilityOptions(Settings):
    """What the utility is made of."""

    PANEL = "Utility"

    generic: tuple[str, ...] = setting(
        (), "Attributes with one part-worth for all alternatives; commas. Default in a wide table: every attribute."
    )
    specific: tuple[str, ...] = setting((), "Attributes with a part-worth for each alternative; commas.")
    of_person: tuple[str, ...] = setting(
        (), "Columns of who chooses, such as income: a part-worth for each alternative but the reference; commas."
    )
    constants: bool = setting(True, "A constant for each alternative but the reference.")
    reference: str = setting("", "Alternative without a constant. Default: the first.")
    cost: str = setting("", "Attribute that is money, for willingness to pay.")


@dataclass(frozen=True, kw_only=True)
class LogitOutput(Settings):
    """Where the page goes."""

    PANEL = "Output"

    out: Path = setting(Path("logit"), "Folder of the page; page.html and summary.json are written into it.")
    as_json: bool = setting(False, "The figures as JSON on standard output.", "--json")


def logit(
    ctx: typer.Context,
    table: Annotated[Path, typer.Argument(help="Table of choices, long or wide: CSV, TSV or Parquet, also .gz.")],
    columns: TableOptions,
    utility: UtilityOptions,
    output: LogitOutput,
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME = FORMULA in SQL's words; {} is the alternative's name: 'time = {}_TT / 100'. "
            "'cost:train,bus = 0' is for these alternatives alone. Repeat for several.",
            rich_help_panel="Utility",
        ),
    ] = None,
) -> None:
    """Estimate a multinomial logit: part-worths with standard errors, willingness to pay, elasticities, IIA.

    A slate (alternatives, one of which was chosen) is a row of a wide table, or the rows of one case in a long one.
    Alternatives that were not available have the probability 0.
    """
    from sightline.tasks.clicks.logit.run import study_table

    study, record = study_table(table, columns, utility, tuple(attribute or ()), output.out, command_line(ctx))
    if output.as_json:
        say_json(record)
        return
    _show(study)
    say(f"{output.out / 'page.html'} written")


def _show(study: ChoiceStudy) -> None:
    """The figures for people."""
    say(study.verdict)
    say("part-worth, error from the Hessian, robust error, robust z:")
    width = max(len(name) for name in study.fit.design.names)
    for name, *cells in study.part_worths():
        say(f"  {name:<{width}}  {'  '.join(f'{cell:>11}' for cell in cells)}")
    for name, value, error, between in study.pay_rows():
        say(f"willingness to pay for {name}: {value} units of {study.cost} (error {error}; robust 95 %: {between})")
    names = study.fit.design.table.alternatives
    for attribute in study.attributes:
        say(f"elasticity of each share (line) by the {attribute} of {', '.join(names)}:")
        for own, row in zip(names, study.elasticity(attribute).tolist(), strict=True):
            say(f"  {own:<{width}}  {'  '.join(f'{value:>+11.3f}' for value in row)}")
    for without, statistic, freedom, value in study.test_rows():
        say(f"IIA without {without}: statistic {statistic}, {freedom} degrees of freedom, p-value {value}")
    if study.alarm:
        say_alarm(study.alarm)
