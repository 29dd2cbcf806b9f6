"""Synthetic basins: place, relief, land cover, soil and rock under the names of CAMELS-US.

A few latent gradients, spread evenly over the basins, drive everything: attributes follow them
smoothly with a little scatter, within the range of the real data set (Addor et al. 2017,
doi:10.5194/hess-21-5293-2017). Hence a basin that was held out lies among others like it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GRADIENTS = ("north", "east", "relief", "wet", "clay", "cover", "size")
ROCKS = (
    "Unconsolidated sediments",
    "Siliciclastic sedimentary rocks",
    "Metamorphics",
    "Acid plutonic rocks",
)


def make_basins(num_basins: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw the attributes that do not depend on weather.

    Returns
    -------
    DataFrame
        A row per basin, sorted by its 8-digit id; columns are the latent `GRADIENTS` (0 to 1) and
        the topographic, vegetation, soil and geological attributes of CAMELS-US.
    """
    g = _gradients(num_basins, rng)
    frame = pd.DataFrame({**g, **_topography(g, rng), **_soil(g, rng)})
    frame = frame.assign(**_vegetation(g, frame, rng))
    frame = frame.assign(**_geology(g, rng))
    region = 18 - np.floor(17.999 * g["east"]).astype(int)
    frame["huc_02"] = [f"{r:02d}" for r in region]
    frame["gauge_id"] = [f"{r:02d}99{i:04d}" for i, r in enumerate(region, start=1)]
    frame["gauge_name"] = [f"Synthetic Creek {i}" for i in range(1, num_basins + 1)]
    return frame.set_index("gauge_id").sort_index()


def _gradients(num: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Latin hypercube: each gradient has one basin in every n-th part of its range."""
    return {name: (rng.permutation(num) + rng.uniform(size=num)) / num for name in GRADIENTS}


def _scatter(x: Floats, relative: float, rng: np.random.Generator) -> Floats:
    return x * rng.uniform(1 - relative, 1 + relative, len(x))


def _topography(g: dict[str, Floats], rng: np.random.Generator) -> dict[str, Floats]:
    area = 10 ** (1.4 + 1.9 * g["size"])
    return {
        "gauge_lat": np.round(31 + 16 * g["north"], 5),
        "gauge_lon": np.round(-121 + 50 * g["east"], 5),
        "elev_mean": np.round(40 + 2200 * g["relief"] ** 1.6, 2),
        "slope_mean": np.round(_scatter(3 + 105 * g["relief"], 0.05, rng), 5),
        "area_gages2": np.round(area, 2),
        "area_geospa_fabric": np.round(_scatter(area, 0.05, rng), 2),  # differs, as in CAMELS
    }


def _soil(g: dict[str, Floats], rng: np.random.Generator) -> dict[str, Floats]:
    depth, porosity = 1.5 - 0.7 * g["relief"], 0.40 + 0.07 * g["clay"]
    sand, clay = 64 - 46 * g["clay"], 6 + 32 * g["clay"]
    return {
        "soil_depth_pelletier": _scatter(1 + 18 * (1 - g["relief"]) ** 1.5, 0.1, rng),
        "soil_depth_statsgo": depth,
        "soil_porosity": porosity,
        "soil_conductivity": 4.2 * np.exp(-1.9 * g["clay"]),
        "max_water_content": depth * porosity,
        "sand_frac": sand,
        "silt_frac": 98 - sand - clay,
        "clay_frac": clay,
        "water_frac": np.zeros_like(depth),
        "organic_frac": np.zeros_like(depth),
        "other_frac": np.full_like(depth, 2.0),
    }


def _vegetation(
    g: dict[str, Floats], frame: pd.DataFrame, rng: np.random.Generator
) -> dict[str, Floats | list[str]]:
    forest = 1 / (1 + np.exp(-6 * (0.7 * g["wet"] + 0.3 * g["cover"] - 0.45)))
    evergreen = frame["elev_mean"].to_numpy() > 900
    return {
        "frac_forest": np.round(forest, 4),
        "lai_max": _scatter(1 + 4 * forest, 0.05, rng),
        "lai_diff": _scatter(0.6 + 3 * forest * (0.4 + 0.6 * g["north"]), 0.05, rng),
        "gvf_max": 0.4 + 0.48 * forest,
        "gvf_diff": _scatter(0.12 + 0.35 * g["north"], 0.05, rng),
        "dom_land_cover_frac": 0.55 + 0.4 * np.abs(2 * forest - 1),
        "dom_land_cover": [_cover(f, e) for f, e in zip(forest, evergreen, strict=True)],
        "root_depth_50": 0.13 + 0.1 * forest,
        "root_depth_99": 1.5 + 0.8 * forest,
    }


def _cover(forest: float, evergreen: bool) -> str:
    """Class of land cover, indented as in the tables of CAMELS."""
    if forest < 0.25:
        return "    Grasslands"
    if forest < 0.5:
        return "    Woody Savannas"
    return f"    {'Evergreen Needleleaf' if evergreen else 'Deciduous Broadleaf'} Forest"


def _geology(g: dict[str, Floats], rng: np.random.Generator) -> dict[str, Floats | list[str]]:
    first = np.minimum(3, (4 * (0.8 * g["relief"] + 0.2 * g["clay"])).astype(int))
    share = rng.uniform(0.55, 0.95, len(first))
    return {
        "geol_1st_class": [ROCKS[i] for i in first],
        "glim_1st_class_frac": share,
        "geol_2nd_class": [ROCKS[(i + 1) % 4] for i in first],
        "glim_2nd_class_frac": 0.9 * (1 - share),
        "carbonate_rocks_frac": np.zeros(len(first)),
        "geol_porostiy": 0.20 - 0.17 * g["relief"],  # spelled as in the tables
        "geol_permeability": -12.0 - 3.0 * g["clay"],
    }
