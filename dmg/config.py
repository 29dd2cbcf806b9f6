"""The configuration schema: what a user may set, with defaults, bounds and units.

Two files exist. `config/config.yaml` (`Run`) says which experiments to run and where files lie;
`config/experiments/<name>.yaml` (`Experiment`) describes one experiment and lists only what differs
from the defaults here. Snakemake and the `dmg` command read both through this module, which
imports neither torch nor numpy, so that a workflow starts at once.
"""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Product = Literal["daymet", "maurer", "maurer_extended", "nldas", "nldas_extended"]
Metric = Literal[
    "nse", "kge", "kge_2012", "r", "alpha", "beta", "beta_nse", "pbias", "rmse", "mae",
    "fhv", "flv", "flv_log", "fms", "rmse_low", "rmse_mid", "rmse_high", "peak_timing",
]  # fmt: skip


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Period(Section):
    """A closed range of days."""

    start: dt.date = Field(description="First day, ISO-8601")
    end: dt.date = Field(description="Last day, included, ISO-8601")

    @model_validator(mode="after")
    def _ordered(self) -> Period:
        if self.end < self.start:
            raise ValueError(f"period ends ({self.end}) before it starts ({self.start})")
        return self


# ------------------------------------------------------------------------------------------ data


class Synthetic(Section):
    """A generated CAMELS-US text tree with a known truth (twin experiment)."""

    num_basins: int = Field(24, ge=4, description="Number of generated basins")
    start: dt.date = Field(dt.date(2000, 10, 1), description="First generated day")
    years: int = Field(8, ge=2, description="Length of the generated record [years]")
    noise: float = Field(0.05, ge=0, lt=1, description="Relative error of the observed flow [1]")
    frac_missing: float = Field(0.02, ge=0, lt=1, description="Fraction of missing flow days [1]")
    seed: int = Field(1, description="Seed of the generator")


class TemporalSplit(Section):
    """The same basins in different years; optionally some basins are never trained on."""

    kind: Literal["temporal"] = "temporal"
    train: Period = Field(description="Days whose flow is trained on")
    validate_: Period | None = Field(
        None, alias="validate", description="Days that choose the best epoch; none: the last epoch"
    )
    test: Period = Field(description="Days that are scored")
    frac_holdout: float = Field(
        0.0, ge=0, lt=1, description="Fraction of basins never trained on, only tested [1]"
    )
    seed: int = Field(0, description="Seed of the choice of held-out basins")


class PubSplit(Section):
    """Prediction in ungauged basins: random folds, each held out once (k-fold)."""

    kind: Literal["pub"] = "pub"
    train: Period = Field(description="Days whose flow is trained on, training basins")
    validate_: Period | None = Field(
        None, alias="validate", description="Days that choose the best epoch, training basins"
    )
    test: Period = Field(description="Days that are scored, held-out basins")
    num_folds: int = Field(10, ge=2, description="Number of folds")
    seed: int = Field(0, description="Seed of the random folds")


Split = Annotated[TemporalSplit | PubSplit, Field(discriminator="kind")]


class Data(Section):
    """Where the data come from, what the network sees, and how they are split."""

    source: Literal["camels_us"] = Field("camels_us", description="Reader of the raw files")
    dataset: str = Field(
        "camels_us", description="Folder or archive under the data root: <dataset>[/.zip/.tar.xz]"
    )
    store: str | None = Field(
        None, description="Name of the extracted store; default: the dataset's name"
    )
    product: Product = Field("daymet", description="Forcing product")
    synthetic: Synthetic | None = Field(None, description="Generate the dataset instead")
    basins: tuple[str, ...] | Path | None = Field(
        None, description="Basin ids, or a text file with one id a line; none: all in the store"
    )
    forcings: tuple[str, ...] = Field(
        ("precipitation", "temperature", "pet"), description="Forcings that the network sees"
    )
    attributes: tuple[str, ...] = Field((), description="Static attributes the network sees")
    log_forcings: tuple[str, ...] = Field(
        (), description="Forcings normalised after log10(sqrt(x) + 0.1)"
    )
    pet: Literal["hargreaves", "priestley_taylor"] = Field(
        "hargreaves", description="Formula of potential evapotranspiration"
    )
    target: Literal["streamflow"] = Field("streamflow", description="Variable to be learned")
    split: Split = Field(description="How training and test differ")

    @model_validator(mode="after")
    def _log_is_input(self) -> Data:
        extra = sorted(set(self.log_forcings) - set(self.forcings))
        if extra:
            raise ValueError(f"log_forcings {extra} are not among forcings {list(self.forcings)}")
        return self

    @property
    def store_name(self) -> str:
        """Name of the store, `stores/<name>.zarr`."""
        return self.store or self.dataset


# ----------------------------------------------------------------------------------------- model


class Hbv10(Section):
    """δHBV 1.0 (Feng et al. 2022)."""

    name: Literal["hbv_1_0"] = "hbv_1_0"
    dynamic: tuple[str, ...] = Field((), description="Parameters that change in time")


