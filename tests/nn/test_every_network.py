"""What every network promises: causality, independent basins, chunks, seeds, precision."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
import torch
from torch import Tensor

from dmg.nn import (
    EaLstm,
    Encoder,
    Inputs,
    Lstm,
    LstmMlp,
    McLstm,
    Mlp,
    Network,
    PlainLstm,
    Transformer,
)  # fmt: skip
from tests.pretrain_encoder import CONTEXT, export, pretrain

T, B, F, A = 23, 3, 2, 4
SIZES = (F, A, 2, 5)  # two dynamic and five static scores


@cache
def pretrained() -> str:
    """File of a small encoder."""
    return str(export(pretrain(F, steps=3), Path(mkdtemp(prefix="dmg-")) / "encoder.pt2", F))


NETWORKS: dict[str, Callable[..., Network]] = {
    "lstm": lambda **o: Lstm(*SIZES, hidden_size=8, **o),
    "plain_lstm": lambda **o: PlainLstm(*SIZES, hidden_size=8, **o),
    "mlp": lambda **o: Mlp(A, 5, hidden_sizes=(16, 16), **o),
    "lstm_mlp": lambda **o: LstmMlp(*SIZES, hidden_size=8, mlp_hidden_sizes=(8,), **o),
    "ea_lstm": lambda **o: EaLstm(*SIZES, hidden_size=8, **o),
    "mc_lstm": lambda **o: McLstm(F, A, hidden_size=4, mass="rain", **o),
    "transformer": lambda **o: Transformer(
        *SIZES, hidden_size=8, num_heads=2, num_layers=2, context=5, **o
    ),
    "encoder": lambda **o: Encoder(*SIZES, source=pretrained(), context=CONTEXT, frozen=False, **o),
}  # fmt: skip
WITH_DROPOUT = [n for n in NETWORKS if n not in ("mc_lstm", "encoder")]
IN_BFLOAT16 = ["lstm", "plain_lstm", "lstm_mlp", "ea_lstm", "transformer", "encoder"]


def network(name: str, **options: object) -> Network:
    torch.manual_seed(0)
    return NETWORKS[name](**options).double()


def inputs(seed: int = 0) -> Inputs:
    g = torch.Generator().manual_seed(1)
    x = torch.randn(T, B, F, generator=g, dtype=torch.float64)
    a = torch.randn(B, A, generator=g, dtype=torch.float64)
    return Inputs(x, a, torch.arange(B), {"rain": x[..., 0].abs()}, seed, torch.arange(B))


def cut(given: Inputs, days: slice, basins: slice = slice(None)) -> Inputs:
    return given._replace(
        forcing=given.forcing[days, basins], attributes=given.attributes[basins],
        basin=given.basin[basins], rows=given.rows[basins],
        physical={n: f[days, basins] for n, f in given.physical.items()},
    )  # fmt: skip


def both(net: Network, given: Inputs) -> Tensor:
    """Dynamic scores of all steps and static ones, `[B, .]`."""
    scores, _ = net(given)
    return torch.cat([scores.dynamic.transpose(0, 1).flatten(1), scores.static], dim=1)


@pytest.mark.parametrize("name", NETWORKS)
class TestEveryNetwork:
    def test_sizes(self, name: str) -> None:
        net = network(name)
        scores, _ = net(inputs())
        assert scores.dynamic.shape == (T, B, net.num_dynamic)
        assert scores.static.shape == (B, net.num_static)

    @pytest.mark.parametrize("length", [1, 4, 11])
    def test_chunks_equal_whole(self, name: str, length: int) -> None:
        net, given = network(name).eval(), inputs()
        whole, end = net(given)
        dynamic, state = [], ()
        for start in range(0, T, length):
            scores, state = net(cut(given, slice(start, start + length)), state)
            dynamic.append(scores.dynamic)
        torch.testing.assert_close(torch.cat(dynamic), whole.dynamic, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(scores.static, whole.static, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(state, end, rtol=1e-10, atol=1e-12)

    def test_last_only_gives_the_last_step(self, name: str) -> None:
        net, given = network(name).eval(), inputs()
        last, every = net(given, (), True)[0].dynamic, net(given)[0].dynamic
        torch.testing.assert_close(last, every[-1:], rtol=1e-12, atol=1e-14)

    def test_is_causal(self, name: str) -> None:
        net, given = network(name).eval(), inputs()
        later = inputs()
        later.forcing[15:] += 1
        later.physical["rain"][15:] += 1
        before, after = net(given)[0].dynamic, net(later)[0].dynamic
        assert torch.equal(before[:15], after[:15])
        assert not net.num_dynamic or not torch.equal(before[15:], after[15:])

    def test_basins_are_independent(self, name: str) -> None:
        net, given = network(name).train(), inputs()
        one = cut(given, slice(None), slice(1, 2))
        torch.testing.assert_close(both(net, one), both(net, given)[1:2], rtol=1e-12, atol=1e-14)

    def test_every_weight_learns(self, name: str) -> None:
        net = network(name)
        both(net, inputs()).square().sum().backward()
        for name_of, weight in net.named_parameters():
            assert weight.grad is not None, name_of
            assert weight.grad.isfinite().all(), name_of
            assert weight.grad.abs().sum() > 0, name_of


@pytest.mark.parametrize("name", WITH_DROPOUT)
class TestDropout:
    def test_is_a_function_of_the_seed(self, name: str) -> None:
        net = network(name, dropout=0.5)
        torch.manual_seed(1)
        first = both(net, inputs(7))
        torch.manual_seed(2)
        assert torch.equal(both(net, inputs(7)), first)
        assert not torch.equal(both(net, inputs(8)), first)

    def test_is_off_in_evaluation(self, name: str) -> None:
        dropped, plain = network(name, dropout=0.5).eval(), network(name)
        assert torch.equal(both(dropped, inputs(7)), both(plain, inputs(7)))

    def test_does_not_depend_on_the_other_basins(self, name: str) -> None:
        net, given = network(name, dropout=0.5), inputs(3)
        one = both(net, cut(given, slice(None), slice(1, 3)))
        torch.testing.assert_close(both(net, given)[1:], one, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", IN_BFLOAT16)
def test_bfloat16_is_close_and_learns(name: str) -> None:
    given = inputs()
    given = given._replace(forcing=given.forcing.float(), attributes=given.attributes.float())
    exact = both(network(name).float(), given)
    net = network(name, bfloat16=True).float()
    coarse = both(net, given)
    assert coarse.dtype == torch.float32
    assert not torch.equal(coarse, exact)
    torch.testing.assert_close(coarse, exact, rtol=0.05, atol=0.03)
    coarse.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
