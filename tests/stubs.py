"""Small models, data and jobs for the tests of training; also a script that trains one."""

import argparse
import io
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from dmg import distributed
from dmg.batch import Batch
from dmg.data.sampler import DataSampler, tile
from dmg.losses import RmseComb
from dmg.train import Trainer
from dmg.validation import Validation

NUM_BASINS, NUM_DAYS = 12, 300


class StubOutput(NamedTuple):
    fluxes: dict[str, torch.Tensor]


class StubModel(nn.Module):
    """Two layers over two forcings; dropout depends on (seed, position in the global batch)."""

    def __init__(self, seed=0, dtype=torch.float64, hidden=8):
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Linear(2, hidden, dtype=dtype)
        self.second = nn.Linear(hidden, 1, dtype=dtype)
        self.unused = nn.Parameter(torch.ones(3, dtype=dtype))
        self.dtype = dtype

    def forward(self, batch):
        x = torch.stack([batch.forcing["rain"], batch.forcing["sun"]], -1).to(self.dtype)
        h = torch.tanh(self.first(x[batch.warmup :]))
        if self.training:
            generator = torch.Generator().manual_seed(batch.seed)
            draws = torch.rand(int(batch.rows.max()) + 1, h.shape[-1], generator=generator)
            h = h * (draws[batch.rows] > 0.3)
        return StubOutput({"streamflow": self.second(h).squeeze(-1)})


class StubLoader:
    """Seeded series; the target has gaps, and the first basin has none at all."""

    def __init__(self, num_basins=NUM_BASINS, delay=0.0, hold=None):
        draw = np.random.default_rng(5)
        self.rain = draw.gamma(0.5, 4.0, (num_basins, NUM_DAYS))
        self.sun = draw.normal(size=(num_basins, NUM_DAYS))
        self.flow = 0.5 * self.rain + 0.2 * self.sun**2 + 0.1
        self.flow[draw.random(self.flow.shape) < 0.2] = np.nan
        self.flow[0] = np.nan
        self.basin_ids = [f"{i:08d}" for i in range(num_basins)]
        self.delay, self.hold = delay, hold

    def batch(self, basins, starts, length, warmup=0):
        time.sleep(self.delay)
        while self.hold and self.hold.exists():
            time.sleep(0.02)
        days = np.asarray(starts) - warmup + np.arange(warmup + length)[:, None]
        assert days.min() >= 0

        def series(values):
            return torch.from_numpy(values[basins, days].astype(np.float32))

        return Batch(
            forcing={"rain": series(self.rain), "sun": series(self.sun)},
            target=series(self.flow).double(),
            basin=torch.from_numpy(np.asarray(basins)),
            time=torch.zeros(len(basins), dtype=torch.int64),
            warmup=warmup,
        )


def make_trainer(run_dir, *, steps=10, validate=True, loader=None, **options):
    """Trainer of a stub model with Adam, a schedule, clipping, dropout and validation."""
    model = StubModel(seed=options.pop("model_seed", 0))
    loader = loader or StubLoader()
    loss = options.pop("loss", None) or RmseComb()
    optimizer = torch.optim.Adam(model.parameters(), lr=options.pop("learning_rate", 0.02))
    sampler = DataSampler(
        np.arange(NUM_BASINS), 0, 199, batch_size=8, window=20, warmup=5, seed=2,
        steps_per_epoch=steps,
    )  # fmt: skip
    windows = tile(np.arange(NUM_BASINS), 200, 299, batch_size=5, window=30, warmup=5)
    validation = Validation(
        handler=model, loss=loss, loader=loader, windows=windows, target="streamflow", warmup=5
    )
    settings = {"epochs": 2, "clip_norm": 1.0, "digest": "stub"} | options
    return Trainer(
        handler=model,
        loss=loss,
        loader=loader,
        sampler=sampler,
        optimizer=optimizer,
        schedule=torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.9),
        run_dir=Path(run_dir),
        target="streamflow",
        validation=validation if validate else None,
        **settings,
    )


# jobs for the launcher


def job_ok(run_dir, value):
    (Path(run_dir) / "done.txt").write_text(f"{value} {torch.get_num_threads()}")


def job_fails(run_dir, value):
    raise ValueError(f"basins.txt:{value}: expected a basin id, found 'x'; correct the line")


def job_bug(run_dir, value):
    return {}[value]


def job_rank_1_fails(run_dir, value):
    if distributed.rank() == 1:
        raise ValueError("rank 1 found no data")
    time.sleep(120)


def job_rank_1_dies(run_dir, value):
    if distributed.rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    distributed.barrier()


def job_sums(run_dir, value):
    total = distributed.sum_tensor(torch.tensor([distributed.rank() + 1.0]))
    path = Path(run_dir) / f"rank{distributed.rank()}.txt"
    path.write_text(f"{total.item()} {distributed.world_size()} {torch.get_num_threads()}")


def job_dies(run_dir):
    os.kill(os.getpid(), signal.SIGKILL)


def job_needs_memory(run_dir, megabytes):
    held = torch.ones(megabytes * 250_000)
    time.sleep(8)  # Slurm looks now and then
    torch.save(held[:1], Path(run_dir) / "weights.pt")
    (Path(run_dir) / "done.json").write_text('{"digest": "stub"}')


def job_trains(run_dir, steps, epochs, delay):
    """Train, leave the weights and done.json, and note who trained; pause while `hold` exists."""
    notes = Path(run_dir) / "trainers.txt"
    loader = StubLoader(delay=delay, hold=Path(run_dir) / "hold")
    trainer = make_trainer(
        run_dir, steps=steps, epochs=epochs, loader=loader, checkpoint_minutes=0.001
    )
    with notes.open("a") as file:
        file.write(f"start {os.getpid()}\n")
    trainer.fit()
    if distributed.is_main():
        torch.save(trainer.handler.state_dict(), Path(run_dir) / "weights.pt")
        with notes.open("a") as file:
            file.write(f"end {os.getpid()}\n")
        (Path(run_dir) / "done.json").write_text('{"digest": "stub"}')


def job_stays_in_a_checkpoint(run_dir, **arguments):
    """Train; the first start of a job of Slurm stays with half of a file written."""
    files = []

    def half(state, file, save=torch.save):
        files.append(file)
        if len(files) == 3:
            whole = io.BytesIO()
            save(state, whole)
            file.write(whole.getvalue()[: whole.tell() // 2])
            file.flush()
            (Path(run_dir) / "half").touch()
            time.sleep(120)
        save(state, file)

    if "SLURM_RESTART_COUNT" not in os.environ:
        torch.save = half
    job_trains(run_dir, **arguments)


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("run_dir")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--delay", type=float)
    job_trains(**vars(parser.parse_args()))
