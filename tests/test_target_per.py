"""Flow that a network gives as a share of an attribute, such as the mean precipitation."""

import math

import pytest
import torch

from dmg.batch import Batch
from dmg.build_model import build_normalizer
from dmg.delta import DeltaModel
from dmg.nn import Lstm
from dmg.normalizer import Normalizer
from tests.small import experiment

LSTM = {"phy": None, "nn": {"name": "lstm", "hidden_size": 4}, "num_components": 1}
DATA = {
    "attributes": ["aridity", "p_mean"],
    "split": {
        "kind": "temporal",
        "train": {"start": "2000-01-01", "end": "2001-03-31"},
        "test": {"start": "2001-04-01", "end": "2002-03-10"},
    },
}


def test_flow_is_measured_in_multiples_of_the_attribute_s_mean() -> None:
    torch.manual_seed(0)
    shares = {"aridity": (0.0, 1.0), "p_mean": (2.0, 1.0)}
    network = Lstm(1, 2, 1, 0, hidden_size=4).eval()
    attributes = torch.tensor([[0.0, 2.0], [0.0, 6.0], [0.0, math.nan]])
    batch = Batch(forcing={"rain": torch.rand(5, 3)}, attributes=attributes)
    flows = []
    for target_per in (None, "p_mean"):
        normalizer = Normalizer({"rain": (0.0, 1.0)}, shares, (3.0, 2.0), (), target_per)
        model = DeltaModel(network, None, normalizer=normalizer)
        flows.append(model(batch).fluxes["streamflow"])
    torch.testing.assert_close(flows[1], flows[0] * torch.tensor([1.0, 3.0, 1.0]))


def test_configuration_names_the_attribute() -> None:
    chosen = experiment(data=DATA | {"target_per": "p_mean"}, model=LSTM)
    names = [*chosen.data.forcings, *chosen.data.attributes]
    moments = {name: {"mean": 1.0, "std": 1.0} for name in names}
    statistics = {"forcings": moments, "attributes": moments, "target": moments["aridity"]}
    assert build_normalizer(chosen, statistics).target_per == 1


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="target_per: expected one of attributes, found 'q_mean'"):
        experiment(data=DATA | {"target_per": "q_mean"}, model=LSTM)
    with pytest.raises(ValueError, match=r"data.target_per measures the flow that a network gives"):
        experiment(data=DATA | {"target_per": "p_mean"})
