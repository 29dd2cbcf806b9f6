import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from stubs import NUM_BASINS, StubLoader, StubModel, make_trainer

from dmg.data.sampler import tile
from dmg.interrupt import INTERRUPTED, Interrupted
from dmg.losses import LOSSES, NseBatch
from dmg.validation import Validation

KEYS = {
    "epoch", "loss", "validation", "learning_rate", "seconds", "best", "steps",
    "samples_per_second", "peak_memory_mb", "peak_gpu_memory_mb", "time",
}  # fmt: skip


def lines(run_dir):
    return [json.loads(text) for text in (run_dir / "metrics.jsonl").read_text().splitlines()]


def weights(trainer):
    return {n: t.clone() for n, t in trainer.handler.state_dict().items()}


def assert_equal(one, two):
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, two[name]), name


def without_time(history):
    clock = {"seconds", "samples_per_second", "peak_memory_mb", "time"}
    return [{k: v for k, v in line.items() if k not in clock} for line in history]


def test_learns(tmp_path):
    history = make_trainer(tmp_path, epochs=15).fit()
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert history[-1]["validation"] < 0.5 * history[0]["validation"]


def test_one_line_of_metrics_an_epoch(tmp_path):
    history = make_trainer(tmp_path, epochs=3).fit()
    assert lines(tmp_path) == history
    assert [line["epoch"] for line in history] == [1, 2, 3]
    assert all(line.keys() == KEYS for line in history)
    assert [line["learning_rate"] for line in history] == pytest.approx([0.02, 0.018, 0.0162])
    assert history[-1]["best"] == min(line["validation"] for line in history)
    assert history[0]["steps"] == 10
    assert history[0]["peak_memory_mb"] > 10
    assert history[0]["peak_gpu_memory_mb"] is None  # not on a GPU
    assert history[0]["time"] <= history[2]["time"] <= time.time()


def test_without_validation_the_last_weights_stay(tmp_path):
    trainer = make_trainer(tmp_path, validate=False)
    history = trainer.fit()
    assert [line["validation"] for line in history] == [None, None]
    assert [line["best"] for line in history] == [None, None]
    assert not (tmp_path / "checkpoints" / "best.pt").exists()


def test_loss_of_an_epoch_is_that_of_all_its_windows(tmp_path):
    trainer = make_trainer(tmp_path, epochs=1, learning_rate=1e-30, validate=False)
    trainer.handler.forward = lambda batch: StubModel.forward(trainer.handler.eval(), batch)
    history = trainer.fit()
    draws = [trainer.sampler.windows(1, step) for step in range(10)]
    whole = Validation(
        handler=trainer.handler, loss=trainer.loss, loader=trainer.loader, windows=draws,
        target="streamflow", warmup=5,
    )  # fmt: skip
    assert history[0]["loss"] == pytest.approx(whole(), rel=1e-12)


def test_validation_does_not_change_the_training(tmp_path):
    one = make_trainer(tmp_path / "one", validate=True, epochs=1)
    two = make_trainer(tmp_path / "two", validate=False, epochs=1)
    one.fit()
    two.fit()
    assert_equal(weights(one), weights(two))


def test_validate_every(tmp_path):
    history = make_trainer(tmp_path, epochs=5, validate_every=2).fit()
    given = [line["validation"] is not None for line in history]
    assert given == [False, True, False, True, True]


class Scripted:
    """A validation that says what it is told."""

    def __init__(self, values):
        self.values = list(values)

    def __call__(self):
        return self.values.pop(0)


def test_early_stop_restores_the_best_weights(tmp_path):
    trainer = make_trainer(tmp_path, epochs=9, patience=2)
    trainer.validation = Scripted([3.0, 1.0, 1.0, 2.0, 0.1])
    history = trainer.fit()
    assert [line["best"] for line in history] == [3.0, 1.0, 1.0, 1.0]
    reference = make_trainer(tmp_path / "reference", epochs=2, validate=False)
    reference.fit()
    assert_equal(weights(trainer), weights(reference))


def test_a_finished_training_is_not_trained_again(tmp_path):
    first = make_trainer(tmp_path, epochs=3)
    history = first.fit()
    again = make_trainer(tmp_path, epochs=3, loader=NoLoader())
    assert again.fit() == history
    assert_equal(weights(first), weights(again))


class NoLoader:
    def batch(self, *_):
        raise AssertionError("nothing is left to read")


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_trains(tmp_path, name):
    cls = LOSSES[name]
    loss = cls(torch.ones(NUM_BASINS)) if cls.needs_target_std else cls()
    assert math.isfinite(make_trainer(tmp_path, epochs=1, loss=loss).fit()[0]["loss"])


class Breaking(StubLoader):
    """Series with a NaN in the forcing, from a given call on."""

    def __init__(self, calls):
        super().__init__()
        self.calls = calls

    def batch(self, *args):
        batch = super().batch(*args)
        self.calls -= 1
        if self.calls < 0:
            batch.forcing["rain"][-1, -1] = torch.nan
            batch.target[-1, -1] = 1.0
        return batch


