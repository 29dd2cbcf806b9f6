import logging
import pickle
import random

import pytest
import torch

from dmg import checkpoint
from dmg.checkpoint import Checkpoints, git_commit, load, load_model, save, save_model

STATE = {
    "epoch": 3,
    "weights": {"a": torch.arange(1000.0)},
    "best": None,
    "history": [{"loss": 0.5}],
}


def test_round_trip(tmp_path):
    save(tmp_path / "new" / "x.pt", STATE)
    found = load(tmp_path / "new" / "x.pt")
    assert torch.equal(found["weights"].pop("a"), STATE["weights"]["a"])
    assert found == {**STATE, "weights": {}}
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["x.pt"]


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.pt"
    save(path, {"epoch": 1})

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        save(path, {"epoch": 2})
    monkeypatch.undo()
    assert load(path) == {"epoch": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.pt"]


def test_no_arbitrary_classes_are_loaded(tmp_path):
    torch.save({"x": random.Random(0)}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="expected a checkpoint, found a damaged file"):
        load(tmp_path / "x.pt")


def test_another_kind_of_content_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "x.pt")
    with pytest.raises(ValueError, match="expected a checkpoint, found list"):
        load(tmp_path / "x.pt")


def damage(path, kind):
    content = bytearray(path.read_bytes())
    if kind == "torn":
        content = content[: len(content) // 2]
    elif kind == "empty":
        content = bytearray()
    elif kind == "flipped":
        content[len(content) // 2] ^= 0xFF
    elif kind == "text":
        content = bytearray(b"not a checkpoint\n")
    elif kind == "pickle":
        content = bytearray(pickle.dumps({"digest": "d"})[:-3])
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["torn", "empty", "flipped", "text", "pickle"])
def test_damaged_checkpoint_is_skipped_with_a_warning(tmp_path, caplog, kind):
    runs = Checkpoints(tmp_path, "d")
    runs.save(1, 0, {**STATE, "epoch": 1})
    runs.save(2, 0, {**STATE, "epoch": 2})
    damage(tmp_path / "000002-00000000.pt", kind)
    with caplog.at_level(logging.WARNING):
        assert runs.newest()["epoch"] == 1
    assert "000002-00000000.pt: expected a checkpoint, found a damaged file" in caplog.text
    assert caplog.text.count("\n") == 1


def test_only_the_last_three_are_kept(tmp_path):
    runs = Checkpoints(tmp_path)
    runs.save_best({"epoch": 0})
    for epoch, step in [(1, 0), (1, 90), (2, 0), (9, 5), (10, 0)]:
        runs.save(epoch, step, {"epoch": epoch, "step": step})
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["000002-00000000.pt", "000009-00000005.pt", "000010-00000000.pt", "best.pt"]
    assert runs.newest()["epoch"] == 10
    assert runs.best()["epoch"] == 0


def test_nothing_yet(tmp_path):
    runs = Checkpoints(tmp_path / "none")
    assert runs.newest() is None
    assert runs.best() is None
    runs.clean()


def test_checkpoints_of_another_configuration_are_not_used(tmp_path, caplog):
    Checkpoints(tmp_path, "old").save(5, 0, {"epoch": 5})
    Checkpoints(tmp_path, "old").save_best({"epoch": 5})
    (tmp_path / ".000009-00000000.pt.12345678.tmp").write_bytes(b"half")
    runs = Checkpoints(tmp_path, "new")
    assert runs.newest() is None
    assert runs.best() is None
    runs.clean()
    assert "another configuration" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_model_file_says_all_about_itself(tmp_path):
    model = torch.nn.Linear(3, 2)
    config = {"train": {"epochs": 3}}
    save_model(tmp_path / "model.pt", model, config=config, digest="abc", forcings=["pet"])
    content = load_model(tmp_path / "model.pt")
    assert content["config"] == config
    assert content["digest"] == "abc"
    assert content["forcings"] == ["pet"]
    assert content["version"][0].isdigit()
    assert content["commit"] == git_commit()
    other = torch.nn.Linear(3, 2)
    other.load_state_dict(content["state"])
    assert torch.equal(other.weight, model.weight)


def test_missing_model_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected a trained model.*run train first"):
        load_model(tmp_path / "model.pt")


def test_model_of_another_format_is_refused(tmp_path):
    save(tmp_path / "model.pt", {"format_version": 99})
    with pytest.raises(ValueError, match="expected a model of format 1, found 99; train it again"):
        load_model(tmp_path / "model.pt")
