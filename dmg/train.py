"""The training loop: fit, validate, stop, resume; one process or many.

Nothing here draws random numbers: windows and dropout are functions of (seed, epoch, step), so a
run that is killed at any moment goes on from its last checkpoint to the very same weights.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from dmg import distributed
from dmg.batch import Batch
from dmg.checkpoint import Checkpoints, State
from dmg.data.sampler import Sampler
from dmg.gradient import add_gradient
from dmg.interrupt import Interrupted, StopRequest
from dmg.losses import Loss, Sums
from dmg.progress import Line, Progress, bar, describe, not_finite, peak_memory
from dmg.run_files import CHECKPOINTS, METRICS
from dmg.trackers import Record, Tracker
from dmg.validation import Loader, read

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Trainer:
    """Fits a model to windows of data.

    Parameters
    ----------
    handler
        Model; `handler(batch).fluxes[target]` is the simulation of the scored days `[T, B]`.
    loss
        Loss as sums and a finaliser.
    loader, sampler
        Data, and which windows a step sees.
    optimizer, schedule
        Optimiser of the handler's weights, and its learning rate by epoch.
    run_dir
        Folder of `checkpoints/` and `metrics.jsonl`.
    epochs
        Passes over the data.
    target
        Name of the flux that is compared with the batch's target.
    clip_norm
        Largest norm of the gradient.
    accumulate
        Pieces in which a process simulates its windows of a step, one after another; the gradient
        is that of all windows together.
    compress_gradients
        Type in which processes send each other their gradients; none: the gradients' own.
    validation
        Gives the validation loss, equal on every process: see `Validation`. With one, the best
        weights are restored at the end.
    validate_every
        Epochs between two validations; the last epoch is always validated.
    patience
        Validations without improvement before stopping; none: never.
    checkpoint_minutes
        Longest time between two checkpoints [min]; there is one after every epoch too.
    digest
        Digest of the configuration; checkpoints of another one are not used.
    trackers
        Records beside `metrics.jsonl`, which rank 0 keeps.
    """

    handler: nn.Module
    loss: Loss
    loader: Loader
    sampler: Sampler
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None
    run_dir: Path
    epochs: int
    target: str
    clip_norm: float | None = None
    accumulate: int = 1
    compress_gradients: torch.dtype | None = None
    validation: Callable[[], float] | None = None
    validate_every: int = 1
    patience: int | None = None
    checkpoint_minutes: float = 10.0
    digest: str = ""
    trackers: Sequence[Tracker] = ()

    def __post_init__(self) -> None:
        self.progress = Progress()
        self._device = distributed.device_of(self.handler)
        self.loss.to(self._device)
        self._checkpoints = Checkpoints(self.run_dir / CHECKPOINTS, self.digest)
        self._record = Record(self.run_dir / METRICS, self.trackers)
        self._parameters = [p for p in self.handler.parameters() if p.requires_grad]
        self._saved_at = time.monotonic()
        self._request = StopRequest()  # to this process
        self._stopping = False  # asked of any process, known to all

    def fit(self) -> list[Line]:
        """Train to the end, from the last checkpoint if there is one.

        Returns
        -------
        list
            The lines of `metrics.jsonl`.

        Raises
        ------
        ValueError
            If the loss or its gradient is no longer finite; no file is overwritten then.
        Interrupted
            After SIGTERM or SIGUSR2, with a checkpoint saved.
        """
        with self._record:
            self._resume()
            with self._request:
                while not self._finished():
                    if self._stopping:
                        self._leave()
                    self._run_epoch()
        self._restore_best()
        return self.progress.history

    def _finished(self) -> bool:
        """Whether all is done; rank 0 decides."""
        waited = self.patience is not None and self.progress.waited >= self.patience
        return distributed.broadcast(waited or self.progress.epoch > self.epochs)

    def _run_epoch(self) -> None:
        progress = self.progress
        started = time.monotonic() - progress.seconds
        self.handler.train()
        with closing(self._batches(progress.epoch, progress.step)) as batches:
            for pieces in batches:
                self._train_step(pieces)
                progress.seconds = time.monotonic() - started
                self._save_within_epoch()
        line = self._line(started)
        if self.schedule is not None:
            self.schedule.step()
        self.progress = progress.next_epoch(line)
        self._save()
        self._report(describe(line, self.epochs))

    def _train_step(self, pieces: list[Batch]) -> None:
        """Change the weights by one step, and add its sums to the epoch's."""
        self.optimizer.zero_grad(set_to_none=True)
        loss, sums = add_gradient(self.handler, self.loss, pieces, self.target, self._reduce)
        distributed.sum_gradients(self._parameters, self.compress_gradients)
        norm = nn.utils.get_total_norm([p.grad for p in self._parameters if p.grad is not None])
        self._check_finite(loss.item(), norm.item())
        if self.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(self._parameters, self.clip_norm, norm)
        self.optimizer.step()
        self.progress.add(sums)

    def _reduce(self, sums: Sums) -> Sums:
        """Sum over processes, and learn in the same message whether any was asked to stop."""
        sums["stop"] = torch.full_like(sums["count"], float(self._request.asked))
        sums = distributed.reduce_sums(sums)
        self._stopping = bool(sums.pop("stop") > 0)
        return sums

    def _check_finite(self, loss: float, norm: float) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            return
        epoch, step = self.progress.epoch, self.progress.step
        rows = sorted(set(self.sampler.windows(epoch, step).basins.tolist()))
        basins = [str(self.loader.basin_ids[row]) for row in rows]
        raise ValueError(not_finite(epoch, step + 1, loss, norm, basins))

    def _batches(self, epoch: int, first: int) -> Generator[list[Batch]]:
        """Give the batches of the steps left; the next one is read while one is trained on."""
        steps = range(first, self.sampler.steps_per_epoch)
        title = f"epoch {epoch}/{self.epochs}"
        with ThreadPoolExecutor(1, thread_name_prefix="dmg-reader") as reader:
            ahead = reader.submit(self._batch, epoch, first)
            for step in bar(steps, title) if distributed.is_main() else steps:
                pieces = ahead.result()
                if step + 1 in steps:
                    ahead = reader.submit(self._batch, epoch, step + 1)
                yield pieces

    def _batch(self, epoch: int, step: int) -> list[Batch]:
        """Read the part of a step's windows that is this process's, in pieces."""
        windows = self.sampler.windows(epoch, step)
        first, count = distributed.rank() * self.accumulate, self.accumulate
        parts = count * distributed.world_size()
        mine = [self.sampler.part(windows, i, parts) for i in range(first, first + count)]
        return [read(self.loader, p, self.sampler.warmup).to(self._device) for p in mine]

    def _line(self, started: float) -> Line:
        """Validate, and give the epoch's line of metrics."""
        progress = self.progress
        steps = self.sampler.steps_per_epoch
        sums = {n: torch.tensor(v, dtype=torch.float64) for n, v in progress.sums.items()}
        validation = self._validate()
        return {
            "epoch": progress.epoch,
            "loss": self.loss.finalize(sums).item(),
            "validation": validation,
            "learning_rate": float(self.optimizer.param_groups[0]["lr"]),
            "seconds": round(time.monotonic() - started, 3),
            "best": progress.best,
            "steps": steps,
            "samples_per_second": round(steps * self.sampler.batch_size / progress.seconds, 2),
            **peak_memory(self._device),
            "time": round(time.time(), 3),
        }

    def _validate(self) -> float | None:
        """Give the validation loss if it is due, and keep the best weights."""
        progress = self.progress
        due = progress.epoch % self.validate_every == 0 or progress.epoch == self.epochs
        if self.validation is None or not due:
            return None
        value = self.validation()
        if not math.isfinite(value):
            raise ValueError(
                f"epoch {progress.epoch}: expected a finite validation loss, found {value}; lower"
                " train.optimizer.learning_rate or look at the data of the validation period"
            )
        if distributed.broadcast(progress.best is not None and value >= progress.best):
            progress.waited += 1
            return value
        progress.best, progress.waited = value, 0
        if distributed.is_main():
            state = {"epoch": progress.epoch, "model": self.handler.state_dict()}
            self._checkpoints.save_best(state)
        return value

    def _save_within_epoch(self) -> None:
        """Save if it is time, leave if asked to; the end of the epoch saves anyway."""
        if self.progress.step == self.sampler.steps_per_epoch:
            return
        if self._stopping:
            self._save()
            self._leave()
        if time.monotonic() - self._saved_at > 60 * self.checkpoint_minutes:
            self._save()

    def _leave(self) -> None:
        distributed.barrier()  # none ends before the checkpoint is on the disk
        self._report("asked to stop: a checkpoint is saved, the next run goes on from there")
        raise Interrupted

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        if not distributed.is_main():
            return
        state = {
            "model": self.handler.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": None if self.schedule is None else self.schedule.state_dict(),
            "progress": vars(self.progress),
        }
        self._checkpoints.save(self.progress.epoch, self.progress.step, state)
        self._record.write(self.progress.history)

    def _resume(self) -> None:
        """Take up the newest checkpoint; without one, all start from rank 0's weights."""
        state: State | None = None
        if distributed.is_main():
            self._checkpoints.clean()
            state = self._checkpoints.newest()
            self._record.begin(state["progress"]["history"] if state else [])
        state = distributed.broadcast(state)
        if state is None:
            distributed.broadcast_module(self.handler)
            return
        self.handler.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
        self.progress = Progress(**state["progress"])
        self._report(f"goes on at epoch {self.progress.epoch}, step {self.progress.step + 1}")

    def _restore_best(self) -> None:
        if self.validation is None:
            return
        best = distributed.broadcast(self._checkpoints.best() if distributed.is_main() else None)
        if best is None:
            raise ValueError(
                f"{self._checkpoints.folder / 'best.pt'}: expected the best weights, found no"
                " readable file; remove the folder and train again"
            )
        self.handler.load_state_dict(best["model"])

    def _report(self, message: str) -> None:
        if distributed.is_main():
            log.info(message)
