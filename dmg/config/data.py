"""Data: where they come from, what the network sees, how they are split."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from dmg.config.base import Section
from dmg.config.forcing import Forcing, Layout, SyntheticNetwork
from dmg.config.gauges import Gauges
from dmg.config.split import NestedSplit, PubSplit, ReturnPeriods, Split, TemporalSplit

Product = Literal["daymet", "maurer", "maurer_extended", "nldas", "nldas_extended"]
Source = Literal["camels_us", "merit", "nextgen", "nhm", "rapid", "synthetic_network"]

UNITS_LAYOUT = Layout(shard_basins=1024, chunk_basins=256, chunk_days=365)
"""Measured: all days of some units, and some days of all units, both at a good speed."""


class Synthetic(Section):
    """A generated CAMELS-US text tree with a known truth (twin experiment)."""

    num_basins: int = Field(24, ge=4, description="Number of generated basins")
    start: dt.date = Field(dt.date(2000, 10, 1), description="First generated day")
    years: int = Field(8, ge=2, description="Length of the generated record [years]")
    noise: float = Field(0.05, ge=0, lt=1, description="Relative error of the observed flow [1]")
    frac_missing: float = Field(0.02, ge=0, lt=1, description="Fraction of missing flow days [1]")
    seed: int = Field(1, description="Seed of the generator")


class Data(Section):
    """Where the data come from, what the network sees, and how they are split."""

    source: Source = Field("camels_us", description="Reader of the raw files")
    dataset: str = Field(
        "camels_us", description="Folder or archive under the data root: <dataset>[/.zip/.tar.xz]"
    )
    store: str | None = Field(
        None, description="Name of the extracted store; default: the dataset's name"
    )
    product: Product = Field("daymet", description="Forcing product")
    forcing: Forcing | None = Field(
        None, description="Where the units of a river network have their weather from"
    )
    synthetic: Synthetic | None = Field(None, description="Generate the dataset instead")
    synthetic_network: SyntheticNetwork | None = Field(
        None, description="Generate the dataset instead: a river network, and basins of its gauges"
    )
    layout: Layout | None = Field(
        None, description="Shards and chunks of the store; none: what suits the source"
    )
    gauges: Gauges | None = Field(
        None, description="Train and score at gauges of the river network, with all units upstream"
    )
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
    pet: Literal["hargreaves", "priestley_taylor", "hamon", "penman_monteith"] = Field(
        "hargreaves", description="Formula of potential evapotranspiration"
    )
    target: Literal["streamflow"] = Field("streamflow", description="Variable to be learned")
    target_per: str | None = Field(
        None,
        description="Attribute that a network's flow is measured in, as p_mean: what it learns is"
        " then a share of the precipitation; for models without physics",
    )
    split: Split = Field(description="How training and test differ")
    return_periods: ReturnPeriods = Field(
        ReturnPeriods(), description="Return periods of annual peaks"
    )

    @model_validator(mode="after")
    def _log_is_input(self) -> Data:
        extra = sorted(set(self.log_forcings) - set(self.forcings))
        if extra:
            raise ValueError(f"log_forcings {extra} are not among forcings {list(self.forcings)}")
        return self

    @model_validator(mode="after")
    def _source_has_what_it_needs(self) -> Data:
        is_network = self.source != "camels_us"
        if is_network != (self.forcing is not None):
            expected, do = ("one", "add it") if is_network else ("none", "remove it")
            raise ValueError(f"forcing: expected {expected} for source {self.source}; {do}")
        self._split_suits_the_gauges(is_network)
        self._require_one_generator()
        return self

    def _split_suits_the_gauges(self, is_network: bool) -> None:
        if self.gauges is not None and not is_network:
            raise ValueError(
                f"gauges: expected none for source {self.source}, whose basins have a gauge each;"
                " remove it"
            )
        whole = isinstance(self.split, TemporalSplit | PubSplit | NestedSplit)
        published = isinstance(self.split, PubSplit) and self.split.folds is not None
        if self.gauges is not None and (published or not whole):
            raise ValueError(
                "split: expected temporal, nested or random pub with data.gauges, found"
                f" {self.split.kind} with folds that may train on gauges up- or downstream of"
                " tested ones"
            )
        nested = isinstance(self.split, NestedSplit) and self.split.groups is None
        if nested and self.gauges is None:
            raise ValueError(
                "split: expected groups with kind nested, found none; name a table or a river"
                " network in data.split.groups"
            )

    def _require_one_generator(self) -> None:
        if self.source == "synthetic_network" and self.synthetic_network is None:
            raise ValueError(
                "synthetic_network: expected settings for source synthetic_network, found none;"
                " `synthetic_network: {}` has all defaults"
            )
        found = [name for name in ("synthetic", "synthetic_network") if getattr(self, name)]
        if len(found) > 1 or (found and self.source not in ("camels_us", "synthetic_network")):
            raise ValueError(
                f"{found[-1]}: expected nothing that generates the data of source {self.source}"
                f" a second time, found {' and '.join(found)}; remove it"
            )

    @model_validator(mode="after")
    def _hargreaves_has_a_range(self) -> Data:
        if self.pet == "hargreaves" and self.product in ("maurer", "nldas"):
            raise ValueError(
                f"product {self.product} has one temperature as minimum and maximum, so that"
                f" pet: hargreaves would be 0; use {self.product}_extended or priestley_taylor"
            )
        return self

    @model_validator(mode="after")
    def _target_per_is_known(self) -> Data:
        if self.target_per is not None and self.target_per not in self.attributes:
            raise ValueError(
                f"target_per: expected one of attributes, found '{self.target_per}'; list it there"
            )
        return self

    @property
    def is_generated(self) -> bool:
        """Whether the raw data are generated, not found under the data root."""
        return bool(self.synthetic or self.synthetic_network)

    @property
    def store_name(self) -> str:
        """Name of the store, `stores/<name>.zarr`."""
        return self.store or self.dataset

    @property
    def store_layout(self) -> Layout:
        """Shards and chunks of the store: for whole series of basins, or for both of many units."""
        if self.layout is not None:
            return self.layout
        return Layout() if self.source == "camels_us" else UNITS_LAYOUT
