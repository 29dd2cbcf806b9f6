"""From an experiment to a trained model and its predictions, on a small store."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
import yaml

from dmg import build, build_model, runs
from dmg.config import Experiment, Phy, resolved
from dmg.data.zarrs import open_zarr
from dmg.phy import MODELS as MODEL_TABLE
from dmg.routing import UnitHydrograph
from dmg.status import read_statuses
from tests.pretrain_encoder import CONTEXT, export, pretrain
from tests.small import IDS, experiment, write_preprocessed, write_store

MODELS: dict[str, dict[str, Any]] = {
    "lstm_dynamic": {},
    "mlp_static": {
        "model": {"phy": {"name": "hbv_1_0"}, "nn": {"name": "mlp", "hidden_sizes": [4]}},
        "train": {"loss": {"name": "nse_batch"}, "optimizer": {"name": "adam"}},
    },
    "reads_constants": {
        "model": {
            "phy": {"name": "hbv_2_0", "dynamic": ["BETA"]},
            "nn": {"name": "lstm", "hidden_size": 4},
            "num_components": 2,
        },
        "train": {"loss": {"name": "nse_batch"}},
    },
    "lstm_only": {
        "model": {"phy": None, "nn": {"name": "lstm", "hidden_size": 4}, "num_components": 1},
        "train": {"loss": {"name": "nse_batch"}, "schedule": {"name": "cosine"}},
    },
}
EACH_DAY = {"loss": {"name": "nse_batch", "standardized": True}, "draw": "each_day", "window": 1}
MODELS |= {
    name: {"model": {"phy": None, "nn": {"name": nn, "hidden_size": 4}}, "train": EACH_DAY}
    for name, nn in [("sequence_to_one", "plain_lstm"), ("ea_sequence_to_one", "ea_lstm")]
}
TEMPORAL = {
    "kind": "temporal",
    "train": {"start": "2000-01-01", "end": "2001-03-31"},
    "test": {"start": "2001-04-01", "end": "2002-03-10"},
}
MODELS["table"] = {
    "data": {"split": TEMPORAL},
    "model": {"phy": {"name": "hbv_1_0"}, "nn": {"name": "table"}, "num_components": 2},
}
MODELS |= {
    name: {"model": {"phy": phy, "nn": {"name": name, "hidden_size": 4, **options}}}
    for name, phy, options in [
        ("lstm_mlp", {"name": "hbv_1_0", "dynamic": ["BETA"]}, {"mlp_hidden_sizes": [4]}),
        ("ea_lstm", {"name": "hbv_1_0", "dynamic": ["BETA"]}, {}),
        ("mc_lstm", None, {}),
        ("transformer", {"name": "hbv_1_0"}, {"num_heads": 2, "context": 20}),
    ]
}
MODELS["snow_module"] = {
    "model": {
        "phy": {
            "name": "gr4j", "snow": "snow17",
            "dynamic": ["x1", "MFMAX"], "fixed": {"x2": 0.5, "SCF": 1.1},
        },
        "nn": {"name": "lstm", "hidden_size": 4},
        "num_components": 2,
    },
}  # fmt: skip
MLP: dict[str, Any] = {"name": "mlp", "hidden_sizes": [4]}
LSTM: dict[str, Any] = {"name": "lstm", "hidden_size": 4}
MODELS["named_and_corrected"] = {
    "model": {
        "phy": {"name": "hbv_1_0", "dynamic": ["BETA"], "fixed": {"CFR": 0.05}},
        "nn": {"snow": MLP | {"parameters": ["TT", "CFMAX", "CWH"]}, "rest": LSTM},
        "correction": LSTM,
        "num_components": 2,
    },
}
MODELS["side_by_side"] = {
    "model": {
        "phy": [{"name": "hbv_1_0", "dynamic": ["BETA"]}, {"name": "hbv_1_1p"}],
        "nn": LSTM,
        "weights": LSTM,
        "num_components": 2,
    },
}
QUICK = {"epochs": 1, "steps_per_epoch": 2, "batch_size": 3, "window": 20, "warmup": 10}


def make(name: str, **evaluate: Any) -> Experiment:
    sections = MODELS[name]
    if "train" in sections:
        sections = sections | {"train": QUICK | sections["train"]}
    return experiment(**sections, **({"evaluate": evaluate} if evaluate else {}))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("store") / "s.zarr")


def trained(chosen: Experiment, store: Path, folder: Path) -> Path:
    """Preprocess and train; return the trained model's file."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "experiment.yaml"
    config.write_text(yaml.safe_dump(resolved(chosen)))
    preprocessed = write_preprocessed(chosen, store, folder / "preprocess")
    model = folder / "all/seed0/model.pt"
    runs.train(config, store, preprocessed, "all", "seed0", model)
    return model


