"""EXP-HYDRO against independent numbers, its limits, and published runs."""

import csv
import io
import itertools
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dmg.phy import Trajectory
from dmg.phy.exp_hydro import PARAMETERS, ExpHydro
from dmg.testing import random_parameters, weather
from tests.golden import CASES, forcing_f12

POINT, SMOOTH = CASES["exphydro_euler"], CASES["exphydro_smooth_ode"]
EULER = {"solver": "explicit", "sharp": True}
ADAPTIVE = {"solver": "torchode", "rtol": 1e-8, "atol": 1e-8}


def run(options: dict[str, Any], num_steps: int = 12, **changes: float) -> Trajectory:
    values = POINT["params"] | changes
    parameters = {name: torch.full((1, 1), float(value)) for name, value in values.items()}
    start = ExpHydro.State(*(torch.full((1, 1), float(s)) for s in POINT["initial"]))
    forcing = {n: f[:num_steps] for n, f in forcing_f12().items()}
    return ExpHydro(**options)(forcing, parameters, state=start, backend="eager")


@pytest.mark.parametrize(
    ("case", "options", "theirs", "ours"),
    [
        (POINT, EULER, "Qb", "baseflow"), (POINT, EULER, "Qs", "surface_flow"),
        (POINT, EULER, "ET", "aet"), (SMOOTH, ADAPTIVE, "Q", "streamflow"),
        (SMOOTH, ADAPTIVE, "ET", "aet"),
    ],
)  # fmt: skip
def test_fluxes_agree_with_an_independent_evaluation(
    case: dict, options: dict, theirs: str, ours: str
) -> None:
    found = run(options).fluxes[ours][:, 0, 0]
    expected = torch.tensor(case["outputs"][theirs])
    torch.testing.assert_close(found, expected, rtol=0, atol=case["atol"])


@pytest.mark.parametrize(("case", "options"), [(POINT, EULER), (SMOOTH, ADAPTIVE)])
@pytest.mark.parametrize("day", [1, 5, 10, 12])
def test_stores_agree_with_an_independent_evaluation(case: dict, options: dict, day: int) -> None:
    for name, store in run(options, day).state._asdict().items():
        assert store.item() == pytest.approx(case["outputs"][name][day - 1], abs=case["atol"])


def test_without_decline_the_store_gives_all_it_can() -> None:
    flow = run(EULER, f=0.0, Smax=1000.0).fluxes["baseflow"]
    assert (flow == POINT["params"]["Qmax"]).all()


def test_sharp_switches_are_the_limit_of_smooth_ones() -> None:
    """Far from thresholds both are the same."""
    sharp, smooth = (run({"solver": "explicit", "sharp": s}, num_steps=3) for s in (True, False))
    flow = smooth.fluxes["streamflow"]
    torch.testing.assert_close(flow, sharp.fluxes["streamflow"], rtol=1e-3, atol=0)


def test_smooth_switches_give_the_snow_temperature_a_gradient() -> None:
    def gradient(sharp: bool) -> float:
        parameters = {n: p.requires_grad_() for n, p in random_parameters(ExpHydro(), 3, 2).items()}
        model = ExpHydro(solver="explicit", sharp=sharp)
        out = model(weather(100, 3), parameters, backend="eager")
        out.fluxes["streamflow"][:, 0].sum().backward()
        slope = parameters["Tmin"].grad
        return 0.0 if slope is None else slope.abs().sum().item()

    assert gradient(sharp=True) == 0 < gradient(sharp=False)


@pytest.mark.parametrize("sharp", [False, True])
def test_the_solution_is_good_at_every_corner(sharp: bool) -> None:
    bounds = [(p.lower, p.upper) for p in PARAMETERS.values()]
    corners = torch.tensor(list(itertools.product(*bounds)))
    parameters = dict(zip(PARAMETERS, corners.T.unsqueeze(1), strict=True))
    forcing = weather(80, 1)
    forcing["precipitation"][50] = 500.0
    out = ExpHydro(sharp=sharp)(forcing, parameters, backend="eager")
    assert out.fluxes["residual"].max() < 1e-9


# Published runs: their fluxes are those of an instant, at the stores of the same line.


@pytest.fixture(scope="module")
def archive(real_data_root: Path) -> dict[str, list[dict[str, str]]]:
    with tarfile.open(real_data_root / "exphydro_reference.tar.xz") as files:
        members = [m for m in files.getmembers() if m.name.endswith(".csv")]
        texts = {m.name: files.extractfile(m).read().decode() for m in members}
    return {Path(n).stem: list(csv.DictReader(io.StringIO(t))) for n, t in texts.items()}


def column(rows: list[dict[str, str]], name: str) -> Tensor:
    return torch.tensor([float(row[name]) for row in rows])


@pytest.mark.real
@pytest.mark.parametrize("basin", ["01022500", "06191500", "11264500"])
def test_fluxes_of_published_runs(archive: dict[str, Any], basin: str) -> None:
    """To their floor of 1.2e-7 and the single precision of their forcing."""
    rows = archive[f"{basin}_results_train"]
    values = next(p for p in archive["parameters"] if float(p["basinID"]) == float(basin))
    parameters = {n: torch.tensor(float(values[n])) for n in PARAMETERS}
    T, hours = column(rows, "tmean(c)"), column(rows, "dayl(s)")
    pet = 29.8 * hours * 0.611 * torch.exp(17.3 * T / (T + 237.3)) / (T + 273.2)
    forcing = {"precipitation": column(rows, "prcp(mm/day)"), "temperature": T, "pet": pet}
    state = ExpHydro.State(column(rows, "s_snow"), column(rows, "s_water"))
    (snow, _), (Q, _, _, ET, M) = ExpHydro.rhs(0.0, state, forcing, parameters)
    found = {"q_bucket": Q, "et_bucket": ET, "m_bucket": M, "ps_bucket": snow + M}
    for name, flux in found.items():
        torch.testing.assert_close(flux, column(rows, name), rtol=1e-5, atol=2e-5)
