from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from stubs import NUM_BASINS, StubLoader, StubModel, make_trainer

from dmg import distributed
from dmg.data.sampler import Windows, part
from dmg.losses import LOSSES
from dmg.validation import batch_sums, read


class Uneven(StubLoader):
    """Gaps differ from basin to basin; the first four have no target at all."""

    def __init__(self):
        super().__init__()
        for basin in range(NUM_BASINS):
            self.flow[basin, :: basin + 2] = torch.nan
        self.flow[:4] = torch.nan


def gradients(name, dtype):
    """Gradient of one step on this process and all others; the first half has no target."""
    windows = Windows(
        basins=torch.arange(8).numpy(),
        starts=torch.full((8,), 10).numpy(),
        rows=torch.arange(8).numpy(),
        length=60,
        seed=7,
    )
    cls = LOSSES[name]
    std = torch.linspace(0.5, 2.0, NUM_BASINS)
    loss = cls(std) if cls.needs_target_std else cls()
    model = StubModel(dtype=dtype)
    mine = part(windows, distributed.rank(), distributed.world_size())
    sums = batch_sums(model, loss, read(Uneven(), mine, 5), "streamflow")
    value = loss.finalize(distributed.reduce_sums(sums))
    value.backward()
    distributed.sum_gradients(model.parameters())
    used = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return torch.cat([value.detach().flatten(), *used])


def everything(folder):
    """All that must not depend on the number of processes."""
    trainer = make_trainer(folder, steps=20, epochs=2, loader=Uneven())
    history = trainer.fit()
    distributed.barrier()
    return {
        "gradients": {n: gradients(n, torch.float32) for n in LOSSES},
        "weights": trainer.handler.state_dict(),
        "history": [[line["loss"], line["validation"]] for line in history],
    }


def work(rank, world_size, folder):
    torch.set_num_threads(1)
    with distributed.process_group(
        rank, world_size, rendezvous=folder / "address", timeout=timedelta(seconds=60)
    ):
        result = everything(folder)
        result["rank"] = distributed.broadcast(rank), distributed.gather(rank)
        model = StubModel(seed=rank)
        distributed.broadcast_module(model)
        result["rank 0"] = model.state_dict()
    torch.save(result, folder / f"rank{rank}.pt")


def run(world_size, folder):
    folder.mkdir(exist_ok=True)
    mp.start_processes(work, (world_size, folder), world_size, start_method="spawn")
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(world_size)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return everything(tmp_path_factory.mktemp("alone"))


@pytest.mark.distributed
@pytest.mark.parametrize("world_size", [2, 4])
def test_many_processes_equal_one(alone, tmp_path, world_size):
    for result in run(world_size, tmp_path):
        for name, gradient in result["gradients"].items():
            assert (gradient - alone["gradients"][name]).abs().max() < 1e-6, name
        for name, weight in result["weights"].items():
            assert (weight - alone["weights"][name]).abs().max() < 1e-10, name
        assert np.allclose(result["history"], alone["history"], rtol=1e-9, atol=0)
        assert result["rank"] == (0, list(range(world_size)))
        assert torch.equal(result["rank 0"]["first.weight"], StubModel(seed=0).first.weight)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.distributed
def test_more_or_fewer_processes_after_a_restart(alone, tmp_path):
    """One epoch alone, then one with two processes: the same as both alone."""
    first = make_trainer(tmp_path, steps=20, epochs=1, loader=Uneven())
    first.fit()
    for result in run(2, tmp_path):
        for name, weight in result["weights"].items():
            assert (weight - alone["weights"][name]).abs().max() < 1e-10, name


def test_one_process_needs_no_group(tmp_path):
    with distributed.process_group(0, 1, rendezvous=tmp_path / "address"):
        assert (distributed.rank(), distributed.world_size()) == (0, 1)
        assert distributed.is_main()
    sums = {"count": torch.ones(())}
    assert distributed.reduce_sums(sums) is sums
    assert distributed.broadcast("x") == "x"
    assert distributed.gather("x") == ["x"]
    distributed.barrier()
    assert list(tmp_path.iterdir()) == []


def test_missing_rank_0_is_an_error_not_a_wait(tmp_path):
    short = timedelta(seconds=0.2)
    waiting = distributed.process_group(1, 2, rendezvous=tmp_path / "address", timeout=short)
    with pytest.raises(TimeoutError, match="expected the address of rank 0"), waiting:
        pass
