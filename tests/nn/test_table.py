"""Free scores per basin: rows, sharing, calibration, unseen basins."""

from pathlib import Path

import pytest
import torch

from dmg import build
from dmg.batch import Batch
from dmg.config import Experiment
from dmg.delta import DeltaModel, parameter_map
from dmg.nn import Inputs, Table
from dmg.normalizer import Normalizer
from dmg.phy import MODELS
from dmg.testing import weather
from tests.small import IDS, experiment, write_preprocessed, write_store


def inputs(*rows: int, num_basins: int | None = None) -> Inputs:
    size = num_basins or len(rows)
    return Inputs(torch.zeros(4, size, 1), torch.zeros(size, 0), torch.tensor(rows))


def test_each_basin_has_its_row() -> None:
    net = Table(5, 3)
    scores, state = net(inputs(3, 0, 3))
    assert torch.equal(scores.static, net.scores[[3, 0, 3]])
    assert scores.dynamic.shape == (4, 3, 0)
    assert state == ()
    scores.static[0].sum().backward()
    assert net.scores.grad is not None
    assert net.scores.grad.sum(1).tolist() == [0, 0, 0, 3, 0]


def test_shared_scores_serve_any_basin() -> None:
    scores, _ = Table(None, 3)(inputs(7, 900))
    assert torch.equal(scores.static[0], scores.static[1])


@pytest.mark.parametrize("row", [5, -1])
def test_other_basins_are_refused(row: int) -> None:
    with pytest.raises(ValueError, match="the table has parameters of 5 basins, found row"):
        Table(5, 3)(inputs(row))


def test_rows_are_needed() -> None:
    with pytest.raises(ValueError, match="row of each of 2 basins, found 0 rows"):
        Table(5, 3)(Inputs(torch.zeros(4, 2, 1), torch.zeros(2, 0)))


def test_calibration_finds_the_parameters_of_each_basin() -> None:
    """Two basins that differ in FC alone, from the flow of a known truth."""
    phy, series = MODELS["hbv_1_0"](), weather(300, 2)
    batch = Batch(forcing={n: f.float() for n, f in series.items()},
                  time=torch.zeros(2, dtype=torch.int64), basin=torch.arange(2),
                  attributes=torch.zeros(2, 0))  # fmt: skip
    parameters = parameter_map(phy)
    truth = torch.zeros(2, parameters.num_static)
    truth[:, parameters.static_names.index("FC")] = torch.tensor([-2.0, 1.0])
    model = DeltaModel(Table(2, parameters.num_static), phy, normalizer=Normalizer({}, {}))
    with torch.no_grad():
        model.nn.scores.copy_(truth)
        flow = model(batch).fluxes["streamflow"]
        model.nn.scores.zero_()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        loss = (model(batch).fluxes["streamflow"] - flow).square().mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.01 * flow.var()
    FC = parameters.static(model.nn.scores)["FC"].squeeze()
    assert FC[0] < FC[1] / 2


def tables(num_basins: int = 5) -> Experiment:
    split = {
        "kind": "temporal",
        "train": {"start": "2000-01-01", "end": "2001-03-31"},
        "test": {"start": "2001-04-01", "end": "2002-03-10"},
    }
    return experiment(
        data={"split": split, "basins": IDS[:num_basins]},
        model={"phy": {"name": "hbv_1_0"}, "nn": {"name": "table"}, "num_components": 1},
    )


def test_other_basins_than_the_trained_ones_are_named(tmp_path: Path) -> None:
    store = write_store(tmp_path / "s.zarr")
    preprocessed = write_preprocessed(tables(), store, tmp_path / "p")
    some = {"target_std": dict.fromkeys(IDS[:3], 1.0), "categories": {}}
    with pytest.raises(ValueError, match=f"the 3 basins it was trained on, found {IDS[3]}, which"):
        build.build_loader(tables(), store, preprocessed, some)


def test_held_out_basins_are_a_mistake_of_the_configuration() -> None:
    with pytest.raises(ValueError, match=r"data\.split holds basins out"):
        experiment(model={"nn": {"name": "table"}})
    assert experiment(model={"nn": {"name": "table", "shared": True}}).model.nn.name == "table"
