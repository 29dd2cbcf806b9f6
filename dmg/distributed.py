"""Several processes that train one model, and the same calls when there is only one.

The gradient of a step is the sum over processes of what each part of the batch contributes to the
loss of the *whole* batch:

- `reduce_sums` gives every process the sums of the whole batch; what a sum changes in the loss is
  then the same number everywhere (see `gradient`);
- `sum_gradients` adds up the gradients, in one flat message whose layout never changes.

`DistributedDataParallel` is not used: it averages, it refuses parameters without gradient, and it
rearranges its buckets after the first step, so that a resumed run would add in another order than
an uninterrupted one. The networks here are small (about a million weights, 4 MB a step).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from dmg.files import atomic

T = TypeVar("T")

TIMEOUT = timedelta(minutes=30)
POLL_SECONDS = 0.05


def rank() -> int:
    """Give the number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Count the processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """Whether this process writes files and messages."""
    return rank() == 0


def device() -> torch.device:
    """Device of this process: its own GPU where there are some, else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    local = int(os.environ.get("LOCAL_RANK", "0"))
    return torch.device("cuda", local % torch.cuda.device_count())


def device_of(module: nn.Module) -> torch.device:
    """Device of a module's weights, or of its buffers where it has none."""
    return next(chain(module.parameters(), module.buffers())).device


@contextmanager
def process_group(
    rank: int,
    world_size: int,
    *,
    rendezvous: Path | None = None,
    timeout: timedelta = TIMEOUT,
) -> Iterator[None]:
    """Join this process with the others for the length of a block.

    Parameters
    ----------
    rank, world_size
        Number of this process and number of processes; nothing happens where there is only one.
    rendezvous
        File, seen by all and not there before, in which rank 0 leaves its address; none:
        `MASTER_ADDR` and `MASTER_PORT` of the environment, as set by `torchrun`.
    timeout
        Longest wait for another process; after it the job fails instead of hanging.
    """
    if world_size == 1:
        yield
        return
    here = device()
    if here.type == "cuda":
        torch.cuda.set_device(here)
    _use_loopback_if_alone()
    store = _open_store(rank, world_size, rendezvous, timeout) if rendezvous else None
    backend = "nccl" if here.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=timeout)
    try:
        yield
    finally:
        dist.destroy_process_group()


def reduce_sums(sums: dict[str, Tensor]) -> dict[str, Tensor]:
    """Sum scalars over processes, in one message, without gradient.

    Parameters
    ----------
    sums
        Float64 scalars with the same names on every process.
    """
    total = sum_tensor(torch.stack(list(sums.values())))
    return dict(zip(sums, total.unbind(), strict=True))


@torch.no_grad()
def sum_gradients(parameters: Iterable[nn.Parameter], compress: torch.dtype | None = None) -> None:
    """Replace every gradient by its sum over processes, in one message.

    Parameters
    ----------
    parameters
        Weights with their gradients.
    compress
        Type of the message and of the sums, such as `torch.bfloat16`; none: that of the gradients.
    """
    if world_size() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return
    flat = torch.cat([g.flatten() for g in gradients])
    flat = flat if compress is None else flat.to(compress)
    dist.all_reduce(flat)
    sizes = [g.numel() for g in gradients]
    for gradient, total in zip(gradients, torch.split(flat, sizes), strict=True):
        gradient.copy_(total.view_as(gradient))


def sum_tensor(values: Tensor) -> Tensor:
    """Sum a tensor over processes, without gradient."""
    if world_size() > 1:
        values = values.clone()
        dist.all_reduce(values)
    return values


def broadcast(value: T) -> T:
    """Give every process rank 0's value (plain values and tensors on the CPU)."""
    if world_size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0, device=device())
    return box[0]


def gather(value: T) -> list[T]:
    """Give every process the values of all (plain values), in the order of ranks."""
    if world_size() == 1:
        return [value]
    box: list[Any] = [None] * world_size()
    dist.all_gather_object(box, value)
    return box


@torch.no_grad()
def broadcast_module(module: nn.Module) -> None:
    """Give every process rank 0's weights and buffers."""
    if world_size() > 1:
        for tensor in module.state_dict().values():
            dist.broadcast(tensor, src=0)


def barrier() -> None:
    """Wait until every process is here (at most as long as the group's timeout)."""
    if world_size() > 1:
        sum_tensor(torch.zeros(1, device=device()))


def _open_store(rank: int, world_size: int, path: Path, timeout: timedelta) -> TCPStore:
    """Open a store on a free port of rank 0, whose address is left in a file."""
    if rank == 0:
        store = TCPStore(_host(), 0, world_size, True, timeout, wait_for_workers=False)
        with atomic(path) as temporary:
            temporary.write_text(f"{_host()} {store.port}")
        return store
    host, port = _wait_for(path, timeout).split()
    return TCPStore(host, int(port), world_size, False, timeout)


def _wait_for(path: Path, timeout: timedelta) -> str:
    limit = time.monotonic() + timeout.total_seconds()
    while not path.exists():
        if time.monotonic() > limit:
            raise TimeoutError(f"{path}: expected the address of rank 0, found none in {timeout}")
        time.sleep(POLL_SECONDS)
    return path.read_text()


def _num_nodes() -> int:
    names = ("SUBMITIT_LOCAL_JOB_NUM_NODES", "SLURM_JOB_NUM_NODES", "SLURM_NNODES")
    return int(next((os.environ[n] for n in names if n in os.environ), "1"))


def _host() -> str:
    return "127.0.0.1" if _num_nodes() == 1 else socket.gethostname()


def _use_loopback_if_alone() -> None:
    """On one machine, gloo needs no name service: its host name may not resolve."""
    if _num_nodes() == 1 and "MASTER_ADDR" not in os.environ:
        names = {name for _, name in socket.if_nameindex()}
        loopback = next((n for n in ("lo", "lo0") if n in names), None)
        if loopback:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
