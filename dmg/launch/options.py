"""What a training asks of a Slurm cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from dmg.sbatch import parse_items

ON_INTERRUPT = ("cancel", "detach")


@dataclass(frozen=True, kw_only=True)
class SlurmOptions:
    """Resources of a training job, named as in a profile of Snakemake.

    Attributes
    ----------
    nodes
        Nodes, over which the processes of the training are spread evenly.
    gpus_per_node
        GPUs of each.
    mem_mb
        Memory of each [MB].
    runtime
        Longest run [min]; a training that needs longer saves, goes back into the queue and goes on.
    account, partition, qos, constraint
        As `sbatch` takes them; none: the cluster's default.
    setup
        Shell commands before the training starts, such as `module load cuda`; `;` between them.
    python
        Command that starts Python on the nodes, such as one inside a container; none: this one.
    on_interrupt
        What becomes of the job when its launcher is asked to stop: "cancel", it saves and leaves;
        "detach", it goes on alone.
    """

    nodes: int = 1
    gpus_per_node: int = 0
    mem_mb: int = 4000
    runtime: int = 24 * 60
    account: str | None = None
    partition: str | None = None
    qos: str | None = None
    constraint: str | None = None
    setup: str | None = None
    python: str | None = None
    on_interrupt: str = "cancel"

    def __post_init__(self) -> None:
        for name, least in {"nodes": 1, "gpus_per_node": 0, "mem_mb": 1, "runtime": 1}.items():
            if getattr(self, name) < least:
                raise ValueError(
                    f"--slurm {name}: expected at least {least}, found {getattr(self, name)}"
                )

        if self.on_interrupt not in ON_INTERRUPT:
            raise ValueError(
                f"--on-interrupt: expected one of {list(ON_INTERRUPT)}, found '{self.on_interrupt}'"
            )

    @classmethod
    def parse(cls, items: Sequence[str]) -> SlurmOptions:
        """Read `key=value` items; later ones win.

        Raises
        ------
        ValueError
            If a key is unknown or a value is no number where one belongs.
        """
        types = {field.name: str(field.type) for field in fields(cls)}
        return cls(**parse_items(items, types))  # type: ignore[arg-type]
