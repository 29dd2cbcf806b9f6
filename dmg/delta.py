"""The coupled model: normaliser, network, parameter map, process model, routing.

Shape legend: T time, B basins (or units), G gauges, E components, D dynamic scores, S static
scores.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from dmg.batch import Batch
from dmg.correction import FLUX, Correction
from dmg.nn import Inputs, Network, NetworkState, NoNetwork, Scores
from dmg.nn.recompute import run
from dmg.normalizer import Normalizer
from dmg.parameters import Parameter, ParameterMap, learned
from dmg.phy import ProcessModel
from dmg.routing import Aggregate, UnitHydrograph


class State(NamedTuple):
    """Everything that a model remembers between two chunks of a stream."""

    phy: Any = None  # storages of the process model, [B, E] each
    routing: Mapping[str, Any] = {}  # water in transit: [K-1, B] of a flux, and `channels`
    nn: NetworkState = ()  # memory of the network
    static: Mapping[str, Tensor] | None = None  # resolved static parameters; None: not resolved
    time: Tensor | None = None  # day after the last step, days since 1970-01-01, [B]
    correction: NetworkState = ()  # memory of the network after the physics


class Output(NamedTuple):
    """Simulated fluxes `[T, B]`, or `[T, G]`, by name, and the state after the last step."""

    fluxes: dict[str, Tensor]
    state: State


class DeltaModel(torch.nn.Module):
    """A network and a process model, trained together like any `nn.Module`.

    Parameters
    ----------
    nn
        Network that gives raw scores (`NamedNetworks`: several); none: all parameters are fixed,
        or given in `State.static`.
    phy_model
        Process model that the scores parameterise; none: the first dynamic score is the
        standardised target itself.
    routing
        Unit hydrograph per basin; none: runoff is not routed.
    aggregate
        From units to gauges, for a batch with a topology; none: their area-weighted mean.
    normalizer
        Statistics of forcings, attributes and target; none: the network reads nothing.
    parameters
        Map from scores to parameters; none: every parameter without default is static, with
        one component.
    warmup_gradient
        What learns from the warm-up steps of a window: "none"; the "network", whose memory passes
        the gradient on; or "all", as if they were scored. But for the last, the warm-up only fills
        the stores, with the parameters of its last step, and runoff is not routed.
    dynamic_dropout
        Chance that a dynamic parameter is held at its last value, for one basin of one training
        step [1].
    outputs
        Fluxes to return.
    correction
        Network after the physics, which corrects the routed streamflow of each basin or unit.

    Raises
    ------
    ValueError
        If the network gives another number of scores than the parameters need.
    """

    def __init__(
        self,
        nn: Network | None,
        phy_model: ProcessModel | None,
        routing: UnitHydrograph | None = None,
        aggregate: Aggregate | None = None,
        *,
        normalizer: Normalizer | None = None,
        parameters: ParameterMap | None = None,
        warmup_gradient: Literal["none", "network", "all"] = "network",
        dynamic_dropout: float = 0.0,
        outputs: Sequence[str] = ("streamflow",),
        correction: Correction | None = None,
    ) -> None:
        super().__init__()
        self.nn: Network = nn or NoNetwork()
        self.phy_model = phy_model
        self.routing = routing
        self.aggregate = aggregate or Aggregate()
        self.correction = correction
        self.normalizer = normalizer or Normalizer()
        self.parameter_map: ParameterMap = parameters or parameter_map(
            phy_model, routing, aggregate=aggregate
        )
        self.warmup_gradient = warmup_gradient
        self.dynamic_dropout = dynamic_dropout
        self.outputs = tuple(outputs)
        self.recompute_days: int | None = None  # kept for the gradient, see `nn.recompute`
        self._check_sizes()

    def forward(self, batch: Batch, state: State | None = None) -> Output:
        """Simulate a batch; the output covers the steps after `batch.warmup`.

        A state goes on where an earlier call ended: chunks then equal the whole. Static
        parameters are those of the state, or, without any, the network's at the last step.
        """
        state = state or State()
        _check_continues(batch, state)
        warmup = batch.warmup
        if warmup and self.warmup_gradient != "all":
            return self._run(batch.slice(warmup), self._warm_up(batch.slice(0, warmup), state))
        output = self._run(batch.slice(0), state)
        fluxes = {name: flux[warmup:] for name, flux in output.fluxes.items()}
        return Output(fluxes, output.state)

    def resolve(self, batch: Batch, state: State | None = None) -> State:
        """Resolve the static parameters at the last step of `batch`; chunks pass `state` on.

        Only the network runs. The result's `static` belongs into the state that a prediction
        starts from.
        """
        state = state or State()
        scores, memory = self.nn(self.normalizer.inputs(batch), state.nn, True)
        return State(nn=memory, static=self._static(scores, State()))

    @property
    def constants(self) -> dict[str, tuple[Parameter, int | None]]:
        """Static parameters by name, with the number of components; none: one per basin."""
        return self.parameter_map.constants

    def _run(self, batch: Batch, state: State) -> Output:
        inputs = self.normalizer.inputs(batch)
        scores, memory = run(self.nn, inputs, state.nn, False, self.recompute_days)
        static = self._static(scores, state)
        time = batch.time + batch.num_steps
        if self.phy_model is None:
            fluxes, rivers = self._aggregate(
                {self.outputs[0]: self._flow(scores, batch)}, static, batch, state.routing
            )
            return Output(fluxes, State(routing=rivers, nn=memory, static=static, time=time))
        # dynamic ones stay scores, views of what the network gave: the loop maps them to values
        dynamic = self._drop_dynamic(self.parameter_map.dynamic_scores(scores.dynamic), batch)
        fluxes, stores = self._simulate(
            batch, static | dynamic, state.phy, self.outputs, scores=dynamic
        )
        fluxes, transit = self._route(fluxes, static, state.routing)
        fluxes, corrected = self._correct(fluxes, inputs, state)
        fluxes, rivers = self._aggregate(fluxes, static, batch, state.routing)
        return Output(fluxes, State(stores, transit | rivers, memory, static, time, corrected))

    def _warm_up(self, batch: Batch, state: State) -> State:
        """Fill the stores, with the parameters of the last warm-up step and without gradient."""
        learns = torch.is_grad_enabled() and self.warmup_gradient == "network"
        inputs = self.normalizer.inputs(batch)
        with torch.set_grad_enabled(learns):
            scores, memory = run(self.nn, inputs, state.nn, True, self.recompute_days)
        warm = State(nn=memory, static=state.static, time=batch.time + batch.num_steps)
        if self.phy_model is None:
            return warm
        with torch.no_grad():
            static = self._static(scores, state)
            held = self.parameter_map.dynamic(scores.dynamic[-1])
            outputs = (FLUX,) if self.correction else ()
            fluxes, stores = self._simulate(batch, static | held, state.phy, outputs)
            fluxes, _ = self._route(fluxes, static, state.routing)
        with torch.set_grad_enabled(learns):
            _, corrected = self._correct(fluxes, inputs, state)
        return warm._replace(phy=stores, correction=corrected)

    def _static(self, scores: Scores, state: State) -> dict[str, Tensor]:
        """Give the static parameters that the state has resolved, else the network's."""
        if state.static is not None:
            return dict(state.static)
        if isinstance(self.nn, NoNetwork) and self.parameter_map.names:
            raise ValueError(
                f"no network gives the parameters {list(self.parameter_map.names)}; fix them, or"
                " give them in State.static"
            )
        return self.parameter_map.static(scores.static)

    def _flow(self, scores: Scores, batch: Batch) -> Tensor:
        """Streamflow of a network without physics."""
        flow = scores.dynamic[..., 0]
        if self.nn.gives_flow:
            return flow
        return self.normalizer.restore_target(flow, batch.attributes)

    def _simulate(
        self,
        batch: Batch,
        parameters: Mapping[str, Tensor],
        stores: Any,
        outputs: Sequence[str],
        scores: Collection[str] = (),
    ) -> tuple[dict[str, Tensor], Any]:
        """Run the process model: mean fluxes `[T, B]`, and stores `[B, E]`."""
        assert self.phy_model is not None
        own = {n: p for n, p in parameters.items() if n in self.phy_model.PARAMETERS}
        forcing = batch.forcing | batch.constants
        # in training, the loader and the bounds of the map vouch for the values
        fluxes, stores = self.phy_model(
            forcing, own, stores, outputs=outputs, mean=True, check=not self.training, scores=scores
        )
        return fluxes, stores

    def _route(
        self,
        fluxes: dict[str, Tensor],
        parameters: Mapping[str, Tensor],
        transit: Mapping[str, Any],
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        if self.routing is None or self.phy_model is None:
            return fluxes, {}
        later = {}
        for name in set(fluxes) & set(self.phy_model.RUNOFF):
            fluxes[name], later[name] = self.routing(fluxes[name], parameters, transit.get(name))
        return fluxes, later

    def _aggregate(
        self,
        fluxes: dict[str, Tensor],
        parameters: Mapping[str, Tensor],
        batch: Batch,
        transit: Mapping[str, Any],
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        if batch.topology is None:
            return fluxes, {}
        at_gauges: tuple[dict[str, Tensor], dict[str, Any]] = self.aggregate(
            fluxes, parameters, batch.topology, transit
        )
        return at_gauges

    def _correct(
        self, fluxes: dict[str, Tensor], inputs: Inputs, state: State
    ) -> tuple[dict[str, Tensor], NetworkState]:
        if self.correction is None or FLUX not in fluxes:
            return fluxes, state.correction
        flow, memory = self.correction(fluxes[FLUX], inputs, self.normalizer, state.correction)
        return fluxes | {FLUX: flow}, memory

    def _drop_dynamic(self, dynamic: dict[str, Tensor], batch: Batch) -> dict[str, Tensor]:
        """Hold some dynamic parameters at their last value (Feng et al. 2022)."""
        if not (self.training and self.dynamic_dropout and dynamic):
            return dynamic
        generator = torch.Generator().manual_seed(batch.seed)
        draws = torch.rand(int(batch.rows.max()) + 1, len(dynamic), generator=generator)
        held = (draws[batch.rows.cpu()] < self.dynamic_dropout).unbind(1)
        return {
            name: torch.where(hold.to(value.device).unsqueeze(-1), value[-1:], value)
            for (name, value), hold in zip(dynamic.items(), held, strict=True)
        }

    def _check_sizes(self) -> None:
        need = self.parameter_map.num_dynamic, self.parameter_map.num_static
        if self.phy_model is None:
            need = 1, 0
        give = self.nn.num_dynamic, self.nn.num_static
        if need != give and not isinstance(self.nn, NoNetwork):
            raise ValueError(
                f"the parameters need {need[0]} dynamic and {need[1]} static scores,"
                f" but the network gives {give[0]} and {give[1]}"
            )


def parameter_map(
    phy_model: ProcessModel | None,
    routing: UnitHydrograph | None = None,
    dynamic: Sequence[str] = (),
    num_components: int = 1,
    fixed: Mapping[str, float] | None = None,
    aggregate: Aggregate | None = None,
) -> ParameterMap:
    """Map for all parameters of a process model and its routing that are not at their default."""
    if phy_model is None:
        return ParameterMap({})
    components = learned(phy_model.PARAMETERS, {*dynamic, *(fixed or {})})
    modules = [module for module in (routing, aggregate) if module is not None]
    basin = {name: p for module in modules for name, p in module.PARAMETERS.items()}
    return ParameterMap(components, basin, dynamic, num_components, fixed)


def _check_continues(batch: Batch, state: State) -> None:
    if state.time is None or torch.equal(state.time, batch.time):
        return
    raise ValueError(
        f"the state goes on at day {state.time.tolist()[:3]} (since 1970-01-01), but the batch"
        f" starts at day {batch.time.tolist()[:3]}; pass the chunks in order, without gaps"
    )
