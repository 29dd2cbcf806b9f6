"""A network inside the physics: a small perceptron that a step evaluates, number by number.

Its weights reach the step among the parameters, so that it is made of pointwise operations and
runs in the compiled loop, adjoint included.

Shape legend: B basins, E components, I inputs, H hidden units.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class StepNetwork(nn.Module):
    """Weights of a perceptron with one hidden layer (tanh) and one output.

    Make it an attribute of a process model; the base class gives its weights to the step, which
    evaluates it with `evaluate`.

    Parameters
    ----------
    name
        Start of the weights' names among the parameters.
    num_inputs, hidden_size
        I and H.
    """

    def __init__(self, name: str, num_inputs: int, hidden_size: int = 4) -> None:
        super().__init__()
        self.name = name
        self.hidden = nn.Linear(num_inputs, hidden_size)
        self.out = nn.Linear(hidden_size, 1)

    def weights(self) -> dict[str, Tensor]:
        """Give each weight as a number, by the name under which `evaluate` reads it."""
        layers = torch.cat([self.hidden.weight, self.hidden.bias.unsqueeze(1)], dim=1)
        numbers = [*layers.flatten().unbind(), *self.out.weight[0].unbind(), self.out.bias[0]]
        return {f"{self.name}.{i}": number for i, number in enumerate(numbers)}


def evaluate(
    name: str, parameters: Mapping[str, Tensor], inputs: tuple[Tensor, ...], hidden_size: int = 4
) -> Tensor:
    """Evaluate the network `name` within a step.

    Parameters
    ----------
    parameters
        Parameters of the step, the weights among them.
    inputs
        I values `[B, E]`, of order one.
    hidden_size
        H, as the `StepNetwork` has it.

    Returns
    -------
    Tensor
        Raw score `[B, E]`; its sigmoid is a fraction of a store, which keeps water conserved.
    """
    size = len(inputs) + 1
    first_out = hidden_size * size
    result = parameters[f"{name}.{first_out + hidden_size}"]
    for unit in range(hidden_size):
        total = parameters[f"{name}.{unit * size + size - 1}"]
        for i, value in enumerate(inputs):
            total = total + parameters[f"{name}.{unit * size + i}"] * value
        result = result + parameters[f"{name}.{first_out + unit}"] * torch.tanh(total)
    return result
