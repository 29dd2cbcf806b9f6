"""LSTM in the convention of Kratzert et al. (2019)."""

import torch

from dmg.nn import Inputs, PlainLstm
from tests.nn.test_networks import inputs


def test_is_an_lstm_on_forcings_and_attributes() -> None:
    torch.manual_seed(0)
    net = PlainLstm(3, 2, 1, 0, hidden_size=5).eval()
    peer = torch.nn.LSTM(5, 5)
    with torch.no_grad():
        peer.weight_ih_l0.copy_(net.weight_ih)
        peer.weight_hh_l0.copy_(net.weight_hh)
        peer.bias_ih_l0.copy_(net.bias)
        peer.bias_hh_l0.zero_()
    forcing, attributes = inputs(), torch.randn(inputs().shape[1], 2)
    repeated = attributes.expand(len(forcing), -1, -1)
    expected = net.dynamic_head(peer(torch.cat([forcing, repeated], dim=-1))[0])
    torch.testing.assert_close(net(Inputs(forcing, attributes))[0].dynamic, expected)


def test_first_weights_are_the_published_ones() -> None:
    net = PlainLstm(3, 2, 1, 0, hidden_size=4, forget_bias=5.0)
    assert net.bias.tolist() == [0.0] * 4 + [5.0] * 4 + [0.0] * 8
    torch.testing.assert_close(net.weight_ih.T @ net.weight_ih, torch.eye(5))
    assert torch.equal(net.weight_hh, torch.eye(4).repeat(4, 1))


def test_dropout_differs_by_window_and_follows_it() -> None:
    torch.manual_seed(0)
    net = PlainLstm(3, 0, 8, 0, hidden_size=8, dropout=0.5)
    same = inputs()[:, :1].expand(-1, 4, -1)
    attributes = torch.zeros(4, 0)
    whole = net(Inputs(same, attributes, seed=5, rows=torch.arange(4)), last_only=True)[0].dynamic
    assert not torch.equal(whole[0, 0], whole[0, 1])
    for rows in (slice(2, 4), slice(0, 1), slice(1, 3)):  # as processes or pieces divide a batch
        part = Inputs(same[:, rows], attributes[rows], seed=5, rows=torch.arange(4)[rows])
        torch.testing.assert_close(net(part, last_only=True)[0].dynamic, whole[:, rows])
