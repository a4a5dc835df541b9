"""The multinomial logit equals published estimates, and refuses tables that cannot be right."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from scipy.optimize import minimize
from scipy.special import logsumexp
from typer.testing import CliRunner

from sightline.cli.app import app
from sightline.errors import DataError
from sightline.tasks.clicks.logit.model import Design, Fit, estimate, shares
from sightline.tasks.clicks.logit.reading import read_long, read_wide
from sightline.tasks.clicks.logit.table import ChoiceTable
from sightline.tasks.clicks.logit.tools import elasticities, iia_test, willingness_to_pay
from sightline.tasks.clicks.network.choice import choice_loss

SWISSMETRO = {
    "constant:car": (-0.154633, 0.0432, 0.0582),
    "constant:train": (-0.701187, 0.0549, 0.0826),
    "cost": (-1.08379, 0.0518, 0.0682),
    "time": (-1.27786, 0.0569, 0.104),
}
"""Biogeme's logit example `01logit`: estimates, standard errors and robust ones; its log likelihood is -5331.252."""
MODE_CANADA = {
    "cost": (-0.0333389, 0.0070955),
    "freq": (0.0925297, 0.0050976),
    "ovt": (-0.0430036, 0.0032247),
    "constant:bus": (0.6983381, 1.2802466),
    "constant:car": (1.8441129, 0.7085089),
    "constant:train": (3.2741952, 0.6244152),
    "income:bus": (-0.0890867, 0.0183471),
    "income:car": (-0.0279930, 0.0038726),
    "income:train": (-0.0381466, 0.0040831),
    "ivt:air": (0.0595097, 0.0100727),
    "ivt:bus": (-0.0067835, 0.0044334),
    "ivt:car": (-0.0064603, 0.0018985),
    "ivt:train": (-0.0014504, 0.0011875),
}
"""Estimates and standard errors of R's mlogit, `mlogit(choice ~ cost + freq + ovt | income | ivt, reflevel = "air")`
on cases with four alternatives, from its printed summary in the tutorial of the package torch-choice ("Conditional
logit model on ModeCanada"), read on 2026-11-28. The same summary has a log likelihood of -1874.3, an R2 of 0.35443
and a likelihood ratio of 2058.1. mlogit stops one Newton step early: its constants differ in the fifth digit. The
same summary stands in lecture notes of another author with train as the reference, which is the same model."""


def swissmetro(pack: Path) -> ChoiceTable:
    return read_wide(
        pack / "clicks/choice/swissmetro.csv.gz",
        choice="CHOICE",
        alternatives={"train": "1", "metro": "2", "car": "3"},
        attributes={
            "TT": {"train": "TRAIN_TT", "metro": "SM_TT", "car": "CAR_TT"},
            "CO": {"train": "TRAIN_CO", "metro": "SM_CO", "car": "CAR_CO"},
        },
        available={"train": "TRAIN_AV", "metro": "SM_AV", "car": "CAR_AV"},
        keep=lambda own: np.isin(own["PURPOSE"], (1, 3)) & (own["CHOICE"] != 0),
    )


@pytest.fixture(scope="module")
def metro(pack: Path) -> Fit:
    table = swissmetro(pack)
    cost = table.column("CO") / 100
    cost[:, :2] *= table.column("GA")[:, :2] == 0  # a season ticket covers train and Swissmetro
    constants = {f"constant:{name}": np.zeros(cost.shape) for name in ("car", "train")}
    for name, own in constants.items():
        own[:, table.alternatives.index(name.partition(":")[2])] = 1
    return estimate(Design.from_columns(table, {**constants, "cost": cost, "time": table.column("TT") / 100}))


def test_swissmetro_s_published_estimates_are_met_to_four_digits(metro: Fit) -> None:
    assert len(metro.design.table) == 6_768
    assert metro.log_likelihood == pytest.approx(-5331.252, abs=5e-4)
    for name, value, error, robust in metro.rows():
        published = SWISSMETRO[name]
        assert value == pytest.approx(published[0], rel=5e-5)
        assert (error, robust) == pytest.approx(published[1:], rel=6e-3)  # published to three digits