def test_non_finite_loss_stops_and_overwrites_nothing(tmp_path):
    trainer = make_trainer(tmp_path, epochs=3, validate=False, loader=Breaking(13))
    with pytest.raises(ValueError, match=r"epoch 2, step 4: expected a finite loss") as error:
        trainer.fit()
    assert "\n" not in str(error.value)
    for row in trainer.sampler.windows(2, 3).basins:
        assert f"{row:08d}" in str(error.value)
    assert len(lines(tmp_path)) == 1
    names = [p.name for p in (tmp_path / "checkpoints").iterdir()]
    assert names == ["000002-00000000.pt"]
    assert all(torch.isfinite(p).all() for p in trainer.handler.parameters())


def test_non_finite_gradient_stops(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.handler.first.weight.register_hook(lambda g: g * torch.inf)
    with pytest.raises(ValueError, match=r"epoch 1, step 1: .* norm of its gradient is"):
        trainer.fit()


def test_non_finite_validation_stops(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.validation = Scripted([math.nan])
    with pytest.raises(ValueError, match="epoch 1: expected a finite validation loss, found nan"):
        trainer.fit()


def test_validation_without_observations_is_refused():
    loader = StubLoader()
    validation = Validation(
        handler=StubModel(), loss=NseBatch(torch.ones(NUM_BASINS)), loader=loader,
        windows=tile([0], 50, 99, batch_size=4, window=20), target="streamflow", warmup=5,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"validation: expected observed values, found none"):
        validation()


def test_validation_does_not_depend_on_the_batches():
    def value(batch_size, window):
        windows = tile(np.arange(NUM_BASINS), 20, 99, batch_size=batch_size, window=window)
        return Validation(
            handler=StubModel(), loss=NseBatch(torch.ones(NUM_BASINS)), loader=StubLoader(),
            windows=windows, target="streamflow", warmup=3,
        )()  # fmt: skip

    assert value(3, 20) == pytest.approx(value(12, 80), rel=1e-12)


def test_missing_best_weights_say_what_to_do(tmp_path):
    make_trainer(tmp_path).fit()
    (tmp_path / "checkpoints" / "best.pt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"best.pt: expected the best weights"):
        make_trainer(tmp_path).fit()


def test_checkpoints_of_another_configuration_are_not_resumed(tmp_path):
    make_trainer(tmp_path, digest="old", epochs=2, model_seed=9).fit()
    trainer = make_trainer(tmp_path, digest="new")
    trainer.fit()
    reference = make_trainer(tmp_path / "reference")
    reference.fit()
    assert_equal(weights(trainer), weights(reference))
    assert without_time(lines(tmp_path)) == without_time(lines(tmp_path / "reference"))


class Stopping(StubLoader):
    """Sends a signal to this process while a given batch is read."""

    def __init__(self, call, number):
        super().__init__()
        self.call, self.number = call, number

    def batch(self, *args):
        self.call -= 1
        if self.call == 0:
            os.kill(os.getpid(), self.number)
        return super().batch(*args)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
@pytest.mark.parametrize("call", [1, 6, 10])
def test_signal_saves_and_resumes(tmp_path, number, call):
    before = signal.getsignal(number)
    trainer = make_trainer(tmp_path, validate=False, loader=Stopping(call, number))
    with pytest.raises(Interrupted) as stop:
        trainer.fit()
    assert stop.value.code == INTERRUPTED == 75
    assert signal.getsignal(number) is before
    assert trainer.progress.step in {call - 1, call, call + 1} or trainer.progress.epoch == 2
    resumed = make_trainer(tmp_path, validate=False)
    history = resumed.fit()
    reference = make_trainer(tmp_path / "reference", validate=False)
    assert without_time(history) == without_time(reference.fit())
    assert_equal(weights(resumed), weights(reference))


def test_checkpoints_within_an_epoch_by_the_clock(tmp_path):
    trainer = make_trainer(tmp_path, epochs=1, checkpoint_minutes=1e-9)
    trainer.fit()
    names = sorted(p.name for p in (tmp_path / "checkpoints").glob("0*"))
    assert names == ["000001-00000008.pt", "000001-00000009.pt", "000002-00000000.pt"]


def start(run_dir, steps=30, epochs=4, delay=0.01):
    script = Path(__file__).with_name("stubs.py")
    options = {"--steps": steps, "--epochs": epochs, "--delay": delay}
    arguments = [str(x) for pair in options.items() for x in pair]
    return subprocess.Popen([sys.executable, str(script), str(run_dir), *arguments])


def wait_for(condition, seconds=60.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.01)


def kill_until_done(run_dir, draw, kills):
    """Kill the training at random moments after it began, then let it end."""
    notes = run_dir / "trainers.txt"
    for n in range(kills):
        process = start(run_dir)
        wait_for(lambda n=n: notes.exists() and notes.read_text().count("start") > n)
        time.sleep(draw.uniform(0.02, 0.5))
        process.kill()
        process.wait()
    assert start(run_dir).wait() == 0


@pytest.mark.slow
def test_killed_at_random_moments_equals_uninterrupted(tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    killed.mkdir()
    whole.mkdir()
    assert start(whole, delay=0.0).wait() == 0
    kill_until_done(killed, random.Random(4), kills=4)
    assert_equal(torch.load(killed / "weights.pt"), torch.load(whole / "weights.pt"))
    assert without_time(lines(killed)) == without_time(lines(whole))
    assert not list((killed / "checkpoints").glob(".*"))