def predicted(chosen: Experiment, model: Path, store: Path, out: Path) -> xr.Dataset:
    runs.predict(chosen, model, store, model.parents[2] / "preprocess", out)
    return open_zarr(out).load()


@pytest.mark.parametrize("name", list(MODELS))
def test_trained_model_predicts_every_basin_and_day(name: str, store: Path, tmp_path: Path) -> None:
    chosen = make(name)
    model = trained(chosen, store, tmp_path)
    simulated = predicted(chosen, model, store, tmp_path / "predictions.zarr")
    assert simulated["streamflow"].shape == (5, 800)
    assert simulated["streamflow"].notnull().all()
    assert simulated["streamflow"].attrs["units"] == "mm d-1"
    assert simulated["basin"].values.tolist() == IDS
    done = json.loads((model.parent / "done.json").read_text())
    assert done["seed"] == "seed0"
    assert (model.parent / "config.yaml").exists()
    assert len((model.parent / "metrics.jsonl").read_text().splitlines()) == chosen.train.epochs


def test_parameters_are_written_with_bounds(store: Path, tmp_path: Path) -> None:
    chosen = make("lstm_dynamic")
    simulated = predicted(chosen, trained(chosen, store, tmp_path), store, tmp_path / "p.zarr")
    assert simulated["FC"].dims == ("basin", "component")
    assert simulated["route_a"].dims == ("basin",)
    assert "BETA" not in simulated  # changes in time
    assert ((simulated["FC"] > 50) & (simulated["FC"] < 1000)).all()
    assert simulated["FC"].attrs["kind"] == "parameter"


@pytest.mark.parametrize("name", list(MODELS))
def test_chunks_and_blocks_change_memory_not_numbers(
    name: str, store: Path, tmp_path: Path
) -> None:
    whole, pieces = make(name, chunk_days=10_000), make(name, chunk_days=97, block_basins=2)
    model = trained(whole, store, tmp_path)
    one = predicted(whole, model, store, tmp_path / "one.zarr")
    many = predicted(pieces, model, store, tmp_path / "many.zarr")
    # float32: LSTM kernels differ by length and batch in the last digits
    np.testing.assert_allclose(many["streamflow"], one["streamflow"], rtol=2e-5, atol=1e-5)


def test_other_fluxes_on_demand(store: Path, tmp_path: Path) -> None:
    chosen = make("mlp_static", outputs=["streamflow", "baseflow", "aet"])
    simulated = predicted(chosen, trained(chosen, store, tmp_path), store, tmp_path / "p.zarr")
    assert (simulated["baseflow"] <= simulated["streamflow"] + 1e-5).all()
    assert (simulated["aet"] >= 0).all()


def test_unknown_output_is_refused(store: Path, tmp_path: Path) -> None:
    model = trained(make("mlp_static"), store, tmp_path)
    with pytest.raises(ValueError, match=r"evaluate.outputs: unknown \['flow'\]; choose from"):
        predicted(make("mlp_static", outputs=["flow"]), model, store, tmp_path / "p.zarr")
    assert not (tmp_path / "p.zarr").exists()


def test_model_file_is_self_contained(store: Path, tmp_path: Path) -> None:
    model = trained(make("lstm_dynamic"), store, tmp_path)
    first, settings = runs.load_handler(model)
    assert settings == make("lstm_dynamic")
    content = torch.load(model, weights_only=True)
    assert content["seed"] == "seed0"
    assert {"version", "commit", "digest", "statistics"} <= content.keys()
    assert all(torch.equal(first.state_dict()[n], t) for n, t in content["state"].items())


