"""The configuration schema: what a user may set, with defaults, bounds and units.

Three files exist. `config/config.yaml` (`Run`) says which experiments to run and where files lie;
`config/experiments/<name>.yaml` (`Experiment`) describes one experiment and lists only what differs
from the defaults here; `config/benchmarks/<id>.yaml` (`Benchmark`) holds published values and names
the experiments that replicate them. Snakemake and the `dmg` command read them through this module,
which imports neither torch nor numpy, so that a workflow starts at once.
"""

from dmg.config.base import Period, Section
from dmg.config.benchmark import Benchmark, Conclusion, Curve, Event, Published, Series, Variation
from dmg.config.data import Data, Product, Synthetic
from dmg.config.derive import Catalogue, Variants, write_experiment
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
from dmg.config.gauges import Gauges
from dmg.config.loading import digest, flat, load_experiment, parse, read_yaml, resolved
from dmg.config.model import GammaPaths, GammaUnitHydrograph, Model, MuskingumCunge, Phy, Routing
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
from dmg.config.simulate import Simulate
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
    "Benchmark",
    "Catalogue",
    "Conclusion",
    "CosineSchedule",
    "Curve",
    "Data",
    "EaLstm",
    "Encoder",
    "Ensemble",
    "Evaluate",
    "Event",
    "Experiment",
    "ExtremesSplit",
    "Forcing",
    "ForcingVariable",
    "GammaPaths",
    "GammaUnitHydrograph",
    "Gauges",
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
    "MuskingumCunge",
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
    "Published",
    "PurSplit",
    "ReturnPeriods",
    "Rmse",
    "RmseComb",
    "Routing",
    "Run",
    "Schedule",
    "Section",
    "Series",
    "Simulate",
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
    "Variants",
    "Variation",
    "digest",
    "flat",
    "load_experiment",
    "parse",
    "read_yaml",
    "resolved",
    "write_experiment",
]
