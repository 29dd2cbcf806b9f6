"""The configuration schema: what a user may set, with defaults, bounds and units.

Two files exist. `config/config.yaml` (`Run`) says which experiments to run and where files lie;
`config/experiments/<name>.yaml` (`Experiment`) describes one experiment and lists only what differs
from the defaults here. Snakemake and the `dmg` command read both through this module, which
imports neither torch nor numpy, so that a workflow starts at once.
"""

from dmg.config.base import Period, Section
from dmg.config.data import Data, Product, Synthetic
from dmg.config.evaluate import Evaluate, Metric
from dmg.config.files import Ensemble, Experiment, Run
from dmg.config.forcing import (
    Forcing,
    ForcingVariable,
    Gridded,
    GridVariable,
    Layout,
    SpatialInterpolation,
    SyntheticNetwork,
)
from dmg.config.loading import digest, flat, load_experiment, parse, read_yaml, resolved
from dmg.config.model import GammaUnitHydrograph, Model, Phy
from dmg.config.networks import (
    EaLstm,
    Encoder,
    Lstm,
    LstmMlp,
    McLstm,
    Mlp,
    Network,
    PlainLstm,
    Table,
    Transformer,
)
from dmg.config.split import (
    ExtremesSplit,
    NestedSplit,
    PubSplit,
    PurSplit,
    ReturnPeriods,
    SpatialSplit,
    Split,
    TemporalSplit,
)
from dmg.config.train import (
    RESOURCES,
    Adadelta,
    Adam,
    AdamW,
    CosineSchedule,
    ListedSchedule,
    Loss,
    Mse,
    NseBatch,
    NseSqrtBatch,
    Optimizer,
    Rmse,
    RmseComb,
    Schedule,
    StepSchedule,
    Train,
)

__all__ = [
    "RESOURCES",
    "Adadelta",
    "Adam",
    "AdamW",
    "CosineSchedule",
    "Data",
    "EaLstm",
    "Encoder",
    "Ensemble",
    "Evaluate",
    "Experiment",
    "ExtremesSplit",
    "Forcing",
    "ForcingVariable",
    "GammaUnitHydrograph",
    "GridVariable",
    "Gridded",
    "KgeBatch",
    "KgeNormBatch",
    "Layout",
    "ListedSchedule",
    "Loss",
    "Lstm",
    "LstmMlp",
    "McLstm",
    "Metric",
    "Mlp",
    "Model",
    "Mse",
    "NestedSplit",
    "Network",
    "NseBatch",
    "NseSqrtBatch",
    "Optimizer",
    "Period",
    "Phy",
    "PlainLstm",
    "Product",
    "PubSplit",
    "PurSplit",
    "ReturnPeriods",
    "Rmse",
    "RmseComb",
    "Run",
    "Schedule",
    "Section",
    "SpatialInterpolation",
    "SpatialSplit",
    "Split",
    "StepSchedule",
    "Synthetic",
    "SyntheticNetwork",
    "Table",
    "TemporalSplit",
    "Train",
    "Transformer",
    "digest",
    "flat",
    "load_experiment",
    "parse",
    "read_yaml",
    "resolved",
]
