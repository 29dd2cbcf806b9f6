"""What the rules need to know of the experiments; everything is validated before the DAG is built."""

import hashlib
import json
import os
import shlex
import sys
from functools import cache, reduce
from operator import getitem
from pathlib import Path

import dmg.config  # not its names: Snakemake has a `config` and a `parse` of its own

EXTRACTION = (
    "source",
    "dataset",
    "product",
    "synthetic",
    "synthetic_network",
    "forcing",
    "layout",
    "basins",
)
# What the weights depend on.
TRAINING = [key for key in dmg.config.Train.model_fields if key not in dmg.config.RESOURCES]
# What scores depend on, besides predictions.
SCORING = ("data.return_periods", "evaluate.metrics", "evaluate.min_days", "evaluate.groups")
# Resources of a training that its launcher takes; account, partition and constraint by the names
# that Snakemake's own jobs have for them.
SLURM_RESOURCES = {
    "account": "slurm_account",
    "partition": "slurm_partition",
    "constraint": "constraint",
    "qos": "qos",
    "nodes": "nodes",
    "gpus_per_node": "gpus_per_node",
    "mem_mb": "mem_mb",
    "runtime": "runtime",
    "setup": "setup",
    "python": "python",
}
# The same of the jobs in which Dask preprocesses, beside the rule's own job.
DASK_RESOURCES = {
    "account": "slurm_account",
    "partition": "slurm_partition",
    "constraint": "constraint",
    "qos": "qos",
    "jobs": "dask_jobs",
    "mem_mb": "dask_mem_mb",
    "runtime": "dask_runtime",
    "interface": "dask_interface",
    "setup": "setup",
    "python": "python",
}
RESERVED = {"benchmarks", "raw", "stores"}

# The interpreter that runs Snakemake runs the jobs too. Zarr warns of the timestamp that Snakemake
# leaves in each folder that a rule writes.
BIN = shlex.quote(str(Path(sys.executable).parent))
QUIET = (
    "${{PYTHONWARNINGS:+$PYTHONWARNINGS,}}ignore:Object at .snakemake_timestamp"  # {{: for shell()
)
shell.prefix(f'export PATH={BIN}:$PATH PYTHONWARNINGS="{QUIET}"; ')


def experiment_file(name: str) -> str:
    """The experiment's file: written by a rule for one that only a benchmark knows."""
    if name in CATALOGUE.derived:
        return f"{R}/benchmarks/experiments/{name}.yaml"
    return f"config/experiments/{name}.yaml"


def ensemble_file(wildcards) -> str:
    """The ensemble's file: written by a rule for one that only a benchmark knows."""
    if wildcards.ensemble in CATALOGUE.ensembles:
        return f"{R}/benchmarks/experiments/{wildcards.ensemble}.yaml"
    return f"config/ensembles/{wildcards.ensemble}.yaml"


def load_all():
    """The run, the benchmarks, all experiments and ensembles, or one line that says what is wrong."""
    try:
        run = dmg.config.parse(dmg.config.Run, config, "config/config.yaml")
        catalogue = dmg.config.Catalogue(Path("config"))
        ensembles = {
            name: dmg.config.parse(dmg.config.Ensemble, dmg.config.read_yaml(path), path)
            for name, path in files("ensembles", run.ensembles)
        }
        members = [name for ensemble in ensembles.values() for name in ensemble.members]
        named = dict.fromkeys([*run.experiments, *members])
        list(files("experiments", (name for name in named if name not in catalogue.derived)))
        experiments = {name: catalogue.experiment(name) for name in named}
        both = sorted(set(ensembles) & set(experiments))
        if both:
            raise ValueError(f"ensembles: {both} are experiments too; rename one of them")
        experiments |= needed(experiments, run, catalogue)
        check_all_shared(experiments)
        for name in catalogue.names:
            experiments.setdefault(name, catalogue.experiment(name))
    except ValueError as error:
        raise SystemExit(f"dmg: error: {error}") from None
    return run, catalogue, experiments, ensembles | catalogue.ensembles


def files(kind: str, names):
    """Each name with its file; an unknown name is an error."""
    for name in names:
        path = f"config/{kind}/{name}.yaml"
        if name in RESERVED or not Path(path).is_file():
            known = ", ".join(sorted(p.stem for p in Path(f"config/{kind}").glob("*.yaml")))
            raise ValueError(f"{kind}: no file {path}; there are: {known}")
        yield name, path


def check_all_shared(experiments: dict) -> None:
    check_shared(experiments, "store_name", EXTRACTION, "store")
    check_shared(experiments, "dataset", ("synthetic", "synthetic_network"), "dataset")


def needed(experiments: dict, run, catalogue) -> dict:
    """Further experiments whose stores or folders those read, by name; nothing else is run."""
    known = dict(experiments)
    while True:
        made = {each.data.store_name for each in known.values()}
        wanted = [make for each in known.values() for make in makers(each, run)]
        names = [name for store, name in wanted if name and name not in known and store not in made]
        if not names:
            return {name: each for name, each in known.items() if name not in experiments}
        known[names[0]] = catalogue.experiment(names[0])


