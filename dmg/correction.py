"""A network after the physics: what a process model leaves over, learned.

Shape legend: T time, B basins.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dmg.nn import Inputs, Network, NetworkState
from dmg.normalizer import Normalizer

FLUX = "streamflow"
"""The flux that is corrected."""


class Correction(nn.Module):
    """Adds a network's score, in standard deviations of the target, to the simulated flow.

    The score is multiplied by a gain that starts at zero, so that training starts from the
    physics. The sum is cut off at zero; it does not conserve water.

    Parameters
    ----------
    network
        Network with one dynamic score that reads the forcings, the simulated flow as a last one,
        and the attributes.

    Raises
    ------
    ValueError
        If the network gives other scores.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        if (network.num_dynamic, network.num_static) != (1, 0) or network.gives_flow:
            raise ValueError(
                "a correction needs a network with one dynamic standardised score, found"
                f" {network.num_dynamic} dynamic and {network.num_static} static ones"
            )
        self.network = network
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(
        self, flow: Tensor, inputs: Inputs, normalizer: Normalizer, state: NetworkState = ()
    ) -> tuple[Tensor, NetworkState]:
        """Correct a flow `[T, B]` [mm d-1]; the state is the network's memory."""
        simulated = normalizer.standardize_target(flow).unsqueeze(-1)
        seen = inputs._replace(forcing=torch.cat([inputs.forcing, simulated], dim=-1))
        scores, memory = self.network(seen, state)
        corrected = flow + self.gain * scores.dynamic[..., 0] * normalizer.target_std
        # cut off at zero, but for the gradient: a flow that is held at zero would never learn
        return corrected + corrected.detach().neg().clamp(min=0), memory
