"""Every hydrological model on the same real basins: calibrated, and learned from attributes.

Calibrated: each basin its own parameter set, found by gradient descent for all basins at once.
Learned: an MLP gives the parameters of all basins from their attributes (a δ model). Both follow
`config/experiments/camels60.yaml`, with the settings in `WAYS`; nothing is tuned to the scores.

    python benchmarks/process_models.py --store results/stores/camels_us_531.zarr
        --out results/process_models [--models hbv_1_0 prms] [--published FILE.csv]

What is done is kept: the next call goes on. The table goes to standard output.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

BASE = Path("config/experiments/camels60.yaml")
MODELS = (
    "hbv_1_0", "hbv_1_1p", "hbv_2_0", "hbv_implicit", "prms", "prms_implicit", "sac_sma",
    "sac_sma_daily", "exp_hydro", "hymod+degree_day", "gr4j+degree_day",
)  # fmt: skip
WAYS: dict[str, dict[str, Any]] = {
    "calibrated": {
        "model": {"nn": {"name": "table"}, "num_components": 1},
        "train": {"optimizer": {"name": "adam", "learning_rate": 0.05}},
    },
    "learned": {},
}
HEAD = ("model", "parameters", "mean NSE", "median NSE", "median KGE", "median bias [%]",
        "median FHV [%]", "failed", "training [s]")  # fmt: skip
METRICS = ("nse", "kge", "pbias", "fhv")


def settings(model: str, way: str) -> dict[str, Any]:
    """Experiment of a model in a way."""
    content: dict[str, Any] = yaml.safe_load(BASE.read_text())
    name, _, snow = model.partition("+")
    content["model"]["phy"] = {"name": name} | ({"snow": snow} if snow else {})
    for section, changes in WAYS[way].items():
        content[section] |= changes
    return content


def dmg(*arguments: object) -> float:
    """Run the command; give its seconds."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "dmg", *map(str, arguments)], check=True)
    return time.perf_counter() - start


def run(model: str, way: str, store: Path, out: Path) -> Path:
    """Train, predict and score; gives the folder of the results."""
    folder = out / f"{model}-{way}"
    if (folder / "summary.csv").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    config, ready = folder / "experiment.yaml", out / "preprocess"
    trained = folder / "all" / "seed0" / "model.pt"
    config.write_text(yaml.safe_dump(settings(model, way), sort_keys=False))
    same = ["--config", config, "--store", store]
    if not (ready / "statistics.json").exists():
        dmg("preprocess", *same, "--out", ready)
    same += ["--preprocess", ready]
    seconds = dmg("train", *same, "--launcher", "inline", "--threads", 1, "--out", trained)
    predictions = trained.with_name("predictions.zarr")
    dmg("predict", *same, "--model", trained, "--out", predictions)
    (folder / "seconds.txt").write_text(f"{seconds:.0f}")
    scores, summary = folder / "scores.csv", folder / "summary.csv"
    dmg("score", "--config", config, "--preprocess", ready, "--out", scores,
        "--summary", summary, predictions)  # fmt: skip
    return folder


def row(model: str, way: str, folder: Path) -> str:
    """Line of the table."""
    scores = pd.read_csv(folder / "scores.csv", dtype={"basin_id": str})
    medians = scores[list(METRICS)].median()
    numbers = [f"{scores['nse'].mean():.3f}", *(f"{medians[m]:.3f}" for m in METRICS[:2])]
    numbers += [f"{medians[m]:+.1f}" for m in METRICS[2:]]
    seconds = (folder / "seconds.txt").read_text()
    failed = int(scores["nse"].isna().sum())
    return f"| {model} | {way} | {' | '.join(numbers)} | {failed} | {seconds} |"


def published(path: Path, ids: list[str]) -> str:
    """The same basins in a file of published scores."""
    table = pd.read_csv(path, dtype={"basin": str}).set_index("basin")
    nse = table.loc[[basin for basin in ids if basin in table.index], "nse"]
    return (
        f"\n{path.stem}: median NSE {nse.median():.3f}, mean {nse.mean():.3f},"
        f" {len(nse)} of these {len(ids)} basins"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--store", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--models", nargs="+", default=MODELS)
    options.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    options.add_argument("--published", type=Path, nargs="*", default=[])
    chosen = options.parse_args()
    pairs = [(model, way) for model in chosen.models for way in chosen.ways]
    rows = [row(*pair, run(*pair, chosen.store, chosen.out)) for pair in pairs]
    print("\n".join(["| " + " | ".join(HEAD) + " |", "|---" * len(HEAD) + "|", *rows]))
    ids = pd.read_csv(chosen.out / f"{pairs[0][0]}-{pairs[0][1]}" / "scores.csv",
                      dtype={"basin_id": str})["basin_id"].tolist()  # fmt: skip
    print("".join(published(path, ids) for path in chosen.published))


if __name__ == "__main__":
    main()
