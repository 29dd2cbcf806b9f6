"""One interface to a model, however it is run: windows, streams, many processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from dmg.batch import Batch
from dmg.delta import DeltaModel, Output, State
from dmg.distributed import device_of
from dmg.ensemble import Ensemble

NUM_WINDOWS = 512
"""Windows simulated at once, each day in one of its own; hidden layers of 270 days take 150 MB."""


class ModelHandler(nn.Module):
    """Holds a model and runs it in windows or as a stream.

    Parameters
    ----------
    model
        The coupled model, or several side by side.
    """

    def __init__(self, model: DeltaModel | Ensemble) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch, state: State | None = None) -> Output:
        """Simulate a batch, from `state` where one is given."""
        output: Output = self.model(batch, state)
        return output

    @torch.no_grad()
    def resolve(self, reference: Iterable[Batch]) -> State:
        """State to start a stream with: static parameters after a reference period.

        Parameters
        ----------
        reference
            Consecutive chunks of the reference period.
        """
        state = State()
        for batch in reference:
            state = self.model.resolve(batch.to(device_of(self)), state)
        return State(static=state.static)

    @torch.no_grad()
    def each_day(self, batch: Batch, num_windows: int = NUM_WINDOWS) -> dict[str, Tensor]:
        """Simulate each day from its own warm-up, sequence to one, as it was trained.

        Parameters
        ----------
        batch
            Series of several basins with a warm-up, which each day after it gets as well.
        num_windows
            Windows simulated at once.

        Returns
        -------
        dict
            Fluxes `[T, B]` of the days after the warm-up.
        """
        num_basins, num_days = len(batch.basin), batch.num_steps - batch.warmup
        step = max(1, num_windows // num_basins)
        device = device_of(self)
        parts = [
            self(batch.days(day, min(day + step, num_days)).to(device)).fluxes
            for day in range(0, num_days, step)
        ]
        return {
            name: torch.cat([part[name].reshape(-1, num_basins) for part in parts])
            for name in parts[0]
        }

    @torch.no_grad()
    def stream(self, batches: Iterable[Batch], state: State | None = None) -> Iterator[Output]:
        """Simulate consecutive chunks; each output's state is where the next one starts."""
        for batch in batches:
            output = self(batch.to(device_of(self)), state)
            state = output.state
            yield output
