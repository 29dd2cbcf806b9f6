"""How training and test differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dmg.config.base import Period, Section

REGIONS = (
    ("1", "2"), ("3", "6"), ("4", "5", "7"), ("9", "10"), ("8", "11", "12", "13"),
    ("14", "15", "16", "18"), ("17",),
)  # fmt: skip
"""Regions of Feng et al. 2023, by two-digit hydrologic unit."""


class _Split(Section):
    """What every split has."""

    train: Period = Field(description="Days whose flow is trained on")
    validate_: Period | None = Field(
        None, alias="validate", description="Days that choose the best epoch; none: the last epoch"
    )
    test: Period = Field(description="Days that are scored")

    @property
    def holds_out(self) -> bool:
        """Whether some basins are never trained on."""
        return True

    @property
    def fold_names(self) -> list[str]:
        """Folds in the order of their numbers; a split in time has one."""
        return ["all"]


class _Folded(_Split):
    """Every basin is held out in one of several folds."""

    only: tuple[int, ...] | None = Field(
        None, min_length=1, description="Numbers of the folds that are run, from 1 on; none: all"
    )

    @property
    def count(self) -> int:
        """Number of all folds."""
        raise NotImplementedError

    @property
    def fold_names(self) -> list[str]:
        """Folds that are run, in the order of their numbers."""
        numbers = range(1, self.count + 1) if self.only is None else sorted(self.only)
        return [f"fold{number:02d}" for number in numbers]

    @model_validator(mode="after")
    def _folds_are_known(self) -> Self:
        if self.only is None or self.count == 0:
            return self
        numbers = set(self.only)
        if len(numbers) < len(self.only) or not numbers <= set(range(1, self.count + 1)):
            raise ValueError(
                f"only: expected different numbers of folds from 1 to {self.count}, found"
                f" {list(self.only)}; name each fold once"
            )
        return self


class TemporalSplit(_Split):
    """The same basins in different years; optionally some basins are never trained on."""

    kind: Literal["temporal"] = "temporal"
    frac_holdout: float = Field(
        0.0, ge=0, lt=1, description="Fraction of basins never trained on, only tested [1]"
    )
    seed: int = Field(0, description="Seed of the choice of held-out basins")
    groups: Path | None = Field(
        None,
        description="Table of basin_id and group (gauges of one river), or a river network (.zarr),"
        " whose groups are held out as a whole; none: each basin on its own, or, with data.gauges,"
        " gauges with all others on their river",
    )

    @property
    def holds_out(self) -> bool:
        """Whether some basins are never trained on."""
        return self.frac_holdout > 0


class PubSplit(_Folded):
    """Prediction in ungauged basins: random or published folds, each held out once."""

    kind: Literal["pub"] = "pub"
    num_folds: int = Field(10, ge=2, description="Number of folds")
    folds: Path | None = Field(
        None,
        description="Table of published folds (columns basin_id, fold), as many as num_folds; none:"
        " random ones",
    )
    seed: int = Field(0, description="Seed of the random folds")

    @property
    def count(self) -> int:
        """Number of all folds."""
        return self.num_folds


class PurSplit(_Folded):
    """Prediction in ungauged regions: each region is held out once."""

    kind: Literal["pur"] = "pur"
    attribute: str = Field("huc_02", description="Attribute that tells where a basin lies")
    regions: tuple[tuple[str, ...], ...] = Field(
        REGIONS, min_length=2, description="Values of the attribute in each region"
    )

    @property
    def count(self) -> int:
        """Number of all folds."""
        return len(self.regions)


class SpatialSplit(_Folded):
    """Compact blocks of the map, each held out once (spatial cross-validation)."""

    kind: Literal["spatial"] = "spatial"
    num_folds: int = Field(5, ge=2, description="Number of folds")

    @property
    def count(self) -> int:
        """Number of all folds."""
        return self.num_folds


class NestedSplit(_Folded):
    """Gauges are held out together with all others on their river, upstream or downstream."""

    kind: Literal["nested"] = "nested"
    groups: Path | None = Field(
        None,
        description="Table of basin_id and group (gauges of one river), or a river network (.zarr);"
        " none: the network of data.gauges",
    )
    num_folds: int = Field(5, ge=2, description="Number of folds")
    seed: int = Field(0, description="Seed of the random folds")

    @property
    def count(self) -> int:
        """Number of all folds."""
        return self.num_folds


class ExtremesSplit(_Folded):
    """Train on water years with a common annual peak, test on rare ones, in time or in space.

    The return periods are those of `data.return_periods`.
    """

    kind: Literal["extremes"] = "extremes"
    threshold: float = Field(
        5.0, ge=1, description="Longest return period of a water year trained on [years]"
    )
    test_threshold: float | None = Field(
        None, ge=1, description="Return period that a tested year exceeds [years]; none: threshold"
    )
    tested: Literal["above", "all"] = Field(
        "above", description="Water years of the test period that are scored: rare ones, or all"
    )
    gap_years: int = Field(
        0, ge=0, description="Years beside a rare one that are not trained on [years]"
    )
    max_years: int | None = Field(
        None, ge=1, description="Largest number of training years of a basin, its first ones"
    )
    num_folds: int | None = Field(
        None, ge=2, description="Folds of basins, each held out once; none: the basins trained on"
    )
    folds: Path | None = Field(
        None, description="Table of published folds (columns basin_id, fold); none: random ones"
    )
    seed: int = Field(0, description="Seed of the random folds")

    @property
    def holds_out(self) -> bool:
        """Whether some basins are never trained on."""
        return self.num_folds is not None

    @property
    def count(self) -> int:
        """Number of all folds; 0 in time alone."""
        return self.num_folds or 0

    @property
    def fold_names(self) -> list[str]:
        """Folds in the order of their numbers; a split in time has one."""
        return super().fold_names if self.num_folds else ["all"]

    @model_validator(mode="after")
    def _folds_are_counted(self) -> ExtremesSplit:
        for name in ("folds", "only"):
            if getattr(self, name) is not None and self.num_folds is None:
                raise ValueError(f"{name}: expected num_folds with it, the number of all folds")
        return self


Split = Annotated[
    TemporalSplit | PubSplit | PurSplit | SpatialSplit | NestedSplit | ExtremesSplit,
    Field(discriminator="kind"),
]


class ReturnPeriods(Section):
    """Return periods of annual peaks: from a table, or fitted after Bulletin 17B."""

    table: Path | None = Field(
        None,
        description="CSV of basin_id (or gauge_id), water_year and return_period[_yr], looked for"
        " here, then below DMG_DATA_ROOT; none: fitted to the largest daily flow of each year",
    )
    regional_skew: float | None = Field(
        0.0, description="Generalised skew that the station's is weighted with; none: not weighted"
    )
    regional_skew_mse: float = Field(
        0.302, gt=0, description="Mean square error of the generalised skew"
    )
