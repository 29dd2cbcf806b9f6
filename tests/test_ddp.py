"""A coupled model is an ordinary module: PyTorch's own data parallelism can wrap it."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from dmg.batch import Batch
from dmg.handler import ModelHandler
from tests.test_delta import batch, model

pytestmark = pytest.mark.distributed


def part(whole: Batch, rows: slice) -> Batch:
    return Batch(
        forcing={name: series[:, rows] for name, series in whole.forcing.items()},
        attributes=whole.attributes[rows],
        time=whole.time[rows],
        rows=whole.rows[rows],
    )


def gradient(handler: torch.nn.Module, window: Batch) -> list[torch.Tensor]:
    handler(window).fluxes["streamflow"].mean().backward()
    return [p.grad for p in handler.parameters() if p.grad is not None]


def one_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group(
        "gloo", store=store, rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    wrapped = DistributedDataParallel(ModelHandler(model()))
    half = slice(0, 2) if rank == 0 else slice(2, 4)
    gradients = gradient(wrapped, part(batch(num_basins=4), half))
    torch.save(gradients, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.skipif(os.name != "posix", reason="gloo over a file")
def test_two_processes_give_the_gradient_of_one(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(one_of_two, args=(str(tmp_path),), nprocs=2)
    expected = gradient(ModelHandler(model()), batch(num_basins=4))
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-14)
