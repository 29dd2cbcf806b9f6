"""Parameters as raw scores: sigmoid and bounds as a part of the step."""

import pytest
import torch
from torch import Tensor

from dmg.phy.hbv_1_1p import Hbv11p
from dmg.testing import random_parameters, weather

NAMES = ("BETA", "K0", "BETAET")


def flow(backend: str, raw: dict[str, Tensor], scores: tuple[str, ...]) -> Tensor:
    model = Hbv11p()
    static = random_parameters(model, 3, 4)
    forcing = weather(30, 3)
    dynamic = {n: r if n in scores else model.PARAMETERS[n].value(r) for n, r in raw.items()}
    return model(forcing, static | dynamic, backend=backend, scores=scores).fluxes["streamflow"]


@pytest.mark.parametrize("backend", ["eager", "fused"])
def test_scores_give_what_their_values_give(backend: str) -> None:
    generator = torch.Generator().manual_seed(0)
    raw = {n: torch.randn(30, 3, 4, generator=generator).requires_grad_() for n in NAMES}
    results = [flow(backend, raw, scores) for scores in ((), NAMES)]
    torch.testing.assert_close(*results, rtol=1e-12, atol=1e-14)
    gradients = [torch.autograd.grad(r.square().sum(), [*raw.values()]) for r in results]
    for expected, found in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-14)


def test_the_step_of_the_same_scores_is_the_same() -> None:
    model = Hbv11p()
    assert model._step_from(NAMES) is model._step_from(frozenset(NAMES))


def test_scores_of_an_unknown_parameter() -> None:
    model = Hbv11p()
    with pytest.raises(ValueError, match=r"unknown parameter \['GAMMA'\]; choose from"):
        model(weather(3, 2), random_parameters(model, 2, 1), scores=["GAMMA"])
