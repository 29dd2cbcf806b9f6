"""Experiments of benchmarks: files of config/experiments with the changes that a benchmark names.

A series without changes is run by its experiment file under that file's name. With changes it is
an experiment of its own, `<id>_<series>`, and its reduced form `<id>_<series>_reduced`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from dmg.config.benchmark import Benchmark, Series, Variation
from dmg.config.files import Ensemble, Experiment
from dmg.config.loading import parse, read_yaml, resolved
from dmg.files import atomic

Raw = dict[str, Any]


class Variants(NamedTuple):
    """Names of the experiments of a series; none where there is none."""

    full: str | None
    reduced: str | None


def load_benchmarks(folder: Path) -> dict[str, Benchmark]:
    """Read and validate every benchmark of a folder, by id, in order of their ids."""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        if not re.fullmatch(r"B\d\d", path.stem):
            raise ValueError(f"{path}: expected a name like B12.yaml; rename it")
        found[path.stem] = parse(Benchmark, read_yaml(path), str(path))
    return found


def merged(base: Raw, change: Mapping[str, Any]) -> Raw:
    """Return settings with some changed; a section of another `name` or `kind` is replaced."""
    result = dict(base)
    for key, value in change.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, Mapping) and _same_choice(old, value):
            result[key] = merged(old, value)
        else:
            result[key] = value
    return result


def _same_choice(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return all(key not in new or new[key] == old.get(key) for key in ("name", "kind"))


class Catalogue:
    """All benchmarks, and the settings of every experiment that they name.

    Parameters
    ----------
    folder
        Folder of the configuration, with `benchmarks/` and `experiments/`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.benchmarks = load_benchmarks(folder / "benchmarks")
        self.derived = {
            name: (series, variation)
            for id_, benchmark in self.benchmarks.items()
            for key, series in benchmark.series.items()
            for name, variation in _derived(f"{id_}_{key}", series)
        }
        self._require_series()
        self._read: dict[str, Raw] = {}
        self.ensembles = dict(self._ensembles())

    def _require_series(self) -> None:
        """Conclusions may name series of other benchmarks."""
        known = {f"{id_}.{key}" for id_, each in self.benchmarks.items() for key in each.series}
        for id_, benchmark in self.benchmarks.items():
            named = (name for c in benchmark.conclusions for pair in c.pairs for name in pair)
            wrong = next((name for name in named if "." in name and name not in known), None)
            if wrong is not None:
                path = self.folder / "benchmarks" / f"{id_}.yaml"
                raise ValueError(f"{path}: conclusions: no series '{wrong}' of another benchmark")

    def variants(self, id_: str, series: str) -> Variants:
        """Names of the full and the reduced experiment of a series."""
        each, stem = self.benchmarks[id_].series[series], f"{id_}_{series}"
        if each.ensemble is not None:
            return Variants(stem, f"{stem}_reduced" if each.reduced else None)
        full = stem if each.change else each.experiment
        if each.reduced is None:
            return Variants(full, None)
        other = None if each.reduced.change else each.reduced.experiment
        return Variants(full, other or f"{stem}_reduced")

    def _ensembles(self) -> Iterator[tuple[str, Ensemble]]:
        """Ensembles of series: of the full protocols, and of the reduced forms."""
        for id_, benchmark in self.benchmarks.items():
            for key, series in benchmark.series.items():
                members = [self.variants(id_, name) for name in series.ensemble or ()]
                names = self.variants(id_, key) if members else ()
                for name, full in zip(names, (True, False), strict=False):
                    chosen = [m.full if full else m.reduced or m.full for m in members]
                    content = {"members": chosen, "basins": benchmark.basins}
                    if name:
                        yield name, parse(Ensemble, content, f"benchmarks: ensemble {name}")

    def experiments(self, id_: str) -> dict[str, Variants]:
        """Names of the experiments of a benchmark, by series; no ensembles."""
        series = self.benchmarks[id_].series
        return {key: self.variants(id_, key) for key, s in series.items() if s.experiment}

    @property
    def names(self) -> list[str]:
        """Names of all experiments of all benchmarks."""
        pairs = (v for id_ in self.benchmarks for v in self.experiments(id_).values())
        return list(dict.fromkeys(name for pair in pairs for name in pair if name))

    def knows(self, name: str) -> bool:
        """Whether there is such an experiment, derived or in a file."""
        return name in self.derived or self._file(name).is_file()

    def _file(self, name: str) -> Path:
        return self.folder / "experiments" / f"{name}.yaml"

    def settings(self, name: str, seen: tuple[str, ...] = ()) -> Raw:
        """Return the settings of an experiment, as a file of config/experiments would have them."""
        if name in seen:
            raise ValueError(f"benchmarks: experiment {name} is made of itself: {seen}")
        if name not in self._read:
            self._read[name] = self._settings(name, (*seen, name))
        return self._read[name]

    def _settings(self, name: str, seen: tuple[str, ...]) -> Raw:
        if name not in self.derived:
            if not self.knows(name):
                raise ValueError(f"benchmarks: expected a file {self._file(name)}, found none")
            return read_yaml(self._file(name))
        series, variation = self.derived[name]
        full = merged(self.settings(series.experiment or "", seen), series.change)
        if variation is None:
            return full
        base = full if variation.experiment is None else self.settings(variation.experiment, seen)
        return merged(base, variation.change)

    def experiment(self, name: str) -> Experiment:
        """Validate the settings of an experiment."""
        derived = name in self.derived
        origin = f"benchmarks: experiment {name}" if derived else str(self._file(name))
        return parse(Experiment, self.settings(name), origin)


def _derived(stem: str, series: Series) -> Iterator[tuple[str, Variation | None]]:
    """Experiments of a series that have no file of their own."""
    if series.experiment is None:
        return
    if series.change:
        yield stem, None
    reduced = series.reduced
    if reduced is not None and (reduced.change or reduced.experiment is None):
        yield f"{stem}_reduced", reduced


def write_experiment(catalogue: Catalogue, name: str, out: Path) -> None:
    """Write an experiment or ensemble of a benchmark as a file like those in the configuration."""
    if name in catalogue.ensembles:
        content = resolved(catalogue.ensembles[name])
    elif name in catalogue.derived:
        catalogue.experiment(name)  # valid, or an error that names the key
        content = catalogue.settings(name)
    else:
        known = ", ".join([*catalogue.derived, *catalogue.ensembles]) or "none"
        raise ValueError(f"{name}: expected an experiment that a benchmark derives: {known}")
    with atomic(out) as temporary:
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        temporary.write_text(text, encoding="utf-8")