def test_same_seed_same_model_and_other_seed_other_model(store: Path, tmp_path: Path) -> None:
    def weights(folder: str, seed: str) -> dict[str, torch.Tensor]:
        chosen = make("lstm_dynamic")
        trained(chosen, store, tmp_path / folder)
        config, prepared = tmp_path / folder / "experiment.yaml", tmp_path / folder / "preprocess"
        out = tmp_path / folder / "again" / "model.pt"
        runs.train(config, store, prepared, "all", seed, out)
        state: dict[str, torch.Tensor] = torch.load(out, weights_only=True)["state"]
        return state

    a, b, c = weights("a", "seed0"), weights("b", "seed0"), weights("c", "seed1")
    assert all(torch.equal(a[n], b[n]) for n in a)
    assert any(not torch.equal(a[n], c[n]) for n in a)


def test_test_data_do_not_change_one_bit_of_training(store: Path, tmp_path: Path) -> None:
    """Poison test days of all basins and every day of the held-out basin."""
    chosen = make("lstm_dynamic")
    clean = torch.load(trained(chosen, store, tmp_path / "clean"), weights_only=True)
    splits = (tmp_path / "clean/preprocess/splits.csv").read_text().splitlines()
    learned_from = {line.split(",")[0] for line in splits if ",train," in line}
    poisoned = write_store(tmp_path / "poisoned.zarr")
    data = open_zarr(poisoned).load()
    late = data["time"] > np.datetime64("2001-03-31")
    held_out = ~data["basin"].isin(list(learned_from))
    assert held_out.sum() == 1
    import zarr

    group = zarr.open_group(poisoned, mode="r+")
    for name in ("precipitation", "temperature_max", "discharge"):
        group[name][:] = data[name].where(~(late | held_out), 150.0).to_numpy()
    dirty = torch.load(trained(chosen, poisoned, tmp_path / "dirty"), weights_only=True)
    assert clean["statistics"] == dirty["statistics"]
    assert all(torch.equal(clean["state"][n], t) for n, t in dirty["state"].items())


def test_digest_follows_settings_and_data_not_resources(store: Path, tmp_path: Path) -> None:
    def digest_of(**train: Any) -> str:
        chosen = experiment(train=QUICK | train)
        return build.training_digest(chosen, prepared)

    prepared = write_preprocessed(make("lstm_dynamic"), store, tmp_path)
    assert digest_of(processes=2, seeds=[3], threads=1) == digest_of()
    assert digest_of(epochs=9) != digest_of()
    before = digest_of()
    statistics = prepared / "statistics.json"
    statistics.write_text(statistics.read_text().replace("mean", "mittel"))
    assert digest_of() != before


def test_validation_keeps_the_best_epoch(store: Path, tmp_path: Path) -> None:
    split = {
        "kind": "temporal",
        "train": {"start": "2000-01-01", "end": "2000-12-31"},
        "validate": {"start": "2001-01-01", "end": "2001-06-30"},
        "test": {"start": "2001-07-01", "end": "2002-03-10"},
    }
    chosen = experiment(data={"attributes": ["aridity"], "split": split})
    model = trained(chosen, store, tmp_path)
    lines = [json.loads(x) for x in (model.parent / "metrics.jsonl").read_text().splitlines()]
    assert all(line["validation"] > 0 for line in lines)
    assert lines[-1]["best"] == min(line["validation"] for line in lines)