@pytest.fixture(scope="module")
def canada(pack: Path) -> Fit:
    table = read_long(
        pack / "clicks/choice/ModeCanada.csv.gz",
        case="case",
        alternative="alt",
        choice="choice",
        alternatives=("air", "bus", "car", "train"),
    )
    four = table.where(np.nanmax(table.column("noalt"), 1) == 4)
    return estimate(Design.of(four, generic=("cost", "freq", "ovt"), case=("income",), specific=("ivt",)))


def test_mode_canada_s_published_estimates_are_met_to_four_digits(canada: Fit) -> None:
    assert len(canada.design.table) == 2_779
    assert canada.log_likelihood == pytest.approx(-1874.3, abs=0.05)
    for name, value, error, _ in canada.rows():
        assert (value, error) == pytest.approx(MODE_CANADA[name], rel=6e-5)


def test_another_reading_and_another_optimiser_end_at_the_same_estimates(canada: Fit, pack: Path) -> None:
    """The table by `csv`, the likelihood by its equation, BFGS of scipy: nothing of ours but the names."""
    with gzip.open(pack / "clicks/choice/ModeCanada.csv.gz", "rt") as file:
        lines = [row for row in csv.DictReader(file) if float(row["noalt"]) == 4]
    cases = sorted({row["case"] for row in lines})
    place = {case: number for number, case in enumerate(cases)}
    x, chosen = np.zeros((len(cases), 4, len(canada.design.names))), np.zeros(len(cases), int)
    for row in lines:
        own, at = ("air", "bus", "car", "train").index(row["alt"]), place[row["case"]]
        for number, name in enumerate(canada.design.names):
            column, _, alternative = name.partition(":")
            cell = 1.0 if column == "constant" else float(row[column])
            x[at, own, number] = cell if alternative in ("", row["alt"]) else 0.0
        if float(row["choice"]) == 1:
            chosen[at] = own
    scale = np.abs(x).max((0, 1))

    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        utilities = x @ (beta / scale)
        likely = np.exp(utilities - logsumexp(utilities, 1, keepdims=True))
        rows = np.arange(len(chosen))
        gradient = (np.einsum("na,nak->k", likely, x) - x[rows, chosen].sum(0)) / scale
        return -float(np.log(likely[rows, chosen]).sum()), gradient

    own = minimize(loss, np.zeros(len(scale)), jac=True, method="BFGS", options={"gtol": 1e-3})
    assert own.x / scale == pytest.approx(canada.coefficients, rel=1e-4)
    assert -own.fun == pytest.approx(canada.log_likelihood, abs=1e-6)


def test_its_likelihood_is_that_of_the_networks_choice(metro: Fit) -> None:
    design = metro.design
    utilities = torch.from_numpy(design.x @ metro.coefficients)
    loss = choice_loss(utilities, torch.from_numpy(design.table.chosen), torch.from_numpy(design.table.available))
    assert -float(loss) * len(design.table) == pytest.approx(metro.log_likelihood, rel=1e-12)


def test_errors_are_the_inverse_of_the_automatic_hessian(canada: Fit) -> None:
    design = canada.design
    x, chosen = torch.from_numpy(design.x), torch.from_numpy(design.table.chosen)

    def loss(beta: torch.Tensor) -> torch.Tensor:
        return choice_loss(x @ beta, chosen) * len(chosen)

    hessian = torch.autograd.functional.hessian(loss, torch.from_numpy(canada.coefficients))
    errors = torch.linalg.inv(hessian).diagonal().sqrt().numpy()
    assert canada.errors == pytest.approx(errors, rel=1e-8)


def test_willingness_to_pay_is_a_ratio_with_an_error_by_the_delta_method(metro: Fit) -> None:
    worth = willingness_to_pay(metro, "time", "cost")
    assert worth.value == pytest.approx(-1.27786 / -1.08379, rel=1e-4)
    draw = np.random.default_rng(0)
    sample = draw.multivariate_normal(metro.coefficients, metro.covariance, 40_000)
    names = list(metro.design.names)
    ratios = sample[:, names.index("time")] / sample[:, names.index("cost")]
    assert worth.error == pytest.approx(ratios.std(), rel=0.03)
    assert worth.robust > worth.error


