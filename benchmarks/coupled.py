"""A whole training step, as the field writes it and as `dmg` does.

Both have the weights of one network (an LSTM) and give the same loss. `field` runs the network's
heads on every day, and the loop of `baselines.field`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import baselines
import torch
from torch import Tensor
from training_step import FORCINGS, NUM_ATTRIBUTES, make_batch

from dmg.batch import Batch
from dmg.delta import DeltaModel, parameter_map
from dmg.nn import Lstm
from dmg.normalizer import Normalizer
from dmg.phy import ProcessModel
from dmg.routing import UnitHydrograph

Learns = Literal["none", "network", "all"]


def make_model(
    phy: ProcessModel, learns: Learns, hidden_size: int, num_components: int, bfloat16: bool = False
) -> DeltaModel:
    torch.manual_seed(0)
    routing = UnitHydrograph(15)
    parameters = parameter_map(phy, routing, phy.RECOMMENDED_DYNAMIC, num_components)
    net = Lstm(
        len(FORCINGS), NUM_ATTRIBUTES, parameters.num_dynamic, parameters.num_static,
        hidden_size=hidden_size, dropout=0.5, bfloat16=bfloat16,
    )  # fmt: skip
    normalizer = Normalizer(
        dict.fromkeys(FORCINGS, (1.0, 2.0)), {str(i): (0.0, 1.0) for i in range(NUM_ATTRIBUTES)}
    )
    return DeltaModel(
        net, phy, routing, normalizer=normalizer, parameters=parameters, warmup_gradient=learns
    ).train()  # fmt: skip


def field(model: DeltaModel, batch: Batch) -> Tensor:
    """Streamflow of the scored days; parameters of all days are computed, the last ones kept."""
    net, phy, mapped = model.nn, model.phy_model, model.parameter_map
    assert isinstance(net, Lstm)
    assert phy is not None
    assert net.dynamic_head is not None
    assert net.static_head is not None
    assert model.routing is not None
    forcing = model.normalizer.normalize_forcings(batch.forcing)
    attributes = model.normalizer.normalize_attributes(batch.attributes)
    hidden, _ = net._recur(net._embed(forcing, attributes), (), batch.seed)
    dynamic, static = mapped.dynamic(net.dynamic_head(hidden)), net.static_head(hidden)
    last, state, warmup = mapped.static(static[-1]), None, batch.warmup
    series = {n: batch.forcing[n] for n in phy.forcings}
    if model.warmup_gradient != "all":
        at = mapped.static(static[warmup - 1]) | {n: d[warmup - 1] for n, d in dynamic.items()}
        with torch.no_grad():
            state = _loop(phy, {n: f[:warmup] for n, f in series.items()}, at, None)[1]
        series = {n: f[warmup:] for n, f in series.items()}
        dynamic = {n: d[warmup:] for n, d in dynamic.items()}
    flow = _loop(phy, series, last | dynamic, state)[0]["streamflow"]
    return model.routing(flow, last)[0][warmup - len(batch.forcing[FORCINGS[0]]) :]


def _loop(phy: ProcessModel, forcing: Any, parameters: Any, state: Any) -> baselines.Result:
    own = {n: p for n, p in parameters.items() if n in phy.PARAMETERS}
    like = next(p for p in own.values())
    for name, parameter in phy.PARAMETERS.items():
        if name not in own:
            own[name] = torch.full(like.shape[-2:], parameter.default)
    return baselines.field(phy, forcing, own, state, ["streamflow"])


def steps(
    phy: ProcessModel, learns: Learns, size: tuple[int, int, int, int, int]
) -> dict[str, Callable[[], float]]:
    """Training steps by name, which give their loss: the field, float32, and all options.

    `size`: basins, days (warm-up included), warm-up, components, hidden units.
    """
    basins, days, warmup, components, hidden = size
    batch = make_batch(basins, days, warmup)
    first, same = (make_model(phy, learns, hidden, components) for _ in range(2))
    quick = make_model(phy, "none", hidden, components, bfloat16=True)
    return {
        "field": _step(first, lambda: field(first, batch)),
        "float32": _step(same, lambda: same(batch).fluxes["streamflow"]),
        "options": _step(quick, lambda: quick(batch).fluxes["streamflow"]),
    }


def _step(model: DeltaModel, flow: Callable[[], Tensor]) -> Callable[[], float]:
    optimizer = torch.optim.Adadelta(model.parameters())

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = flow().square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return float(loss.detach())

    return step
