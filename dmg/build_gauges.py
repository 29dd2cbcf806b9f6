"""From configuration to data of gauges on a river network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dmg.config import Experiment, MuskingumCunge, Train
from dmg.data.gauge_loader import GaugeLoader
from dmg.data.gauge_sampler import GaugeSampler, tile_gauges
from dmg.data.loader import DataLoader, open_loader
from dmg.data.network import Network
from dmg.data.sampler import Windows


def at_gauges(
    experiment: Experiment, units: DataLoader, network: Network, preprocessed: Path, target: bool
) -> GaugeLoader:
    """Loader of gauges from that of their units; the flow is read if it is the `target`."""
    observed = open_loader(
        [preprocessed / "derived.zarr"],
        forcings=(),
        target=experiment.data.target,
        basin_ids=network.gauge_id.tolist(),
        cache_mb=experiment.train.cache_mb,
    )
    with_reaches = isinstance(experiment.model.routing, MuskingumCunge)
    return GaugeLoader(units, network, observed if target else None, with_reaches=with_reaches)


def build_gauge_sampler(
    train: Train,
    loader: GaugeLoader,
    rows: Sequence[int],
    first: Sequence[int],
    last: Sequence[int],
    seed: int,
) -> GaugeSampler:
    """Sampler of gauges with all their units, from their rows and training days."""
    return GaugeSampler(
        rows,
        first,
        last,
        loader.drainage,
        loader.basin_ids,
        units_per_batch=train.units_per_batch,
        window=train.window,
        warmup=train.warmup,
        seed=seed,
        steps_per_epoch=train.steps_per_epoch,
    )


def gauge_windows(
    train: Train,
    loader: GaugeLoader,
    rows: Sequence[int],
    first: Sequence[int],
    last: Sequence[int],
) -> list[Windows]:
    """Consecutive windows of some gauges' days, for validation."""
    return tile_gauges(
        rows,
        first,
        last,
        loader.drainage,
        units_per_batch=train.units_per_batch,
        window=train.window,
        warmup=train.warmup,
    )
