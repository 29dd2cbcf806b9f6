"""The gradient of a batch in pieces is that of the whole."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from stubs import NUM_BASINS, StubLoader, StubModel, make_trainer

from dmg.data.sampler import Windows, part
from dmg.gradient import add_gradient
from dmg.losses import LOSSES
from dmg.validation import read
from tests.test_ddp import part as columns
from tests.test_delta import batch, model


def make_loss(name):
    cls = LOSSES[name]
    std = torch.linspace(0.5, 2.0, NUM_BASINS)
    return cls(std) if cls.needs_target_std else cls()


def gradient(name, pieces, dtype=torch.float64):
    """Loss and gradient of one step of the stub model; the first basin has no target."""
    windows = Windows(np.arange(8), np.full(8, 10), np.arange(8), length=60, seed=7)
    read_parts = [read(StubLoader(), part(windows, i, pieces), 5) for i in range(pieces)]
    handler = StubModel(dtype=dtype)
    value, _ = add_gradient(handler, make_loss(name), read_parts, "streamflow")
    gradients = [p.grad.flatten() for p in handler.parameters() if p.grad is not None]
    return torch.cat([value.flatten(), *gradients])


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-13), (torch.float32, 1e-6)])
def test_pieces_give_the_gradient_of_the_whole(name, dtype, limit):
    whole = gradient(name, 1, dtype)
    for pieces in (2, 3, 8):  # with eight, the first one has no target at all
        assert (gradient(name, pieces, dtype) - whole).abs().max() < limit


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_one_piece_gives_the_gradient_of_the_loss(name):
    windows = Windows(np.arange(8), np.full(8, 10), np.arange(8), length=60, seed=7)
    data, handler = read(StubLoader(), windows, 5), StubModel()
    value = make_loss(name)(handler(data).fluxes["streamflow"], data.target[5:], data.basin)
    value.backward()
    expected = [p.grad.flatten() for p in handler.parameters() if p.grad is not None]
    assert torch.equal(gradient(name, 1), torch.cat([value.detach().flatten(), *expected]))


def test_pieces_of_a_coupled_model_with_dropout():
    """Draws depend on the seed and on the windows' positions, so that both passes agree."""

    def of_pieces(*pieces):
        handler = model(dynamic_dropout=0.5).train()
        value, _ = add_gradient(handler, LOSSES["rmse_comb"](), pieces, "streamflow")
        return value, [p.grad for p in handler.parameters()]

    whole = replace(batch(num_basins=4), seed=5, basin=torch.arange(4))
    whole = replace(whole, target=whole.forcing["precipitation"].clone())
    halves = [
        replace(columns(whole, rows), seed=5, basin=whole.basin[rows], target=whole.target[:, rows])
        for rows in (slice(0, 2), slice(2, 4))
    ]
    torch.testing.assert_close(of_pieces(*halves), of_pieces(whole), rtol=1e-9, atol=1e-13)


def test_a_training_in_pieces_ends_with_the_same_weights(tmp_path):
    whole = make_trainer(tmp_path / "whole", steps=20, epochs=1)
    pieces = make_trainer(tmp_path / "pieces", steps=20, epochs=1, accumulate=4)
    whole.fit()
    pieces.fit()
    for name, weight in whole.handler.state_dict().items():
        assert (weight - pieces.handler.state_dict()[name]).abs().max() < 1e-10, name


def test_more_pieces_than_windows_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"at most one for each of the 8 .* train.accumulate"):
        make_trainer(tmp_path, accumulate=9).fit()
