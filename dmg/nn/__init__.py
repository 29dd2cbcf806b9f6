"""Networks that give a process model's parameters, or the flow itself."""

from dmg.nn.base import Network, NetworkState, Scores
from dmg.nn.lstm import Lstm
from dmg.nn.mlp import Mlp

__all__ = ["Lstm", "Mlp", "Network", "NetworkState", "Scores"]
