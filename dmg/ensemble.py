"""Several coupled models side by side on one batch.

Shape legend: T time, B basins, M models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from dmg.batch import Batch
from dmg.delta import DeltaModel, Output, State
from dmg.nn import Inputs, Network, NetworkState
from dmg.normalizer import Normalizer
from dmg.parameters import Parameter


class Ensemble(nn.Module):
    """Models whose fluxes are averaged, with equal or learned weights that sum to one.

    States and static parameters are those of the models; names of parameters begin with the
    model's (`hbv_1_0.FC`).

    Parameters
    ----------
    models
        Coupled models by name.
    weights
        Network with one score per model, dynamic or static: weights are their softmax; none: all
        models weigh the same.
    normalizer
        Statistics of what that network reads.

    Raises
    ------
    ValueError
        If there is no model, or another number of scores than models.
    """

    def __init__(
        self,
        models: Mapping[str, DeltaModel],
        weights: Network | None = None,
        normalizer: Normalizer | None = None,
    ) -> None:
        super().__init__()
        if not models:
            raise ValueError("an ensemble needs at least one model, found none")
        self.names = tuple(models)
        self.models = nn.ModuleList(models.values())
        self.weights = weights
        self.normalizer = normalizer or Normalizer()
        self._check_scores()

    def forward(self, batch: Batch, state: State | None = None) -> Output:
        """Simulate a batch with every model: see `DeltaModel.forward`."""
        state = state or State()
        weights, memory = self._weights(self.normalizer.inputs(batch), state.nn)
        if weights.shape[1] > 1:
            weights = weights[:, batch.warmup :]
        outputs = {n: m(batch, _part(state, n)) for n, m in self._named()}
        fluxes = {
            name: (torch.stack([o.fluxes[name] for o in outputs.values()]) * weights).sum(0)
            for name in self.outputs
        }
        states = {name: output.state for name, output in outputs.items()}
        time = batch.time + batch.num_steps
        return Output(fluxes, State(phy=states, nn=memory, static=_joined(states), time=time))

    def resolve(self, batch: Batch, state: State | None = None) -> State:
        """Resolve the static parameters of every model: see `DeltaModel.resolve`."""
        state = state or State()
        states = {n: m.resolve(batch, _part(state, n)) for n, m in self._named()}
        return State(phy=states, static=_joined(states))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Fluxes to return, which every model has."""
        return tuple(self._named()[0][1].outputs)

    @outputs.setter
    def outputs(self, names: Sequence[str]) -> None:
        for _, model in self._named():
            model.outputs = tuple(names)

    @property
    def constants(self) -> dict[str, tuple[Parameter, int | None]]:
        """Static parameters of all models: see `DeltaModel.constants`."""
        return {f"{n}.{p}": c for n, m in self._named() for p, c in m.constants.items()}

    def _named(self) -> list[tuple[str, DeltaModel]]:
        models: list[DeltaModel] = list(self.models)  # type: ignore[arg-type]
        return list(zip(self.names, models, strict=True))

    def _weights(self, inputs: Inputs, state: NetworkState) -> tuple[Tensor, NetworkState]:
        """Weights `[M, T, B]` or `[M, 1, B]`, and the memory of their network."""
        if self.weights is None:
            return inputs.forcing.new_full((len(self.names), 1, 1), 1 / len(self.names)), ()
        scores, memory = self.weights(inputs, state)
        raw = scores.dynamic if self.weights.num_dynamic else scores.static.unsqueeze(0)
        return torch.softmax(raw, dim=-1).movedim(-1, 0), memory

    def _check_scores(self) -> None:
        if self.weights is None:
            return
        found, need = {self.weights.num_dynamic, self.weights.num_static}, {0, len(self.names)}
        if found != need:
            raise ValueError(
                f"weights of {len(self.names)} models need as many scores, dynamic or static, found"
                f" {self.weights.num_dynamic} and {self.weights.num_static}"
            )


def _part(state: State, name: str) -> State:
    """State of one model."""
    own: State = (state.phy or {}).get(name, State())
    if state.static is None:
        return own
    prefix = f"{name}."
    static = {n.removeprefix(prefix): v for n, v in state.static.items() if n.startswith(prefix)}
    return own._replace(static=static)


def _joined(states: Mapping[str, State]) -> dict[str, Tensor]:
    return {f"{n}.{p}": v for n, s in states.items() for p, v in (s.static or {}).items()}
