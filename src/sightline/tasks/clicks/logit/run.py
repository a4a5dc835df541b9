"""The work behind `sightline logit`: read the table, estimate, write the page into a folder."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.common.files import write_text
from sightline.errors import DataError
from sightline.tasks.clicks.logit.model import Design
from sightline.tasks.clicks.logit.page import study_page
from sightline.tasks.clicks.logit.reading import read_long, read_wide
from sightline.tasks.clicks.logit.study import ChoiceStudy, study_of
from sightline.tasks.clicks.logit.table import ChoiceTable
from sightline.terminal.folder import whole_folder, write_summary

if TYPE_CHECKING:
    from sightline.tasks.clicks.logit.command import TableOptions, UtilityOptions

RULE = re.compile(r"\s*(?P<name>[^=:\s]+)\s*(:(?P<own>[^=]+?))?\s*=\s*(?P<formula>.+)", re.DOTALL)
"""`NAME = FORMULA`, or `NAME:A,B = FORMULA`."""


def study_table(
    path: Path,
    columns: TableOptions,
    utility: UtilityOptions,
    rules: Sequence[str],
    out: Path,
    command: str,
) -> tuple[ChoiceStudy, dict[str, Any]]:
    """Estimate a logit on a table of choices, and write its page.

    Args:
        path: the table.
        columns: what its columns are.
        utility: what the utility is made of.
        rules: attributes, as `NAME = FORMULA`.
        out: folder of the result.
        command: the command line, for the page.

    Raises:
        DataError: the table cannot be read, or does not determine the part-worths.
        ResultError: the page cannot be written.
    """
    table = long_table(path, columns, rules) if columns.case else wide_table(path, columns, rules)
    generic = utility.generic
    if not columns.case and not generic:
        names = dict.fromkeys(parsed(rule)[0] for rule in rules)
        generic = tuple(name for name in names if name not in utility.specific)
    if not (generic or utility.specific or utility.of_person or utility.constants):
        raise DataError("the utility has no part: name attributes with --generic or --specific")
    if utility.reference:
        table.place(utility.reference)
    design = Design.of(
        table,
        generic=generic,
        case=utility.of_person,
        specific=utility.specific,
        constants=utility.constants,
        reference=utility.reference,
    )
    study = study_of(design, (*generic, *utility.specific), utility.cost)
    record = study.record()
    with whole_folder(out) as folder:
        write_text(folder / "page.html", study_page(study, f"Choices of {path.name}", command))
        write_summary(folder, {**record, "files": ["page.html"]})
    return study, record


def parsed(rule: str) -> tuple[str, tuple[str, ...], str]:
    """Name, alternatives (none for all) and formula of a rule.

    Raises:
        DataError: it is not `NAME = FORMULA`.
    """
    match = RULE.fullmatch(rule)
    if match is None:
        raise DataError(f"--attribute {rule!r} is not NAME = FORMULA; write it as 'time = {{}}_TT / 100'")
    own = tuple(part.strip() for part in (match["own"] or "").split(",") if part.strip())
    return match["name"], own, match["formula"].strip()


def wide_table(path: Path, columns: TableOptions, rules: Sequence[str]) -> ChoiceTable:
    """A table with a row for each choice.

    Raises:
        DataError: it cannot be read, or an option does not fit it.
    """
    if not columns.alternatives:
        raise DataError(
            "a wide table needs --alternatives with the codes of the column of choices, such as train=1,car=3; a "
            "long table needs --case, the column that is the same for all rows of one choice"
        )
    codes = {name: code or name for name, _, code in (text.partition("=") for text in columns.alternatives)}
    return read_wide(
        path,
        choice=columns.choice,
        alternatives=codes,
        attributes=attributes_of(rules, tuple(codes)),
        available={name: columns.available.replace("{}", name) for name in codes} if columns.available else None,
        keep=columns.where,
        group=columns.person,
    )


def attributes_of(rules: Sequence[str], names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """For each attribute the formula of each alternative; a later rule replaces an earlier one.

    Raises:
        DataError: a rule names an alternative that there is not.
    """
    attributes: dict[str, dict[str, str]] = {}
    for rule in rules:
        name, own, formula = parsed(rule)
        for alternative in own or names:
            if alternative not in names:
                raise DataError(
                    f"--attribute {rule!r} is for {alternative!r}, which is none of the alternatives "
                    f"{', '.join(names)}"
                )
            attributes.setdefault(name, {})[alternative] = formula.replace("{}", alternative)
    return attributes


def long_table(path: Path, columns: TableOptions, rules: Sequence[str]) -> ChoiceTable:
    """A table with a row for each alternative of each choice.

    Raises:
        DataError: it cannot be read, or a rule is for some alternatives only.
    """
    formulas = {}
    for rule in rules:
        name, own, formula = parsed(rule)
        formulas[name] = formula
        if own:
            raise DataError(
                f"--attribute {rule!r} is for some alternatives, which only a wide table needs; leave them out"
            )
    return read_long(
        path,
        case=columns.case,
        alternative=columns.alternative,
        choice=columns.choice,
        alternatives=tuple(text.partition("=")[0] for text in columns.alternatives),
        formulas=formulas,
        keep=columns.where,
        group=columns.person,
        available=columns.available,
    )
