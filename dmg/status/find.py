"""Run folders below the folders that a user names."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from dmg.run_files import CHECKPOINTS, CONFIG, FAILURE, LOCK, METRICS, SLURM_JOB
from dmg.status.evidence import read_train_settings

MARKS = (CONFIG, METRICS, CHECKPOINTS, LOCK, SLURM_JOB, FAILURE)
DEPTHS = ("seed*", "*/seed*", "*/*/seed*")
FOLD, SEED = re.compile(r"all|fold\d+"), re.compile(r"seed\d+")


def find_runs(folders: Sequence[Path]) -> list[Path]:
    """Run folders that are named, and those of the experiments that are.

    Parameters
    ----------
    folders
        Run folders, results folders of experiments, or a folder of such.

    Raises
    ------
    ValueError
        If a folder is none of these.
    """
    return list(dict.fromkeys(run for folder in folders for run in _runs_of(folder)))


def _runs_of(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(2, "no such folder", str(folder))
    if _is_run(folder):
        return [folder]
    there = [p for depth in DEPTHS for p in folder.glob(depth) if _has_run_name(p)]
    if not there:
        raise ValueError(
            f"{folder}: expected a run folder, such as results/demo/all/seed0, or one with runs"
            " below it, found neither; has its training started?"
        )
    whole = {run.parent.parent for run in there if run.parent != folder}
    expected = [run for experiment in whole for run in _expected(experiment)]
    return sorted({*there, *expected}, key=_order)


def _is_run(folder: Path) -> bool:
    return _has_run_name(folder) or any((folder / mark).exists() for mark in MARKS)


def _has_run_name(folder: Path) -> bool:
    return bool(SEED.fullmatch(folder.name) and FOLD.fullmatch(folder.parent.name))


def _expected(experiment: Path) -> Iterator[Path]:
    """Give the runs of all folds and seeds, once one of them has written its settings."""
    settings = [read_train_settings(run) for run in experiment.glob("*/seed*")]
    seeds = {seed for each in settings for seed in each.get("seeds", [])}
    splits = experiment / "preprocess" / "splits.csv"
    if seeds and splits.is_file():
        with splits.open(encoding="utf-8", newline="") as file:
            folds = {row["fold"] for row in csv.DictReader(file)}
        yield from (experiment / fold / f"seed{seed}" for fold in folds for seed in seeds)


def _order(run: Path) -> tuple[Path, int]:
    return run.parent, int(run.name.removeprefix("seed"))