Phy = Hbv10  # a discriminated union once there is a second model


class Lstm(Section):
    """LSTM over forcings and attributes; heads for dynamic and static parameters."""

    name: Literal["lstm"] = "lstm"
    hidden_size: int = Field(256, ge=1, description="Hidden units")
    dropout: float = Field(0.5, ge=0, lt=1, description="Variational dropout of the weights [1]")


class Mlp(Section):
    """Multi-layer perceptron over attributes; static parameters only."""

    name: Literal["mlp"] = "mlp"
    hidden_sizes: tuple[int, ...] = Field((256, 256, 256), description="Units of hidden layers")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout after each hidden layer [1]")


Network = Annotated[Lstm | Mlp, Field(discriminator="name")]


class GammaUnitHydrograph(Section):
    """Gamma-shaped unit hydrograph per basin."""

    name: Literal["gamma"] = "gamma"
    length: int = Field(15, ge=1, description="Ordinates of the unit hydrograph [d]")


class Model(Section):
    """Network, process model, components and routing."""

    phy: Phy | None = Field(Hbv10(), description="Process model; none: the network gives the flow")
    nn: Network = Field(Lstm(), description="Network that gives the parameters (or the flow)")
    num_components: int = Field(16, ge=1, description="Parallel parameter sets per basin")
    routing: GammaUnitHydrograph | None = Field(
        GammaUnitHydrograph(), description="Routing of runoff to the gauge; none: unrouted"
    )
    dynamic_dropout: float = Field(
        0.0, ge=0, le=1, description="Chance that a dynamic parameter is static for a basin [1]"
    )

    @model_validator(mode="after")
    def _mlp_is_static(self) -> Model:
        if self.nn.name != "mlp":
            return self
        if self.phy is None:
            raise ValueError("an mlp sees no forcing and cannot give the flow; use nn: lstm")
        if self.phy.dynamic:
            raise ValueError(
                f"an mlp gives static parameters only, but phy.dynamic is {list(self.phy.dynamic)};"
                " use nn: lstm or leave dynamic empty"
            )
        return self


# ----------------------------------------------------------------------------------------- train


class Mse(Section):
    """Mean squared error."""

    name: Literal["mse"] = "mse"


class Rmse(Section):
    """Root mean squared error."""

    name: Literal["rmse"] = "rmse"


class RmseComb(Section):
    """RMSE of flow and of log-transformed flow, weighted (Feng et al. 2022)."""

    name: Literal["rmse_comb"] = "rmse_comb"
    alpha: float = Field(0.25, ge=0, le=1, description="Weight of the log part [1]")
    beta: float = Field(1e-6, gt=0, description="Offset under the root [mm d-1]")


class NseBatch(Section):
    """Squared error over the training variance of each basin (Kratzert et al. 2019)."""

    name: Literal["nse_batch"] = "nse_batch"
    epsilon: float = Field(0.1, ge=0, description="Added to the standard deviation [mm d-1]")


class NseSqrtBatch(Section):
    """Absolute error over the training standard deviation of each basin."""

    name: Literal["nse_sqrt_batch"] = "nse_sqrt_batch"
    epsilon: float = Field(0.1, ge=0, description="Added to the standard deviation [mm d-1]")
    beta: float = Field(1e-6, gt=0, description="Offset under the root")


Loss = Annotated[Mse | Rmse | RmseComb | NseBatch | NseSqrtBatch, Field(discriminator="name")]


class Adam(Section):
    """Adam."""

    name: Literal["adam"] = "adam"
    learning_rate: float = Field(1e-3, gt=0, description="Learning rate")


class AdamW(Section):
    """Adam with decoupled weight decay."""

    name: Literal["adamw"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0, description="Learning rate")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay")


class Adadelta(Section):
    """Adadelta, the HydroDL default."""

    name: Literal["adadelta"] = "adadelta"
    learning_rate: float = Field(1.0, gt=0, description="Learning rate")


Optimizer = Annotated[Adam | AdamW | Adadelta, Field(discriminator="name")]


class StepSchedule(Section):
    """Multiply the learning rate every few epochs."""

    name: Literal["step"] = "step"
    every: int = Field(10, ge=1, description="Epochs between two changes")
    factor: float = Field(0.5, gt=0, le=1, description="Factor of each change")


class CosineSchedule(Section):
    """Learning rate falls along half a cosine to a fraction of its start at the last epoch."""

    name: Literal["cosine"] = "cosine"
    final: float = Field(0.0, ge=0, le=1, description="Last learning rate over the first [1]")


Schedule = Annotated[StepSchedule | CosineSchedule, Field(discriminator="name")]


RESOURCES = ("processes", "threads", "seeds", "checkpoint_minutes")
"""Settings of `train` that change how, or how often, a training runs, but not what it gives."""