def test_elasticities_are_what_a_small_change_does(metro: Fit) -> None:
    design, place = metro.design, metro.design.names.index("time")
    before, table = metro.shares.sum(0), elasticities(metro, "time")
    for other in range(3):
        x = design.x.copy()
        x[:, other, place] *= 1 + 1e-5
        after = shares(metro.coefficients, Design(design.names, x, design.table)).sum(0)
        assert table[:, other] == pytest.approx((after / before - 1) / 1e-5, abs=1e-4)
    assert (np.diag(table) < 0).all()


def logit(*words: str) -> Result:
    return CliRunner().invoke(app, ["logit", *words])


def test_the_command_line_gives_the_published_estimates_of_a_wide_table(pack: Path, tmp_path: Path) -> None:
    words = (
        *("--choice", "CHOICE", "--alternatives", "TRAIN=1,SM=2,CAR=3", "--reference", "SM", "--cost", "cost"),
        *(
            "--where",
            "PURPOSE IN (1, 3) AND CHOICE <> 0",
            "--available",
            "{}_AV",
            "--attribute",
            "time = {}_TT / 100",
        ),
        *("--attribute", "cost = {}_CO / 100", "--out", str(tmp_path / "out"), "--json", "--attribute"),
        "cost:TRAIN,SM = CASE WHEN GA = 1 THEN 0 ELSE {}_CO / 100 END",
    )
    result = logit(str(pack / "clicks/choice/swissmetro.csv.gz"), *words)
    record = json.loads(result.stdout)
    own = {name.lower(): part for name, part in record["part_worths"].items()}
    for name, (value, error, robust) in SWISSMETRO.items():
        assert own[name]["value"] == pytest.approx(value, rel=5e-5)
        assert (own[name]["error"], own[name]["robust_error"]) == pytest.approx((error, robust), rel=6e-3)
    assert record["willingness_to_pay"]["time"]["value"] == pytest.approx(1.17907, rel=1e-4)
    assert record["alarm"].startswith("Without SM or CAR")  # known: cross-nested models fit these choices better
    assert "Do the ratios hold?" in (tmp_path / "out" / "page.html").read_text()


def test_the_command_line_gives_the_published_estimates_of_a_long_table(pack: Path, tmp_path: Path) -> None:
    words = (
        *("--case", "case", "--where", "noalt = 4", "--alternatives", "air,bus,car,train", "--of-person", "income"),
        *("--generic", "cost,freq,ovt", "--specific", "ivt", "--out", str(tmp_path / "out")),
    )
    result = logit(str(pack / "clicks/choice/ModeCanada.csv.gz"), *words)
    assert "Log likelihood -1874.343; the shares alone have -2903.377" in result.stdout
    record = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert record["rho_squared_shares"] == pytest.approx(0.35443, abs=5e-6)
    assert 2 * (record["log_likelihood"] - record["log_likelihood_shares"]) == pytest.approx(2058.1, abs=0.05)
    assert record["elasticities"]["ivt"]["bus"]["bus"] == pytest.approx(-1.256, abs=1e-3)
    assert len(record["iia"]) == 4


