"""Training: loss, optimiser, windows, length and resources."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dmg.config.base import Section

STANDARDIZED = (
    "Measure errors in standard deviations of the pooled target, as published: the loss changes by"
    " a constant factor, which clip_norm sees"
)


class Mse(Section):
    """Mean squared error."""

    name: Literal["mse"] = "mse"
    standardized: bool = Field(False, description=STANDARDIZED)


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
    standardized: bool = Field(False, description=STANDARDIZED)


class NseSqrtBatch(Section):
    """Absolute error over the training standard deviation of each basin."""

    name: Literal["nse_sqrt_batch"] = "nse_sqrt_batch"
    epsilon: float = Field(0.1, ge=0, description="Added to the standard deviation [mm d-1]")
    beta: float = Field(1e-6, gt=0, description="Offset under the root")


class _Kge(Section):
    epsilon: float = Field(0.1, ge=0, description="Added to denominators [mm d-1]")
    per_window: bool = Field(
        False, description="Mean over windows; otherwise all values of a batch are one sample"
    )


class KgeBatch(_Kge):
    """Distance from an ideal Kling-Gupta efficiency (Gupta et al. 2009)."""

    name: Literal["kge_batch"] = "kge_batch"


class KgeNormBatch(_Kge):
    """Kling-Gupta efficiency, normalised so that the loss is never above 2."""

    name: Literal["kge_norm_batch"] = "kge_norm_batch"


Loss = Annotated[
    Mse | Rmse | RmseComb | NseBatch | NseSqrtBatch | KgeBatch | KgeNormBatch,
    Field(discriminator="name"),
]


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


class ListedSchedule(Section):
    """Learning rates of their own from listed epochs on."""

    name: Literal["listed"] = "listed"
    learning_rates: dict[int, float] = Field(
        min_length=1, description="Learning rate from an epoch on, by epoch (the first is 1)"
    )

    @model_validator(mode="after")
    def _in_range(self) -> ListedSchedule:
        if min(self.learning_rates) < 2 or min(self.learning_rates.values()) <= 0:
            raise ValueError(
                "expected positive learning rates from epoch 2 or later on, found"
                f" {self.learning_rates}; that of the first epoch is the optimizer's"
            )
        return self


Schedule = Annotated[StepSchedule | CosineSchedule | ListedSchedule, Field(discriminator="name")]


RESOURCES = (
    "processes", "threads", "cache_mb", "accumulate", "recompute_days", "seeds",
    "checkpoint_minutes", "trackers",
)  # fmt: skip
"""Settings of `train` that change how, or how often, a training runs, but not what it gives."""


class Train(Section):
    """Loss, optimiser, windows, length and resources of the training."""

    loss: Loss = Field(RmseComb(), description="Loss function")
    optimizer: Optimizer = Field(Adadelta(), description="Optimiser")
    schedule: Schedule | None = Field(None, description="Learning-rate schedule")
    epochs: int = Field(50, ge=1, description="Passes over the training data")
    draw: Literal["random", "each_day"] = Field(
        "random",
        description="Windows of an epoch: drawn at random, with replacement, within the training"
        " period; or one that begins on each day of each basin, in random order, whose warm-up may"
        " lie before the period (sequence-to-one: window: 1)",
    )
    steps_per_epoch: int | None = Field(
        None,
        ge=1,
        description="Steps an epoch; none: 99 % of the days are expected to be drawn, or, with"
        " draw: each_day, all windows",
    )
    batch_size: int = Field(100, ge=1, description="Windows a step, over all processes")
    units_per_batch: int = Field(
        1000,
        ge=1,
        description="Units a step at most, over all processes, where data.gauges is set: as many"
        " gauges as they fit, in place of batch_size",
    )
    window: int = Field(365, ge=1, description="Scored days of a window [d]")
    warmup: int = Field(365, ge=0, description="Days simulated before the scored ones [d]")
    warmup_gradient: Literal["none", "network", "all"] = Field(
        "network",
        description="What learns from the warm-up days: nothing; the network's memory; or all, with"
        " dynamic parameters and routing, whose stores are otherwise filled with static ones",
    )
    clip_norm: float | None = Field(None, gt=0, description="Largest norm of the gradient")
    accumulate: int = Field(
        1,
        ge=1,
        description="Pieces in which a process simulates its windows of a step, which needs less"
        " memory; the gradient stays that of all windows together",
    )
    recompute_days: int | None = Field(
        None,
        ge=1,
        description="Days of the network's pass kept in memory for the gradient; the others are"
        " computed twice, which needs less memory and more time; none: all are kept [d]",
    )
    compress_gradients: Literal["bfloat16"] | None = Field(
        None,
        description="Type in which processes send their gradients: half the bytes, errors of about"
        " 0.4 % in each; none: as they are",
    )
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="One training run for each")
    validate_every: int = Field(1, ge=1, description="Epochs between two validations")
    patience: int | None = Field(
        None, ge=1, description="Validations without improvement before stopping; none: never"
    )
    checkpoint_minutes: float = Field(
        10.0, gt=0, description="Longest time between two checkpoints [min]"
    )
    trackers: tuple[Literal["tensorboard", "mlflow"], ...] = Field(
        (), description="Records of the training beside metrics.jsonl, which is always there"
    )
    processes: int = Field(1, ge=1, description="Processes (ranks) of the training")
    cache_mb: float = Field(
        512,
        ge=0,
        description="Memory of a process for series that were read from the store; what does not"
        " fit is read again, while the model works on the step before [MB]",
    )
    threads: int | None = Field(None, ge=1, description="Threads a process; none: cores/processes")
