"""Tests of how a process model runs: states, order, backends, results, messages.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dmg.phy.base import ProcessModel
from dmg.testing import checks, samples
from dmg.testing.base import ModelTests
from dmg.testing.compare import assert_equal, model_case
from dmg.testing.cost import Cost, cost


class Runs(ModelTests):
    """A run depends on what is given, and on nothing else."""

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

    def test_more_rain_gives_more_flow(self, model: ProcessModel) -> None:
        """20 % more or less precipitation changes the year's runoff in the same direction."""
        if "precipitation" not in model.forcings or not model.RUNOFF:
            pytest.skip("no rain, or no runoff")
        forcing = self.weather(model, self.year(model), 8)
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
