"""A benchmark: published values, the models that replicate them, and what to say of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from dmg.config.base import Section
from dmg.config.evaluate import Metric

Tag = Literal["T", "F", "A", "C"]
Statistic = Literal["median", "mean", "median_abs", "q25", "q75", "below_zero"]


class Variation(Section):
    """The same series with less data, another forcing or a shorter training."""

    experiment: str | None = Field(
        None, description="Another experiment to start from; none: that of the full protocol"
    )
    change: dict[str, Any] = Field({}, description="Settings that differ from that experiment")


class Series(Section):
    """One model: trained here, an ensemble of trained ones, or read from a published file."""

    label: str = Field(description="Name in tables and plots")
    experiment: str | None = Field(
        None,
        description="File in config/experiments, or <id>_<series> of another benchmark",
    )
    change: dict[str, Any] = Field(
        {}, description="Settings of the published protocol that differ from that experiment"
    )
    reduced: Variation | None = Field(
        None, description="What smaller machines or data allow; `{}` for an ensemble of such"
    )
    ensemble: tuple[str, ...] | None = Field(
        None, min_length=2, description="Series whose mean flow is scored"
    )
    file: str | None = Field(None, description="File of published scores, a row per basin")
    column: str = Field("nse", description="Column of that file")
    impossible: str | None = Field(None, description="Why nobody can run it from here")

    @model_validator(mode="after")
    def _has_one_origin(self) -> Series:
        origins = ("experiment", "ensemble", "file", "impossible")
        given = [name for name in origins if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected one of {', '.join(origins)}, found {given or 'none'}")
        if self.experiment is None and self.change:
            raise ValueError("change needs an experiment that it changes; name one")
        return self


class Published(Section):
    """One published value."""

    series: str = Field(description="Which series replicates it")
    metric: Metric | Literal["peak_error"] = Field("nse", description="Metric of each basin")
    statistic: Statistic = Field("median", description="Over basins; below_zero counts them")
    of: Literal["seeds", "ensemble"] = Field(
        "seeds", description="Mean over seeds of the statistic, or that of the mean simulated flow"
    )
    group: str | None = Field(None, description="Group of basins or events, such as 5-25 years")
    value: float | None = Field(None, description="The value; none: nothing was published")
    tolerance: float = Field(0.01, ge=0, description="Difference that counts as replicated")
    source: str = Field("", description="Where it stands")
    tag: Tag | None = Field(
        None, description="Read as text or table, off a figure, in an abstract; or computed"
    )

    @model_validator(mode="after")
    def _has_a_source(self) -> Published:
        if self.value is not None and not (self.source and self.tag):
            raise ValueError("a published value needs a source and a tag; say where it stands")
        return self


class Curve(Section):
    """Published scores of each basin, drawn beside ours."""

    label: str = Field(description="Name in plots")
    file: str = Field(description="File in the folder `published` of the data root")
    column: str = Field("nse", description="Its column of scores")
    period: str = Field(description="Days that were scored, for the legend and notes")


class Event(Section):
    """A flood to be shown as a hydrograph."""

    basin: str = Field(description="Basin id")
    water_year: int = Field(description="October of the year before to September of this one")
    label: str = Field(description="What is special about it")


class Conclusion(Section):
    """What a publication says: some series are better than others."""

    claim: str = Field(description="The conclusion, in a line")
    source: str = Field(description="Where it stands")
    metric: Metric | Literal["peak_error"] = Field("nse", description="Metric that is compared")
    groups: tuple[str, ...] = Field(
        (), description="Return periods of the compared peaks, such as 50-100; none: all"
    )
    pairs: tuple[tuple[str, str], ...] = Field(
        min_length=1,
        description="A series that is said to be better, and another: `dhbv`, or `B11.dhbv` of"
        " another benchmark; twice the same: its ensemble over seeds, and those",
    )


class Benchmark(Section):
    """Published values, and the experiments that replicate them."""

    title: str = Field(description="What is replicated, in a line")
    reference: str = Field(description="Publication, with its DOI")
    protocol: str = Field(description="Basins, periods, forcing, training: as published")
    expected_basins: int = Field(ge=1, description="Basins of the published statistics")
    basins: Path | None = Field(
        None, description="Ids of the scored basins, a line each; none: all that were tested"
    )
    series: dict[str, Series] = Field(min_length=1, description="Models, by names of your own")
    published: tuple[Published, ...] = Field(min_length=1, description="Published values")
    curves: tuple[Curve, ...] = Field((), description="Published scores of each basin")
    events: tuple[Event, ...] = Field((), description="Floods to be shown")
    conclusions: tuple[Conclusion, ...] = Field(
        (), description="What the publication says of its models, to be checked on ours"
    )
    caveats: tuple[str, ...] = Field((), description="What a reader must know to compare")

    @model_validator(mode="after")
    def _series_are_known(self) -> Benchmark:
        for number, row in enumerate(self.published):
            if row.series not in self.series:
                known = ", ".join(self.series)
                raise ValueError(
                    f"published.{number}.series: no series '{row.series}'; there are: {known}"
                )
        for name in (n for c in self.conclusions for pair in c.pairs for n in pair):
            if "." not in name and name not in self.series:
                known = ", ".join(self.series)
                raise ValueError(f"conclusions: no series '{name}'; there are: {known}")
        for key, series in self.series.items():
            wrong = [name for name in series.ensemble or () if not self._is_trained(name)]
            if wrong:
                raise ValueError(f"series.{key}.ensemble: {wrong} are no series that are trained")
        return self

    def _is_trained(self, name: str) -> bool:
        return name in self.series and self.series[name].experiment is not None
