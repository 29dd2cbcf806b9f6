"""Networks that give a process model's parameters, or the flow itself."""

from dmg.nn.base import Inputs, Network, NetworkState, NoNetwork, Scores
from dmg.nn.ea_lstm import EaLstm
from dmg.nn.encoder import Encoder
from dmg.nn.lstm import Lstm
from dmg.nn.lstm_mlp import LstmMlp
from dmg.nn.mc_lstm import McLstm
from dmg.nn.mlp import Mlp
from dmg.nn.named import NamedNetworks, divide
from dmg.nn.plain_lstm import PlainLstm
from dmg.nn.step import StepNetwork, evaluate
from dmg.nn.table import Table
from dmg.nn.transformer import Transformer

__all__ = [
    "EaLstm",
    "Encoder",
    "Inputs",
    "Lstm",
    "LstmMlp",
    "McLstm",
    "Mlp",
    "NamedNetworks",
    "Network",
    "NetworkState",
    "NoNetwork",
    "PlainLstm",
    "Scores",
    "StepNetwork",
    "Table",
    "Transformer",
    "divide",
    "evaluate",
]
