"""The multinomial logit equals published estimates, and refuses tables that cannot be right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sightline.errors import DataError
from sightline.tasks.clicks.logit.model import Design, Fit, estimate, shares
from sightline.tasks.clicks.logit.table import ChoiceTable, read_long, read_wide
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
    "cost": -0.0333389,
    "freq": 0.0925297,
    "ovt": -0.0430036,
    "constant:bus": 0.6983381,
    "constant:car": 1.8441129,
    "constant:train": 3.2741952,
    "income:bus": -0.0890867,
    "income:car": -0.0279930,
    "income:train": -0.0381466,
    "ivt:air": 0.0595097,
    "ivt:bus": -0.0067835,
    "ivt:car": -0.0064603,
    "ivt:train": -0.0014504,
}
"""mlogit's `choice ~ cost + freq + ovt | income | ivt` on cases with four alternatives; log likelihood -1874.3.

The values of mlogit's vignette as they were remembered; the page was not at hand when this was written."""


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
    assert {name: value for name, value, _, _ in canada.rows()} == pytest.approx(MODE_CANADA, rel=2e-4)


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
    with pytest.raises(DataError, match="no column 'cases'"):
        read_long(path, case="cases", alternative="alt", choice="choice")