def test_the_test_of_ratios_without_the_reference_compares_what_keeps_its_meaning() -> None:
    fit = estimate(Design.of(worlds(True), generic=("x",)))
    assert [iia_test(fit, name).freedom for name in "abc"] == [1, 2, 2]
    assert iia_test(fit, "a").p_value is None or iia_test(fit, "a").p_value > 0.01


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "a wide table needs --alternatives"),
        (("--alternatives", "a=1"), "pick is 2, which is none of the alternatives a (1)"),
        (("--alternatives", "a=1,b=2", "--attribute", "cost"), "is not NAME = FORMULA"),
        (("--alternatives", "a=1,b=2", "--attribute", "cost = c{} +"), "cannot be computed"),
        (("--alternatives", "a=1,b=2", "--attribute", "cost = cost_{}"), "has no column 'cost_a'"),
        (
            ("--alternatives", "a=1,b=2", "--attribute", "cost:z = c{}"),
            "is for 'z', which is none of the alternatives",
        ),
        (("--alternatives", "a=1,b=2", "--where", "pick > 7"), "no row of the table"),
        (("--alternatives", "a=1,b=2", "--available", "v{}"), "line 4: b was chosen, but was not available"),
        (("--alternatives", "a=1,b=2", "--no-constants"), "the utility has no part"),
        (("--alternatives", "a=1,b=2", "--cost", "ca"), "--cost 'ca' is not a coefficient"),
        (("--alternatives", "a=1,b=2", "--reference", "c"), "there is no alternative 'c'"),
        (("--case", "pick", "--attribute", "x:a = ca"), "which only a wide table needs"),
    ],
)
def test_options_that_do_not_fit_a_table_are_answered(words: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "trips.csv"
    path.write_text("pick,ca,cb,va,vb\n1,2,3,1,1\n\n2,2,3,1,0\n1,4,1,1,1\n2,4,1,1,1\n")
    result = logit(str(path), "--choice", "pick", *words, "--out", str(tmp_path / "out"))
    assert result.exit_code == 1
    assert sentence in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


def worlds(iia: bool) -> ChoiceTable:
    """Choices among three; where ratios do not hold, two of them share a taste."""
    draw = np.random.default_rng(1)
    x = draw.normal(size=(6_000, 3))
    shared = 0 if iia else 3 * draw.normal(size=(6_000, 1)) * np.array([0, 1, 1])
    utility = x + shared + draw.gumbel(size=x.shape)
    can = np.ones(x.shape, bool)
    return ChoiceTable(("a", "b", "c"), {"x": x}, can, utility.argmax(1), np.arange(6_000))


def test_ratios_that_hold_are_not_rejected_and_others_are() -> None:
    for iia in (True, False):
        fit = estimate(Design.of(worlds(iia), generic=("x",)))
        result = iia_test(fit, "c")
        assert result.p_value is None or (result.p_value > 0.01) == iia
    with pytest.raises(DataError, match="no alternative 'd'"):
        iia_test(fit, "d")


def test_a_coefficient_that_nothing_determines_is_named() -> None:
    table = worlds(True)
    table.columns["twice"] = 2 * table.columns["x"]
    with pytest.raises(DataError, match=r"do not determine the coefficients of x, twice"):
        estimate(Design.of(table, generic=("x", "twice"), constants=False))
    table.columns["hole"] = np.where(table.columns["x"] > 2, np.nan, 1.0)
    with pytest.raises(DataError, match="'hole' is missing for an alternative that is available"):
        Design.of(table, generic=("hole",))


def wide(path: Path, text: str) -> ChoiceTable:
    path.write_text(text)
    names = {"a": "1", "b": "2"}
    return read_wide(
        path,
        choice="pick",
        alternatives=names,
        attributes={"cost": {"a": "ca", "b": "cb"}},
        available={"a": "va", "b": "vb"},
    )


def test_choices_that_cannot_be_are_refused_with_their_line(tmp_path: Path) -> None:
    head = "pick,ca,cb,va,vb\n1,2,3,1,1\n"
    with pytest.raises(DataError, match="line 3: b was chosen, but was not available"):
        wide(tmp_path / "t.csv", f"{head}2,2,3,1,0\n")
    with pytest.raises(DataError, match=r"line 3: pick is 0, which is none of the alternatives a \(1\), b \(2\)"):
        wide(tmp_path / "t.csv", f"{head}0,2,3,1,1\n")
    path = tmp_path / "long.csv"
    for rows, sentence in (
        ("1,a,1\n1,b,1\n", "line 3: this case chose twice"),
        ("1,a,1\n1,a,0\n", "line 3: this case has a twice"),
        ("1,a,0\n1,b,0\n", "line 2: this case chose nothing"),
    ):
        path.write_text(f"case,alt,choice\n{rows}")
        with pytest.raises(DataError, match=sentence):
            read_long(path, case="case", alternative="alt", choice="choice")
    path.write_text("case,alt,choice,there\n1,a,1,0\n1,b,0,1\n")
    with pytest.raises(DataError, match="line 2: a was chosen, but was not available"):
        read_long(path, case="case", alternative="alt", choice="choice", available="there")
    with pytest.raises(DataError, match="no column 'cases'"):
        read_long(path, case="cases", alternative="alt", choice="choice")
