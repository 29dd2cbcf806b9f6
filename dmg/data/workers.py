"""Processes that share the work on blocks: on this machine, or jobs of Slurm.

A worker that is lost loses nothing: its blocks are done again by another one, and a job that is
gone is submitted again. So a block must be work that can be repeated.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from dmg.sbatch import parse_items, without_slurm_variables

T = TypeVar("T")

LOOK_SECONDS = 10.0
"""Time after which jobs that were lost are submitted again [s]."""


@dataclass(frozen=True, kw_only=True)
class LocalWorkers:
    """Processes of this machine.

    Attributes
    ----------
    processes
        How many; none: as many as pay.
    mem_mb
        Memory of each [MB]; none: whatever the work takes.
    """

    processes: int | None = None
    mem_mb: float | None = None


@dataclass(frozen=True, kw_only=True)
class SlurmWorkers:
    """Jobs of a Slurm cluster, one worker process each.

    Attributes
    ----------
    jobs
        How many.
    mem_mb, runtime
        Memory [MB] and longest run [min] of each.
    account, partition, qos, constraint
        As `sbatch` takes them; none: the cluster's default.
    setup
        Shell commands before a worker starts, such as `module load cuda`; `;` between them.
    python
        Command that starts Python on the nodes, such as one inside a container; none: this one.
    interface
        Network interface on which workers reach this process, such as `ib0`; none: the default.
    """

    jobs: int = 4
    mem_mb: int = 4000
    runtime: int = 60
    account: str | None = None
    partition: str | None = None
    qos: str | None = None
    constraint: str | None = None
    setup: str | None = None
    python: str | None = None
    interface: str | None = None

    def __post_init__(self) -> None:
        for name in ("jobs", "mem_mb", "runtime"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"--slurm {name}: expected at least 1, found {getattr(self, name)}"
                )

    @classmethod
    def parse(cls, items: Sequence[str]) -> SlurmWorkers:
        """Read `key=value` items, as `parse_items` does."""
        types = {field.name: str(field.type) for field in fields(cls)}
        return cls(**parse_items(items, types))  # type: ignore[arg-type]


Workers = int | LocalWorkers | SlurmWorkers | None
"""Processes of this machine (0: this one alone; none: as many as pay), or jobs of Slurm."""


def memory_of(workers: Workers) -> float | None:
    """Memory of one worker [MB]; none: no limit is known."""
    return getattr(workers, "mem_mb", None)


def compute_all(
    work: Callable[..., T],
    calls: Sequence[tuple[Any, ...]],
    workers: int | SlurmWorkers,
    logs: Path,
) -> list[T]:
    """Call a function with each tuple of arguments; give the results in that order.

    Parameters
    ----------
    work
        What to call; it may run twice with the same arguments.
    calls
        Its arguments.
    workers
        Processes of this machine (0: this process), or jobs of Slurm.
    logs
        Folder, seen by all nodes, in which jobs of Slurm leave what they say.
    """
    if workers == 0:
        return [work(*arguments) for arguments in calls]
    from dask.delayed import delayed
    from distributed import Client, wait  # slow to import, and often not needed

    tasks = [delayed(work)(*arguments) for arguments in calls]
    opened = _local(workers) if isinstance(workers, int) else _slurm(workers, logs)
    with opened as (cluster, size), Client(cluster) as client:  # type: ignore[no-untyped-call]
        futures = client.compute(tasks)
        while True:
            try:
                wait(futures, timeout=LOOK_SECONDS)  # type: ignore[no-untyped-call]
                return list(client.gather(futures))
            except TimeoutError:
                cluster.scale(size)


@contextmanager
def _local(workers: int) -> Iterator[tuple[Any, int]]:
    from distributed import LocalCluster

    with (
        tempfile.TemporaryDirectory() as scratch,
        LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers, threads_per_worker=1, dashboard_address=None, local_directory=scratch
        ) as cluster,
    ):
        yield cluster, workers


@contextmanager
def _slurm(workers: SlurmWorkers, logs: Path) -> Iterator[tuple[Any, int]]:
    try:
        from dask_jobqueue.slurm import SLURMCluster
    except ModuleNotFoundError:
        raise ValueError(
            "--dask slurm: expected dask-jobqueue, found no such package; pip install"
            " 'dmg-hpc[slurm]', or use --dask local"
        ) from None
    logs.mkdir(parents=True, exist_ok=True)
    with without_slurm_variables(), SLURMCluster(**cluster_options(workers, logs)) as cluster:
        cluster.scale(workers.jobs)
        yield cluster, workers.jobs


def cluster_options(workers: SlurmWorkers, logs: Path) -> dict[str, Any]:
    """Arguments of Dask's cluster; what is not given comes from Dask's own configuration."""
    given = {name: value for name, value in asdict(workers).items() if value is not None}
    options = {
        "cores": 1,
        "processes": 1,
        "memory": f"{workers.mem_mb}MB",
        "walltime": f"{workers.runtime // 60:02d}:{workers.runtime % 60:02d}:00",
        "queue": given.get("partition"),
        "account": given.get("account"),
        "python": given.get("python"),
        "interface": given.get("interface"),
        "job_extra_directives": [f"--{n}={given[n]}" for n in ("qos", "constraint") if n in given],
        "job_script_prologue": [given["setup"]] if "setup" in given else None,
        "log_directory": str(logs),
        "local_directory": tempfile.gettempdir(),
        "scheduler_options": {"dashboard": False, "dashboard_address": ":0"},  # any free port
    }
    return {name: value for name, value in options.items() if value is not None}