def makers(experiment, run):
    """Each store that an experiment reads beside its own, or none, with an experiment that makes it."""
    data = experiment.data
    for part in (data.forcing, data.gauges):
        if getattr(part, "store", None):
            yield part.store, maker_of_store(part.store)
    for path in (data.basins, getattr(data.split, "groups", None)):
        if isinstance(path, Path) and path.is_relative_to(run.results_dir):
            yield None, path.relative_to(run.results_dir).parts[0]


def maker_of_store(store: str) -> str | None:
    """The first shipped experiment that makes a store."""
    for path in sorted(Path("config/experiments").glob("*.yaml")):
        data = dmg.config.read_yaml(path).get("data", {})
        if data.get("store", data.get("dataset", "camels_us")) == store:
            return path.stem
    return None


def check_shared(experiments: dict, shared: str, settings: tuple[str, ...], key: str) -> None:
    """Experiments that share a store (or a dataset) must agree on what makes it."""
    first = {}
    for name, experiment in experiments.items():
        owner = first.setdefault(getattr(experiment.data, shared), name)
        for setting in settings:
            if getattr(experiments[owner].data, setting) != getattr(experiment.data, setting):
                raise ValueError(
                    f"experiments {owner} and {name} share {key} '{getattr(experiment.data, shared)}'"
                    f" but differ in data.{setting}; set data.{key} in one of them"
                )


RUN, CATALOGUE, EXPERIMENTS, ENSEMBLES = load_all()
R = str(RUN.results_dir)
DATA_ROOT = os.environ.get("DMG_DATA_ROOT") or str(RUN.data_root)


wildcard_constraints:
    experiment="|".join(EXPERIMENTS),
    ensemble="|".join(ENSEMBLES) or "none",
    store="|".join(sorted({e.data.store_name for e in EXPERIMENTS.values()})),
    dataset="|".join(sorted({e.data.dataset for e in EXPERIMENTS.values()})),
    fold="all|fold[0-9]+",
    seed="seed[0-9]+",


GAUGED = "|".join(name for name, each in EXPERIMENTS.items() if each.data.gauges) or "none"


def owner(wildcards) -> str:
    """The first experiment that uses the store or dataset of a rule, or the rule's own."""
    if hasattr(wildcards, "experiment"):
        return wildcards.experiment
    key = "store_name" if hasattr(wildcards, "store") else "dataset"
    value = getattr(wildcards, key.removesuffix("_name"))
    return next(n for n, e in EXPERIMENTS.items() if getattr(e.data, key) == value)


def on_a_network(dataset: str) -> str:
    """The first experiment whose units are those of the dataset's river network."""
    return next(
        name
        for name, experiment in EXPERIMENTS.items()
        if experiment.data.dataset == dataset and experiment.data.source != "camels_us"
    )


def config_file(wildcards) -> str:
    return experiment_file(owner(wildcards))


def digest(*keys: str):
    """Digest of the settings (`section` or `section.key`) that a stage reads; with none: of all."""

    @cache
    def of_experiment(name: str) -> str:
        settings = resolved(name)
        return digest_of(
            {key: reduce(getitem, key.split("."), settings) for key in keys} or settings
        )

    return lambda wildcards: of_experiment(owner(wildcards))


@cache
def resolved(name: str) -> dict:
    return dmg.config.resolved(EXPERIMENTS[name])


def digest_of(content) -> str:
    """Sixteen hexadecimal digits of plain JSON values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def basin_list(wildcards) -> list[str]:
    """The file of basin ids, where the experiment names one."""
    basins = EXPERIMENTS[owner(wildcards)].data.basins
    return [str(basins)] if isinstance(basins, Path) else []


def split_tables(wildcards) -> list[str]:
    """The tables that the experiment's split reads: folds, groups, return periods."""
    data = EXPERIMENTS[wildcards.experiment].data
    named = [getattr(data.split, name, None) for name in ("folds", "groups")]
    if data.split.kind == "extremes":
        named.append(data.return_periods.table)
    made = [path for path in named if path and path.is_relative_to(RUN.results_dir)]
    return [str(path) for path in named if path and (path in made or os.path.exists(path))]


def data_root(wildcards) -> str:
    """Where the dataset lies: generated ones among the results."""
    return f"{R}/raw" if EXPERIMENTS[owner(wildcards)].data.is_generated else DATA_ROOT


def places(name: str) -> list[str]:
    """Where the raw data of an experiment may lie."""
    data = EXPERIMENTS[name].data
    root = f"{R}/raw" if data.is_generated else DATA_ROOT
    return [f"{root}/{data.dataset}{end}" for end in ("", ".zip", ".tar.xz")]


