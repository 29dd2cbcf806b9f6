"""Networks that give a process model's parameters, or the flow itself."""

from dmg.nn.base import Inputs, Network, NetworkState, Scores
from dmg.nn.lstm import Lstm
from dmg.nn.mlp import Mlp
from dmg.nn.table import Table

__all__ = ["Inputs", "Lstm", "Mlp", "Network", "NetworkState", "Scores", "Table"]