def test_a_new_training_takes_back_that_an_earlier_one_is_done(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trained(make("mlp_static"), store, tmp_path).parent
    assert read_statuses([run])[0].state == "done"

    def full(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(runs, "save_model", full)
    config, prepared = tmp_path / "experiment.yaml", tmp_path / "preprocess"
    with pytest.raises(OSError, match="no space left"):
        runs.train(config, store, prepared, "all", "seed0", run / "model.pt")
    assert read_statuses([run])[0].state == "stopped"


def test_unknown_fold_and_seed(store: Path, tmp_path: Path) -> None:
    model = trained(make("mlp_static"), store, tmp_path)
    config, prepared = tmp_path / "experiment.yaml", tmp_path / "preprocess"
    with pytest.raises(ValueError, match=r"--fold: expected one of \['all'\], found 'fold01'"):
        runs.train(config, store, prepared, "fold01", "seed0", model)
    with pytest.raises(
        ValueError, match="--seed: expected seed<integer>, for example seed0, found 'first'"
    ):
        runs.seed_number("first")


LOSSES = ["mse", "rmse", "rmse_comb", "nse_batch", "nse_sqrt_batch", "kge_norm_batch"]
OPTIMIZERS = ["adam", "adamw", "adadelta"]
TRAININGS = [(name, "adam") for name in LOSSES] + [("mse", name) for name in OPTIMIZERS[1:]]


@pytest.mark.parametrize(("loss", "optimizer"), TRAININGS)
def test_every_loss_and_optimizer_trains(
    loss: str, optimizer: str, store: Path, tmp_path: Path
) -> None:
    settings = QUICK | {"loss": {"name": loss}, "optimizer": {"name": optimizer}}
    chosen = make("mlp_static").model_copy(update={"train": experiment(train=settings).train})
    model = trained(chosen, store, tmp_path)
    lines = [json.loads(x) for x in (model.parent / "metrics.jsonl").read_text().splitlines()]
    assert np.isfinite([line["loss"] for line in lines]).all()


def test_unknown_option_of_the_process_model() -> None:
    settings = Phy(options={"tilt": 1})
    with pytest.raises(ValueError, match=r"hbv_1_0 takes no \['tilt'\]; choose from \['dt'\]"):
        build_model.build_phy(settings)


def test_fixed_parameters_need_no_training(store: Path, tmp_path: Path) -> None:
    fixed = {
        n: (p.lower + p.upper) / 2
        for n, p in (MODEL_TABLE["hbv_1_0"].PARAMETERS | UnitHydrograph.PARAMETERS).items()
    }
    chosen = experiment(
        model={"phy": {"name": "hbv_1_0", "fixed": fixed}, "nn": None, "num_components": 1}
    )
    model = trained(chosen, store, tmp_path)
    assert len((model.parent / "metrics.jsonl").read_text().splitlines()) == 1
    simulated = predicted(chosen, model, store, tmp_path / "p.zarr")
    assert (simulated["FC"] == 525).all()
    assert simulated["streamflow"].notnull().all()


def test_parameters_of_models_side_by_side_bear_their_names(store: Path, tmp_path: Path) -> None:
    chosen = make("side_by_side", outputs=["streamflow", "aet"])
    simulated = predicted(chosen, trained(chosen, store, tmp_path), store, tmp_path / "p.zarr")
    assert {"aet", "hbv_1_0.FC", "hbv_1_1p.FC", "hbv_1_1p.route_a"} <= set(simulated)
    with pytest.raises(ValueError, match=r"unknown \['capillary'\]; choose from"):
        runs.flux_names(chosen, ("capillary",))  # not a flux of both


def test_parameters_of_a_snow_module_are_those_of_the_model(store: Path, tmp_path: Path) -> None:
    chosen = make("snow_module", outputs=["streamflow", "snowmelt"])
    simulated = predicted(chosen, trained(chosen, store, tmp_path), store, tmp_path / "p.zarr")
    assert {"streamflow", "snowmelt", "MFMIN", "x3"} <= set(simulated)
    assert not {"MFMAX", "x1"} & set(simulated)  # change in time
    assert (simulated["SCF"] == np.float32(1.1)).all()
    assert (simulated["x2"] == 0.5).all()


def test_a_model_takes_no_second_snow() -> None:
    with pytest.raises(ValueError, match="'hbv_1_0' has snow of its own; leave out 'degree_day'"):
        build_model.build_phy(Phy(snow="degree_day"))


def test_a_model_of_shorter_steps_than_days() -> None:
    with pytest.raises(ValueError, match="hbv_2_0_hourly runs in steps of 1 h, but stores are da"):
        build_model.build_phy(Phy(name="hbv_2_0_hourly"))


def test_a_model_with_a_pretrained_encoder_brings_it_along(store: Path, tmp_path: Path) -> None:
    program = export(pretrain(steps=1), tmp_path / "encoder.pt2")
    network = {"name": "encoder", "source": str(program), "context": CONTEXT, "hidden_size": 4}
    chosen = experiment(
        model={"phy": {"name": "hbv_1_0", "dynamic": ["BETA"]}, "nn": network, "num_components": 2}
    )
    model = trained(chosen, store, tmp_path)
    before = predicted(chosen, model, store, tmp_path / "before.zarr")
    program.unlink()
    after = predicted(chosen, model, store, tmp_path / "after.zarr")
    assert before["streamflow"].notnull().all()
    np.testing.assert_array_equal(after["streamflow"], before["streamflow"])