def at_hand(name: str) -> bool:
    """Whether an experiment has data, extracted or raw, or makes its own."""
    data = EXPERIMENTS[name].data
    found = (f"{R}/stores/{data.store_name}.zarr", *places(name))
    return data.is_generated or any(map(os.path.exists, found))


def raw_data(wildcards) -> str:
    """The folder or archive of the dataset."""
    name = owner(wildcards)
    if not at_hand(name):
        raise SystemExit(
            f"dmg: error: dataset '{EXPERIMENTS[name].data.dataset}' of experiment {name}: expected"
            f" {' or '.join(places(name))}, found none; set data_root or DMG_DATA_ROOT,"
            " or see what can be fetched: dmg data list"
        )
    return next(filter(os.path.exists, places(name)), places(name)[0])


def truth(wildcards) -> list[str]:
    """The generated tree of a twin experiment, which holds the true parameters and flow."""
    return [raw_data(wildcards)] if EXPERIMENTS[owner(wildcards)].data.is_generated else []


def forcing_store(wildcards) -> list[str]:
    """The store of basins that the units of a network have their weather from."""
    name = owner(wildcards)
    forcing = EXPERIMENTS[name].data.forcing
    if forcing is None or forcing.name != "spatial_interpolation":
        return []
    path = f"{R}/stores/{forcing.store}.zarr"
    made = {each.data.store_name for each in EXPERIMENTS.values()}
    if forcing.store not in made and not os.path.exists(path):
        raise SystemExit(
            f"dmg: error: experiment {name}: data.forcing.store: expected a store that an experiment"
            f" makes, found '{forcing.store}' in none of {', '.join(RUN.experiments)}; add one that"
            " makes it to `experiments`"
        )
    return [path]


def store(wildcards) -> str:
    return f"{R}/stores/{EXPERIMENTS[wildcards.experiment].data.store_name}.zarr"


def basin_store(wildcards) -> str:
    """The store of the basins that are scored: the gauges' where there are units upstream."""
    gauges = EXPERIMENTS[wildcards.experiment].data.gauges
    return f"{R}/stores/{gauges.store}.zarr" if gauges else store(wildcards)


def network_store(wildcards) -> str:
    return f"{R}/stores/{EXPERIMENTS[wildcards.experiment].data.dataset}_network.zarr"


def at_gauges(wildcards) -> list[str]:
    """The network and the gauges' store, where an experiment is trained at gauges."""
    return [network_store(wildcards), basin_store(wildcards)]


def folds(experiment: str) -> list[str]:
    """Folds of the split, as in splits.csv."""
    return EXPERIMENTS[experiment].data.split.fold_names


def baselines(wildcards) -> list[str]:
    """Scores of baselines, where the experiment has some."""
    wanted = EXPERIMENTS[wildcards.experiment].evaluate.baselines
    return [f"{R}/{wildcards.experiment}/baselines.csv"] if wanted else []


def predictions_of_members(wildcards) -> list[str]:
    members = ENSEMBLES[wildcards.ensemble].members
    return [f"{run}/predictions.zarr" for member in members for run in runs_of(member)]


def runs(wildcards) -> list[str]:
    """Folders of all trained models of the experiment."""
    return runs_of(wildcards.experiment)


def runs_of(experiment: str) -> list[str]:
    seeds = EXPERIMENTS[experiment].train.seeds
    names = [(fold, f"seed{seed}") for fold in folds(experiment) for seed in seeds]
    return [f"{R}/{experiment}/{fold}/{seed}" for fold, seed in names]


def of_runs(name: str):
    """The file of that name of every trained model."""
    return lambda wildcards: [f"{run}/{name}" for run in runs(wildcards)]


def cluster_options(wildcards, resources) -> str:
    """What the profile asks of the cluster for a training, as options of `dmg train`."""
    if resources.launcher != "slurm":
        return ""
    options = slurm_items(resources, SLURM_RESOURCES)
    if resources.get("processes"):
        options.append(f"--processes {resources.processes}")
    if resources.get("on_interrupt"):
        options.append(f"--on-interrupt {resources.on_interrupt}")
    return " ".join(options)


def worker_options(wildcards, resources) -> str:
    """Who preprocesses and in how much memory, as options of `dmg preprocess`.

    The memory of a job is for its processes, one on each of its cores, and for what starts them.
    """
    if resources.dask != "slurm":
        processes = 1 + resources.get("cpus_per_task", 0)
        return f"--memory-mb {resources.mem_mb // processes}"
    return " ".join(["--dask slurm", *slurm_items(resources, DASK_RESOURCES)])


def slurm_items(resources, names: dict[str, str]) -> list[str]:
    asked = {key: resources.get(name) for key, name in names.items()}
    return [f"--slurm {shlex.quote(f'{k}={v}')}" for k, v in asked.items() if v]


def train_threads(wildcards) -> int:
    """A training has the machine to itself unless the experiment asks for less."""
    train = EXPERIMENTS[wildcards.experiment].train
    return train.processes * train.threads if train.threads else (workflow.cores or 1)
