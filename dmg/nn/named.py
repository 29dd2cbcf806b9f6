"""Several named networks as one, each giving parameters of its own.

Shape legend: T time, B basins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

import torch
from torch import Tensor, nn

from dmg.nn.base import Inputs, Network, NetworkState, Scores
from dmg.parameters import ParameterMap

SEEDS = 1000
"""Seeds from one network's dropout to the next one's."""


def divide(
    whole: ParameterMap, gives: Mapping[str, Sequence[str] | None]
) -> dict[str, ParameterMap]:
    """Divide parameters among named networks.

    Parameters
    ----------
    whole
        Map of all parameters.
    gives
        Parameters by network; none: those that no other network gives.

    Raises
    ------
    ValueError
        If a parameter is given twice, by no network, or is not one of `whole`.
    """
    owner: dict[str, str] = {}
    for network, names in gives.items():
        _check_known(network, names or (), whole)
        for name in names or ():
            if owner.setdefault(name, network) != network:
                raise ValueError(
                    f"parameter '{name}' is given by two networks, '{owner[name]}' and"
                    f" '{network}'; name it in one of them"
                )
    rest = [name for name in whole.names if name not in owner]
    heirs = [network for network, names in gives.items() if names is None]
    if len(heirs) > 1:
        raise ValueError(f"networks {heirs} name no parameters; only one can give the rest")
    if rest and not heirs:
        raise ValueError(
            f"no network gives the parameters {rest}; name them in one, or leave out the"
            " parameters of one network, which then gives the rest"
        )
    return {n: whole.select(rest if names is None else names) for n, names in gives.items()}


class NamedNetworks(Network):
    """Networks whose scores, put together, are in the order of the parameters.

    Parameters
    ----------
    whole
        Map of all parameters.
    networks
        Networks by name.
    parts
        Map of each network's parameters, see `divide`.

    Raises
    ------
    ValueError
        If a network gives another number of scores than its parameters need.
    """

    order_dynamic: Tensor
    order_static: Tensor

    def __init__(
        self,
        whole: ParameterMap,
        networks: Mapping[str, Network],
        parts: Mapping[str, ParameterMap],
    ) -> None:
        super().__init__(whole.num_dynamic, whole.num_static)
        for name, network in networks.items():
            _check_sizes(name, network, parts[name])
        self.names = tuple(networks)
        self.networks = nn.ModuleList(networks.values())
        ordered = [parts[name] for name in networks]
        num = whole.num_components
        dynamic = _order(whole.dynamic_names, [p.dynamic_names for p in ordered], [], num)
        static = _order(
            (*whole.static_names, *whole.basin_names),
            [(*p.static_names, *p.basin_names) for p in ordered],
            whole.basin_names, num,
        )  # fmt: skip
        self.register_buffer("order_dynamic", dynamic, persistent=False)
        self.register_buffer("order_static", static, persistent=False)

    def forward(
        self, inputs: Inputs, state: NetworkState = (), last_only: bool = False
    ) -> tuple[Scores, NetworkState]:
        """Give the scores of a period: see `Network.forward`."""
        states = state or tuple(() for _ in self.networks)
        given, memories = [], []
        for i, (network, memory) in enumerate(zip(self.networks, states, strict=True)):
            scores, memory = network(
                inputs._replace(seed=inputs.seed + SEEDS * i), memory, last_only
            )
            given.append(scores)
            memories.append(memory)
        dynamic = torch.cat([scores.dynamic for scores in given], dim=-1)
        static = torch.cat([scores.static for scores in given], dim=-1)
        return Scores(dynamic[..., self.order_dynamic], static[:, self.order_static]), tuple(
            memories
        )


def _check_known(network: str, names: Sequence[str], whole: ParameterMap) -> None:
    unknown = [name for name in names if name not in whole.names]
    if unknown:
        raise ValueError(
            f"network '{network}' gives {unknown}, which the model does not learn; choose from"
            f" {list(whole.names)}"
        )


def _order(
    wanted: Sequence[str], given: Sequence[Sequence[str]], single: Sequence[str], num: int
) -> Tensor:
    """Columns of `wanted` among those of `given`: one each in `single`, else `num`."""
    columns: dict[str, range] = {}
    first = 0
    for name in chain.from_iterable(given):
        size = 1 if name in single else num
        columns[name] = range(first, first + size)
        first += size
    return torch.tensor([c for name in wanted for c in columns[name]], dtype=torch.int64)


def _check_sizes(name: str, network: Network, part: ParameterMap) -> None:
    need, give = (
        (part.num_dynamic, part.num_static),
        (network.num_dynamic, network.num_static),
    )
    if need != give:
        raise ValueError(
            f"network '{name}': its parameters {list(part.names)} need {need[0]} dynamic and"
            f" {need[1]} static scores, but it gives {give[0]} and {give[1]}"
        )
