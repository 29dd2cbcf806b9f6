"""What every process model must satisfy, as a class of tests that a model's tests inherit.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from dmg.phy.base import ProcessModel
from dmg.testing import checks, samples
from dmg.testing.checks import Named
from dmg.testing.compare import assert_equal, model_case
from dmg.testing.cost import Cost, cost


class ProcessModelContract:
    """Tests of one process model; override the fixture `model`.

    All runs are in double precision, by the fused loop where the model has one. Tests that a
    model has nothing to say to are skipped: conservation without a `BALANCE`, rain without
    precipitation.
    """

    @pytest.fixture
    def model(self) -> ProcessModel:
        """Model to be tested."""
        raise NotImplementedError("override the fixture `model`: return the model to be tested")

    @pytest.fixture(autouse=True)
    def _double_precision(self) -> Iterator[None]:
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        yield
        torch.set_default_dtype(before)

    def weather(
        self, model: ProcessModel, num_steps: int, num_basins: int, wild: bool = False
    ) -> Named:
        """Make the forcing of the runs, `[T, B]` or `[B]`; override it for words of your own.

        Parameters
        ----------
        model
            Model to be tested.
        num_steps, num_basins
            T and B.
        wild
            Anything that is possible anywhere, in any order.
        """
        return samples.weather(num_steps, num_basins, 0, model.forcings, dt=model.dt, wild=wild)

    # The model's tables

    def test_tables_agree(self, model: ProcessModel) -> None:
        """Names that one table uses are in the table that defines them."""
        fluxes, stores = model.Flux._fields, model.State._fields
        assert set(model.BALANCE) <= {*model.forcings, *fluxes}
        assert set(model.BALANCE.values()) <= {-1, 1}
        assert set(model.RUNOFF) <= set(fluxes)
        assert set(model.SIGNED) <= {*fluxes, *stores}
        assert set(model.RECOMMENDED_DYNAMIC) <= set(model.PARAMETERS)
        assert model.dt in model.TIMESTEPS

    def test_parameters_have_bounds_unit_and_meaning(self, model: ProcessModel) -> None:
        """Each parameter can be drawn, learned and understood."""
        for name, p in model.PARAMETERS.items():
            assert -float("inf") < p.lower < p.upper < float("inf"), name
            assert p.unit, f"{name} has no unit; that of a number is 1"
            assert p.meaning, f"{name} has no meaning"
            assert p.default is None or p.lower <= p.default <= p.upper, name
            assert p.scale == "linear" or p.lower > 0, f"{name}: a log scale needs a bound above 0"

    # Conservation

    def test_a_year_conserves_water(self, model: ProcessModel) -> None:
        """`BALANCE` closes over a year of weather, with random parameters."""
        if not model.BALANCE:
            pytest.skip("no BALANCE")
        forcing = self.weather(model, _year(model), 8)
        checks.assert_conserved(model, forcing, samples.random_parameters(model, 8, 4))

    def test_every_corner_conserves_water(self, model: ProcessModel) -> None:
        """`BALANCE` closes and nothing is negative where parameters are at their bounds.

        Every combination of bounds, or the choice of them that `corners` describes.
        """
        forcing = checks.with_a_flood(self.weather(model, 60, 1))
        parameters = samples.corners(model.PARAMETERS)
        checks.assert_conserved(model, forcing, parameters)
        checks.assert_not_negative(model, model(forcing, parameters))

    def test_stores_and_fluxes_are_never_negative(self, model: ProcessModel) -> None:
        """Not in any weather; those that may be are named in `SIGNED`."""
        forcing = self.weather(model, 40, 100, wild=True)
        run = model(forcing, samples.random_parameters(model, 100, 8))
        checks.assert_not_negative(model, run)

    # State

    @pytest.mark.parametrize("split", [1, 11, 364])
    def test_a_split_run_equals_the_whole(self, model: ProcessModel, split: int) -> None:
        """Bit for bit, with the state handed over."""
        forcing, parameters = self.weather(model, 365, 3), samples.random_parameters(model, 3, 4)
        whole = model(forcing, parameters)
        first = model(checks.part(forcing, slice(split)), parameters)
        second = model(checks.part(forcing, slice(split, None)), parameters, state=first.state)
        for name, flux in whole.fluxes.items():
            assert torch.equal(flux, torch.cat([first.fluxes[name], second.fluxes[name]])), name
        assert all(map(torch.equal, whole.state, second.state))

    def test_a_run_leaves_its_inputs_alone(self, model: ProcessModel) -> None:
        """A step writes to nothing that it is given."""
        forcing, parameters = self.weather(model, 9, 2), samples.random_parameters(model, 2, 3)
        state = model.initial_state(2, 3, torch.zeros(()))
        given = [*forcing.values(), *parameters.values(), *state]
        before = [tensor.clone() for tensor in given]
        model(forcing, parameters, state=state, backend="eager")
        assert all(map(torch.equal, given, before))

    # Independence

    def test_order_does_not_matter(self, model: ProcessModel) -> None:
        """Basins and components in another order give the same numbers in that order."""
        forcing, parameters = self.weather(model, 100, 8), samples.random_parameters(model, 8, 4)
        order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
        whole = model(forcing, parameters)
        permuted = model(
            {n: f[..., order] for n, f in forcing.items()},
            {n: p[order].flip(1) for n, p in parameters.items()},
        )
        for name, flux in whole.fluxes.items():
            assert torch.equal(permuted.fluxes[name], flux[:, order].flip(2)), name

    def test_one_element_does_not_touch_the_others(self, model: ProcessModel) -> None:
        """A basin with other weather and a component with other parameters change only theirs."""
        forcing, parameters = self.weather(model, 100, 8), samples.random_parameters(model, 8, 4)
        other, corner = self.weather(model, 100, 8, wild=True), samples.corners(model.PARAMETERS, 4)
        basin = torch.arange(8) == 0
        changed = {n: torch.where(basin, other[n], f) for n, f in forcing.items()}
        element = (torch.arange(32) == 7).reshape(8, 4)  # of the second basin
        moved = {n: torch.where(element, corner[n][0, -1], p) for n, p in parameters.items()}
        same = ~(basin.unsqueeze(1) | element)
        whole, found = model(forcing, parameters), model(changed, moved)
        for name, flux in whole.fluxes.items():
            assert torch.equal(found.fluxes[name][:, same], flux[:, same]), name

    # Gradients

    def test_gradients_are_slopes(self, model: ProcessModel) -> None:
        """By finite differences, of every flux by every forcing and parameter."""
        warm = model(self.weather(model, 60, 2), samples.random_parameters(model, 2, 2, margin=0.2))
        forcing = {n: f.clone() for n, f in self.weather(model, 8, 2).items()}
        for name, shift in (("precipitation", 0.5), ("pet", 0.3)):
            if name in forcing:  # zero is a bound, where a difference is of one side only
                forcing[name] += shift
        parameters = samples.random_parameters(model, 2, 2, margin=0.2)
        names = [*forcing, *parameters]

        def totals(*leaves: Tensor) -> Tensor:
            given = dict(zip(names, leaves, strict=True))
            values = ({n: given[n] for n in table} for table in (forcing, parameters))
            out = model(*values, state=warm.state)
            return torch.stack([*out.fluxes.values()]).sum(1)

        leaves = [leaf.requires_grad_() for leaf in (*forcing.values(), *parameters.values())]
        assert torch.autograd.gradcheck(totals, leaves, check_undefined_grad=False)

    @pytest.mark.parametrize("start", ["usual", "empty"])
    def test_gradients_are_finite(self, model: ProcessModel, start: str) -> None:
        """In drought, cold, heat, flood and night, from usual and from empty stores.

        Parameters are at their lower bounds, in the middle and at their upper bounds.
        """
        forcing = checks.extremes(self.weather(model, 200, 6))
        fractions = torch.tensor([0.0, 0.5, 1.0]).expand(6, 3)
        parameters = {n: samples.at(p, fractions) for n, p in model.PARAMETERS.items()}
        state = model.initial_state(6, 3, torch.zeros(()))
        if start == "empty":
            state = type(state)(*map(torch.zeros_like, state))
        checks.assert_finite_gradients(model, state, forcing, parameters)

    def test_gradients_are_finite_at_every_corner(self, model: ProcessModel) -> None:
        """With rain of 500 mm d-1, at the bounds of all parameters as `corners` gives them."""
        forcing = checks.with_a_flood(self.weather(model, 30, 1))
        parameters = samples.corners(model.PARAMETERS, 2**11)
        num_corners = next(iter(parameters.values())).shape[1]
        state = model.initial_state(1, num_corners, torch.zeros(()))
        checks.assert_finite_gradients(model, state, forcing, parameters)

    def test_gradients_do_not_explode(self, model: ProcessModel) -> None:
        """A year from empty stores, usual or without rain, in single precision, near the bounds.

        The slope of a step by a store may not stay above 1: a flux that takes all of its store,
        as the smaller of two that both vanish with it, shares the slope between them. Write
        `S * (demand / capacity).clamp(max=1)` instead of `minimum(S / capacity * demand, S)`.
        """
        forcing = {n: f.float() for n, f in self.weather(model, 365, 2).items()}
        for name in forcing.keys() & {"precipitation"}:
            forcing[name][:, 1] = 0.0
        parameters = {n: p.float() for n, p in samples.near_corners(model, 2, 128).items()}
        state = model.initial_state(2, 128, torch.zeros((), dtype=torch.float32))
        empty = type(state)(*map(torch.zeros_like, state))
        checks.assert_finite_gradients(model, empty, forcing, parameters)

    # Backends, types and devices

    @pytest.mark.parametrize("dynamic", [False, True], ids=["static", "dynamic"])
    def test_fused_equals_eager(self, model: ProcessModel, dynamic: bool) -> None:
        """Values and all gradients, to 1e-12 of the largest of each."""
        forcing = self.weather(model, 40, 3)
        assert_equal(model_case(model, (40, 3, 4), dynamic, forcing=forcing))

    def test_single_precision_stays_single(self, model: ProcessModel) -> None:
        """Fluxes and stores have the type of what goes in."""
        forcing = {n: f.float() for n, f in self.weather(model, 5, 2).items()}
        parameters = samples.random_parameters(model, 2, 2)
        single = {n: p.float() for n, p in parameters.items()}
        out = model(forcing, single, backend="eager")
        assert {t.dtype for t in (*out.fluxes.values(), *out.state)} == {torch.float32}

    def test_a_step_makes_no_tensor_of_another_device(self, model: ProcessModel) -> None:
        """All stays where the inputs are: on the device without values, and on a GPU if any."""
        case = model_case(model, (3, 2, 2), forcing=self.weather(model, 3, 2))
        for device in ["meta", *(["cuda"] if torch.cuda.is_available() else [])]:
            checks.assert_stays_on(device, case)

    def test_cost_is_linear(self, model: ProcessModel) -> None:
        """Operations and elements grow with steps; with basins and components only elements."""
        few, more, most = (self._cost(model, (steps, 2, 2)) for steps in (1, 2, 4))
        for kind in ("operations", "elements"):
            start, middle, end = (getattr(each, kind) for each in (few, more, most))
            # 4 times where cost grows with the square
            assert end - middle <= 2.5 * (middle - start), f"{kind} grow faster than the steps"
        for wide in (self._cost(model, (1, 8, 2)), self._cost(model, (1, 2, 8))):
            assert wide.operations <= 1.5 * few.operations
            assert wide.elements <= 5 * few.elements

    def _cost(self, model: ProcessModel, size: tuple[int, int, int]) -> Cost:
        return cost(model_case(model, size, forcing=self.weather(model, *size[:2])))

    # What a run gives

    def test_more_rain_gives_more_flow(self, model: ProcessModel) -> None:
        """20 % more or less precipitation changes the year's runoff in the same direction."""
        if "precipitation" not in model.forcings or not model.RUNOFF:
            pytest.skip("no rain, or no runoff")
        forcing = self.weather(model, _year(model), 8)
        parameters = samples.random_parameters(model, 8, 4)

        def flow(factor: float) -> Tensor:
            changed = forcing | {"precipitation": factor * forcing["precipitation"]}
            runoff: Tensor = model(changed, parameters).fluxes[model.RUNOFF[0]]
            return runoff.sum(0)

        dry, usual, wet = map(flow, (0.8, 1.0, 1.2))
        assert (dry <= usual + checks.BALANCE_TOLERANCE).all()
        assert (usual <= wet + checks.BALANCE_TOLERANCE).all()

    def test_dynamic_parameters_that_stay_the_same_change_nothing(
        self, model: ProcessModel
    ) -> None:
        """Bit for bit, for all parameters at once."""
        forcing, static = self.weather(model, 50, 3), samples.random_parameters(model, 3, 2)
        dynamic = {n: p.expand(50, -1, -1) for n, p in static.items()}
        expected, found = (model(forcing, p).fluxes for p in (static, dynamic))
        for name, flux in expected.items():
            assert torch.equal(found[name], flux), name

    def test_only_wanted_fluxes_are_returned(self, model: ProcessModel) -> None:
        """By name, in the order that is asked for, with the same values."""
        forcing, parameters = self.weather(model, 5, 2), samples.random_parameters(model, 2, 3)
        wanted = [*reversed(model.Flux._fields)][:2]
        whole = model(forcing, parameters, backend="eager").fluxes
        found = model(forcing, parameters, backend="eager", outputs=wanted).fluxes
        assert list(found) == wanted
        assert all(torch.equal(found[name], whole[name]) for name in wanted)

    def test_mean_over_components(self, model: ProcessModel) -> None:
        """The averaged fluxes are the averages of the fluxes."""
        forcing, parameters = self.weather(model, 30, 3), samples.random_parameters(model, 3, 5)
        whole = model(forcing, parameters).fluxes
        for name, flux in model(forcing, parameters, mean=True).fluxes.items():
            torch.testing.assert_close(flux, whole[name].mean(-1), rtol=1e-12, atol=1e-13)

    # What is missing is named

    def test_a_missing_forcing_is_named(self, model: ProcessModel) -> None:
        """In one line."""
        forcing, parameters = self.weather(model, 3, 1), samples.random_parameters(model, 1, 1)
        missing = model.forcings[-1]
        del forcing[missing]
        with pytest.raises(ValueError, match=f"'{missing}'"):
            model(forcing, parameters)

    def test_a_missing_parameter_is_named(self, model: ProcessModel) -> None:
        """In one line; those with a default need not be given."""
        forcing, parameters = self.weather(model, 3, 1), samples.random_parameters(model, 1, 1)
        missing = next(n for n, p in model.PARAMETERS.items() if p.default is None)
        del parameters[missing]
        with pytest.raises(ValueError, match=f"'{missing}'"):
            model(forcing, parameters)

    def test_another_time_step_is_refused(self, model: ProcessModel) -> None:
        """With those that the equations hold for."""
        with pytest.raises(ValueError, match="time step"):
            type(model)(dt=7.0)


def _year(model: ProcessModel) -> int:
    return round(365 / model.dt)
