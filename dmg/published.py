"""Published scores of single basins, to be shown beside ours on the same basins.

The files are those of Kratzert et al. 2019, Water Resources Research 55,
doi:10.1029/2019WR026065: a row per basin, tested on 1995-10-01 to 2010-09-30 whatever the days of
an experiment here. They are not part of this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

SOURCE = "doi:10.1029/2019WR026065"
PERIOD = "1995-10-01 to 2010-09-30"


class Published(NamedTuple):
    """A published file: its name, what it scores, on which basins."""

    file: str
    model: str
    meaning: str


PUBLISHED: dict[str, Published] = {
    p.model: p
    for p in (
        Published("global_lstm_static.csv", "LSTM, gauged", "10 seeds, NLDAS, 27 attributes"),
        Published("global_lstm_no_static.csv", "LSTM, no attributes", "10 seeds, NLDAS"),
        Published("pub_lstm.csv", "LSTM, ungauged", "12 folds of unseen basins, 10 seeds, NLDAS"),
        Published("benchmark_sacsma_ensemble.csv", "SAC-SMA", "calibrated by basin, 10 seeds"),
        Published("benchmark_nwm_retrospective.csv", "NWM", "National Water Model, retrospective"),
    )
}
"""Published models by the name that tables show."""

COLUMNS = {"basin": "basin_id", "nse": "nse", "stdev": "alpha", "bias": "bias"}


def published_scores(folder: Path, models: Sequence[str] = tuple(PUBLISHED)) -> pd.DataFrame:
    """Read published scores.

    Parameters
    ----------
    folder
        Folder of the files that `PUBLISHED` names.
    models
        Keys of `PUBLISHED`.

    Returns
    -------
    DataFrame
        A row per model and basin: basin_id, model, period, nse, alpha (ratio of standard
        deviations), bias (relative), source.

    Raises
    ------
    ValueError
        If a model is not known, or a file is not what it should be.
    FileNotFoundError
        If a file is missing.
    """
    unknown = [name for name in models if name not in PUBLISHED]
    if unknown:
        raise ValueError(f"published models: unknown {unknown}; choose from {list(PUBLISHED)}")
    return pd.concat([_read(folder, PUBLISHED[name]) for name in models], ignore_index=True)


def beside(ours: pd.DataFrame, published: pd.DataFrame, metric: str = "nse") -> pd.DataFrame:
    """Compare our scores with published ones on the basins that both have.

    Parameters
    ----------
    ours
        Scores, one row per basin.
    published
        As `published_scores` gives them.
    metric
        Column of both.

    Returns
    -------
    DataFrame
        A row per published model: model, period (theirs), basins (common to both), basins_ours,
        published and ours (medians on the common basins), better (share of them where ours is).
    """
    rows = []
    own = ours.set_index("basin_id")[metric]
    for model, table in published.groupby("model", sort=False):
        pair = pd.concat(
            {"ours": own, "published": table.set_index("basin_id")[metric]}, axis=1, join="inner"
        ).dropna()
        rows.append(
            {
                "model": model,
                "period": table["period"].iloc[0],
                "basins": len(pair),
                "basins_ours": len(own),
                "published": pair["published"].median(),
                "ours": pair["ours"].median(),
                "better": (pair["ours"] > pair["published"]).mean(),
            }
        )
    return pd.DataFrame(rows)


def _read(folder: Path, about: Published) -> pd.DataFrame:
    path = folder / about.file
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; it belongs to the data of Kratzert et al. 2019 ({SOURCE}):"
            " put it there, or leave the comparison out"
        )
    table = pd.read_csv(path, dtype={"basin": str})
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise ValueError(f"{path}: expected the columns {list(COLUMNS)}; missing: {missing}")
    table = table.rename(columns=COLUMNS)[list(COLUMNS.values())]
    twice = table["basin_id"][table["basin_id"].duplicated()]
    if len(twice):
        raise ValueError(f"{path}: basin {twice.iloc[0]} occurs twice; keep one row of each")
    table.insert(1, "model", about.model)
    table.insert(2, "period", PERIOD)
    return table.assign(source=SOURCE)