class Train(Section):
    """Loss, optimiser, windows, length and resources of the training."""

    loss: Loss = Field(RmseComb(), description="Loss function")
    optimizer: Optimizer = Field(Adadelta(), description="Optimiser")
    schedule: Schedule | None = Field(None, description="Learning-rate schedule")
    epochs: int = Field(50, ge=1, description="Passes over the training data")
    steps_per_epoch: int | None = Field(
        None, ge=1, description="Steps an epoch; none: 99 % of the days are expected to be drawn"
    )
    batch_size: int = Field(100, ge=1, description="Windows a step, over all processes")
    window: int = Field(365, ge=1, description="Scored days of a window [d]")
    warmup: int = Field(365, ge=0, description="Days simulated before the scored ones [d]")
    warmup_gradient: bool = Field(
        False,
        description="Warm-up with gradient, dynamic parameters and routing; otherwise only the"
        " state is kept",
    )
    clip_norm: float | None = Field(None, gt=0, description="Largest norm of the gradient")
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="One training run for each")
    validate_every: int = Field(1, ge=1, description="Epochs between two validations")
    patience: int | None = Field(
        None, ge=1, description="Validations without improvement before stopping; none: never"
    )
    checkpoint_minutes: float = Field(
        10.0, gt=0, description="Longest time between two checkpoints [min]"
    )
    processes: int = Field(1, ge=1, description="Processes (ranks) of the training")
    threads: int | None = Field(None, ge=1, description="Threads a process; none: cores/processes")


# -------------------------------------------------------------------------------------- evaluate


class Evaluate(Section):
    """Prediction, scores and report."""

    metrics: tuple[Metric, ...] = Field(
        ("nse", "kge", "kge_2012", "r", "alpha", "beta", "pbias", "rmse", "fhv", "flv", "flv_log",
         "fms", "peak_timing"),
        description="Metrics of each basin",
    )  # fmt: skip
    outputs: tuple[str, ...] = Field(
        ("streamflow",), description="Simulated fluxes written by the prediction"
    )
    reference: Period | None = Field(
        None,
        description="Period whose last day gives the static parameters; none: the training period",
    )
    chunk_days: int = Field(1461, ge=1, description="Days predicted at once [d]")
    block_basins: int = Field(128, ge=1, description="Basins predicted at once")


class Experiment(Section):
    """One experiment: data, model, training, evaluation."""

    data: Data = Field(description="Data and split")
    model: Model = Field(Model(), description="Model")
    train: Train = Field(Train(), description="Training")
    evaluate: Evaluate = Field(Evaluate(), description="Evaluation")


class Run(Section):
    """Which experiments to run, and where files lie."""

    experiments: tuple[str, ...] = Field(("demo",), description="Names in config/experiments/")
    data_root: Path = Field(
        Path("data/raw"), description="Folder of raw datasets (DMG_DATA_ROOT goes first)"
    )
    results_dir: Path = Field(Path("results"), description="Folder of everything produced")
    extract_parts: int = Field(4, ge=1, description="Jobs that extract one dataset")


# --------------------------------------------------------------------------------------- loading

S = TypeVar("S", bound=Section)


def load_experiment(path: str | Path) -> Experiment:
    """Read and validate one experiment file; `ValueError` names file and key."""
    return parse(Experiment, read_yaml(path), str(path))


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML mapping; `ValueError` names file and line of a mistake."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ValueError(
            f"{path}{line}: not valid YAML: {getattr(error, 'problem', error)}"
        ) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a mapping of sections, found {type(content).__name__}")
    return content


def parse(schema: type[S], content: dict[str, Any], origin: str) -> S:
    """Validate `content` against `schema`; the error is one line that names `origin` and key."""
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(_problem(schema, e) for e in error.errors()[:3])
        raise ValueError(f"{origin}: {problems}") from None


def _problem(schema: type[Section], error: Any) -> str:
    """One pydantic error as `key: what is wrong`, with the nearest name of a misspelt key."""
    loc = [str(part) for part in error["loc"]]
    key = ".".join(loc)
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(loc[-1], _known_keys(schema), n=1, cutoff=0.5)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return f"{key}: unknown key{hint}"
    message = error["msg"].removeprefix("Value error, ")
    found = error.get("input")
    shown = f" (found {found!r})" if isinstance(found, str | int | float | bool) else ""
    return f"{key}: {message}{shown}" if key else f"{message}{shown}"


def _known_keys(schema: type[Section]) -> list[str]:
    """Every key that occurs anywhere in the schema."""
    definitions = [
        schema.model_json_schema(),
        *schema.model_json_schema().get("$defs", {}).values(),
    ]
    return sorted({key for d in definitions for key in d.get("properties", {})})


def resolved(section: Section) -> dict[str, Any]:
    """All settings of a section, defaults included, as plain JSON values."""
    return section.model_dump(mode="json", by_alias=True)


def digest(*sections: Section) -> str:
    """Sixteen hexadecimal digits that change when, and only when, a setting changes."""
    text = json.dumps([resolved(s) for s in sections], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
