import io
import logging
import os
import signal
import time
from datetime import timedelta

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from stubs import NUM_BASINS, StubLoader, StubModel, make_trainer

from dmg import distributed
from dmg.data.sampler import Windows, part
from dmg.gradient import add_gradient
from dmg.interrupt import Interrupted
from dmg.losses import LOSSES
from dmg.validation import read


class Uneven(StubLoader):
    """Gaps differ from basin to basin; the first four have no target at all."""

    def __init__(self):
        super().__init__()
        for basin in range(NUM_BASINS):
            self.flow[basin, :: basin + 2] = torch.nan
        self.flow[:4] = torch.nan


def gradients(name, dtype, pieces=1):
    """Loss and gradient of one step on all processes; the first half has no target."""
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
    first, parts = distributed.rank() * pieces, distributed.world_size() * pieces
    mine = [read(Uneven(), part(windows, first + i, parts), 5) for i in range(pieces)]
    value, _ = add_gradient(model, loss, mine, "streamflow", distributed.reduce_sums)
    distributed.sum_gradients(model.parameters())
    used = [p.grad.flatten() for p in model.parameters() if p.grad is not None]
    return torch.cat([value.flatten(), *used])


def everything(folder):
    """All that must not depend on the number of processes."""
    trainer = make_trainer(folder, steps=20, epochs=2, loader=Uneven())
    history = trainer.fit()
    distributed.barrier()
    return {
        "gradients": {n: gradients(n, torch.float32) for n in LOSSES},
        "in pieces": {n: gradients(n, torch.float32, pieces=2) for n in LOSSES},
        "weights": trainer.handler.state_dict(),
        "history": [[line["loss"], line["validation"]] for line in history],
    }


def compare(rank, world_size, folder):
    """All that must be as on one process."""
    messages = io.StringIO()
    logging.getLogger("dmg").addHandler(logging.StreamHandler(messages))
    logging.getLogger("dmg").setLevel(logging.INFO)
    result = everything(folder)
    result["messages"] = messages.getvalue()
    result["rank"] = distributed.broadcast(rank), distributed.gather(rank)
    model = StubModel(seed=rank)
    distributed.broadcast_module(model)
    result["rank 0"] = model.state_dict()
    return result


def compress(rank, world_size, folder):
    """Train with gradients sent in bfloat16."""
    trainer = make_trainer(folder, epochs=15, compress_gradients=torch.bfloat16)
    history = trainer.fit()
    return {"weights": trainer.handler.state_dict(), "loss": [line["loss"] for line in history]}


class StopsTheLast(Uneven):
    """Asks the last process to stop in the middle of the second epoch."""

    def batch(self, *args):
        if distributed.is_main():
            return super().batch(*args)
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls == 30 and distributed.rank() == distributed.world_size() - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().batch(*args)


def stop(rank, world_size, folder):
    """Begin a training that one process is asked to leave."""
    trainer = make_trainer(folder, steps=20, epochs=2, loader=StopsTheLast(), validate=False)
    with pytest.raises(Interrupted):
        trainer.fit()
    return {"at": (trainer.progress.epoch, trainer.progress.step)}


def go_on(rank, world_size, folder):
    """Train to the end."""
    trainer = make_trainer(folder, steps=20, epochs=2, loader=Uneven(), validate=False)
    trainer.fit()
    return {"weights": trainer.handler.state_dict()}


def wait(rank, world_size, folder):
    """Wait for a process that does something else."""
    if rank > 0:
        time.sleep(6)
        return {}
    began = time.monotonic()
    with pytest.raises(RuntimeError, match=r"(?i)timed out"):
        distributed.barrier()
    return {"waited": time.monotonic() - began}


def work(rank, world_size, folder, task, seconds):
    torch.set_num_threads(1)
    with distributed.process_group(
        rank, world_size, rendezvous=folder / f"address-{task.__name__}",
        timeout=timedelta(seconds=seconds),
    ):  # fmt: skip
        torch.save(task(rank, world_size, folder), folder / f"rank{rank}.pt")


def run(task, world_size, folder, seconds=60.0):
    folder.mkdir(exist_ok=True)
    arguments = (world_size, folder, task, seconds)
    mp.start_processes(work, arguments, world_size, start_method="spawn")
    return [torch.load(folder / f"rank{rank}.pt") for rank in range(world_size)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return everything(tmp_path_factory.mktemp("alone"))


@pytest.mark.distributed
@pytest.mark.parametrize("world_size", [2, 4])
def test_many_processes_equal_one(alone, tmp_path, world_size):
    results = run(compare, world_size, tmp_path)
    for result in results:
        for kind in ("gradients", "in pieces"):
            for name, gradient in result[kind].items():
                assert (gradient - alone["gradients"][name]).abs().max() < 1e-6, (kind, name)
        for name, weight in result["weights"].items():
            assert (weight - alone["weights"][name]).abs().max() < 1e-10, name
        assert np.allclose(result["history"], alone["history"], rtol=1e-9, atol=0)
        assert result["rank"] == (0, list(range(world_size)))
        assert torch.equal(result["rank 0"]["first.weight"], StubModel(seed=0).first.weight)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2
    assert [len(r["messages"].splitlines()) for r in results] == [2] + [0] * (world_size - 1)


@pytest.mark.distributed
def test_one_process_stops_all_and_fewer_go_on(tmp_path):
    """Four processes, one of which is told to stop within an epoch; then two to the end."""
    stopped = run(stop, 4, tmp_path / "many")
    epoch, step = stopped[0]["at"]
    assert epoch == 2 and 0 < step < 20
    assert [result["at"] for result in stopped] == [(epoch, step)] * 4
    (tmp_path / "one").mkdir()
    expected = go_on(0, 1, tmp_path / "one")["weights"]
    for result in run(go_on, 2, tmp_path / "many"):
        for name, weight in result["weights"].items():
            assert (weight - expected[name]).abs().max() < 1e-10, name


@pytest.mark.distributed
def test_compressed_gradients_train_and_leave_all_with_the_same_weights(tmp_path):
    one, two = run(compress, 2, tmp_path)
    assert one["loss"] == two["loss"]
    assert one["loss"][-1] < 0.5 * one["loss"][0]
    assert all(torch.equal(one["weights"][name], two["weights"][name]) for name in one["weights"])
    (tmp_path / "exact").mkdir()
    exact = make_trainer(tmp_path / "exact", epochs=15)
    assert one["loss"][-1] == pytest.approx(exact.fit()[-1]["loss"], rel=0.05)
    assert not torch.equal(one["weights"]["first.weight"], exact.handler.first.weight)


@pytest.mark.distributed
def test_a_process_that_does_not_answer_is_waited_for_no_longer_than_allowed(tmp_path):
    assert run(wait, 2, tmp_path, seconds=2.0)[0]["waited"] < 5


def test_one_process_needs_no_group(tmp_path):
    with distributed.process_group(0, 1, rendezvous=tmp_path / "address"):
        assert (distributed.rank(), distributed.world_size()) == (0, 1)
        assert distributed.is_main()
    sums = {"count": torch.ones(())}
    assert distributed.reduce_sums(sums) == sums
    assert distributed.broadcast("x") == "x"
    assert distributed.gather("x") == ["x"]
    distributed.barrier()
    assert list(tmp_path.iterdir()) == []


def test_missing_rank_0_is_an_error_not_a_wait(tmp_path):
    short = timedelta(seconds=0.2)
    waiting = distributed.process_group(1, 2, rendezvous=tmp_path / "address", timeout=short)
    with pytest.raises(TimeoutError, match="expected the address of rank 0"), waiting:
        pass
