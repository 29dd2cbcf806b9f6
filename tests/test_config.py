"""The schema: shipped files are valid, generated files are fresh, mistakes get one clear line."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
import yaml

from dmg.config import (
    Experiment,
    ForcingVariable,
    Metric,
    Run,
    TemporalSplit,
    digest,
    load_experiment,
    parse,
    read_yaml,
    resolved,
)
from dmg.data.variables import DYNAMIC
from dmg.metrics import METRICS
from dmg.phy import MODELS

ROOT = Path(__file__).parent.parent
SHIPPED = sorted((ROOT / "config/experiments").glob("*.yaml"))
SPLIT = {
    "kind": "temporal",
    "train": {"start": "1999-10-01", "end": "2008-09-30"},
    "test": {"start": "1989-10-01", "end": "1999-09-30"},
}
BASINS = {"name": "spatial_interpolation", "store": "camels_us"}
NHM = {"split": SPLIT, "source": "nhm", "forcing": BASINS}


def experiment(**changes: Any) -> Experiment:
    """Experiment with settings given as `section={...}`."""
    sections = {"data": {"split": SPLIT}} | changes
    return parse(Experiment, sections, "e.yaml")


def generator() -> ModuleType:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_shipped_experiments_are_valid(path: Path) -> None:
    load_experiment(path)


def test_shipped_run_is_valid() -> None:
    run = parse(Run, read_yaml(ROOT / "config/config.yaml"), "config.yaml")
    assert run.experiments == ("demo",)


def test_generated_files_are_fresh() -> None:
    for path, text in generator().pages().items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, f"{path} is stale: make config"


def test_a_model_without_a_page_is_named() -> None:
    with pytest.raises(ValueError, match=r"docs/models/bucket\.md: expected a page of the process"):
        generator().model_page("bucket")


def test_every_model_page_is_in_the_navigation() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [n for n in generator().our_models() if f": models/{n}.md\n" not in nav] == []


def test_schema_names_the_process_models() -> None:
    section = Experiment.model_json_schema()["$defs"]["Phy"]
    assert set(MODELS) == set(section["properties"]["name"]["examples"])


def test_schema_offers_the_weather_of_a_store() -> None:
    assert {*get_args(ForcingVariable), "discharge"} == set(DYNAMIC)


def test_schema_offers_only_metrics_that_exist() -> None:
    assert set(get_args(Metric)) <= set(METRICS)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"tain": {}}, "e.yaml: tain: unknown key; did you mean 'train'?"),
        ({"train": {"optimizer": {"name": "adam", "rate": 1}}}, "optimizer.adam.rate: unknown key"),
        ({"train": {"epochs": 0}}, "train.epochs: Input should be greater than or equal to 1"),
        ({"train": {"loss": {"name": "nse"}}}, "train.loss: .*'rmse_comb'"),
        ({"data": {"split": SPLIT, "log_forcings": ["rain"]}}, r"log_forcings \['rain'\] are not"),
        ({"data": {"split": SPLIT, "product": "nldas"}}, "use nldas_extended or priestley_taylor"),
        ({"data": {}}, "data.split: Field required"),
        (
            {"data": {"split": SPLIT | {"kind": "pub", "only": [0, 1]}}},
            r"only: expected different numbers of folds from 1 to 10, found \[0, 1\]; name each",
        ),
        ({"data": {"split": SPLIT | {"kind": "pur", "only": [8]}}}, r"from 1 to 7, found \[8\]"),
        ({"data": {"split": SPLIT | {"kind": "nested", "only": [2, 2]}}}, r"found \[2, 2\]"),
        ({"data": {"split": SPLIT | {"kind": "spatial", "only": []}}}, "only: .* at least 1"),
        ({"data": {"split": SPLIT | {"only": [1]}}}, "split.temporal.only: unknown key"),
        (
            {"data": {"split": SPLIT | {"kind": "extremes", "only": [1]}}},
            "only: expected num_folds with it, the number of all folds",
        ),
        ({"data": {"split": SPLIT, "source": "nhm"}}, "forcing: expected one for source nhm"),
        ({"data": {"split": SPLIT, "forcing": BASINS}}, "forcing: expected none for source camels"),
        ({"data": NHM | {"synthetic": {}}}, "second time, found synthetic; remove it"),
        ({"data": NHM | {"source": "synthetic_network"}}, "synthetic_network: expected settings"),
        (
            {"data": {"split": SPLIT, "synthetic": {}, "synthetic_network": {}}},
            "source camels_us a second time, found synthetic and synthetic_network",
        ),
        (
            {"data": NHM | {"layout": {"shard_basins": 100, "chunk_basins": 64}}},
            r"shard_basins: expected a multiple of chunk_basins \(64\), found 100",
        ),
        ({"data": NHM | {"forcing": {"name": "kriging"}}}, "data.forcing: Input tag 'kriging'"),
        ({"data": NHM | {"forcing": BASINS | {"neighbours": 0}}}, "neighbours: Input sho"),
        ({"data": NHM | {"forcing": BASINS | {"variables": ["rain"]}}}, "variables.0: .*'precip"),
        ({"data": NHM | {"forcing": {"name": "gridded", "path": "a", "variables": {}}}}, "least"),
        ({"model": {"phy": {"name": "hbv_9"}}}, "no process model 'hbv_9'; choose from .'hbv_1_0'"),
        ({"model": {"phy": {"snow": "gr4j"}}}, "snow: Input should be 'snow17' or 'degree_day'"),
        ({"model": {"phy": None, "nn": {"name": "mlp"}}}, "nn: mlp sees no forcing"),
        (
            {"model": {"phy": {"name": "hbv_1_0", "dynamic": ["BETA"]}, "nn": {"name": "mlp"}}},
            "nn: mlp gives static parameters only",
        ),
        (
            {"model": {"nn": {"a": {"name": "mlp", "parameters": ["FC"]},
                              "b": {"name": "mlp", "parameters": ["LP", "FC"]}}}},
            "parameter 'FC' is given by two networks, 'a' and 'b'; name it in one",
        ),
        (
            {"model": {"phy": {"dynamic": ["BETA"]},
                       "nn": {"a": {"name": "mlp"}, "b": {"name": "lstm", "parameters": ["FC"]}}}},
            r"nn: mlp gives static parameters only, but phy.dynamic has \['BETA'\]",
        ),
        ({"model": {"nn": {"name": "mlp"}}}, "nn: mlp reads attributes, but"),
        ({"model": {"nn": {"a": {"name": "lstn"}}}}, "model.nn.a: Input tag 'lstn' found"),
        ({"model": {"nn": {"hidden_size": 4}}}, "model.nn: Unable to extract tag"),
        ({"model": {"phy": [{"name": "hbv_9"}]}}, "model.phy.0.name: no process model 'hbv_9'"),
        ({"model": {"phy": []}}, "phy: expected one process model or more, found an empty list"),
        ({"model": {"phy": [{}, {}]}}, r"once, found \['hbv_1_0'\] more than once"),
        ({"model": {"phy": {"dynamic": ["FC"], "fixed": {"FC": 100}}}}, "both dynamic and fixed"),
        ({"model": {"phy": None, "nn": None}}, "phy: null needs one network, .* found 0"),
        ({"model": {"correction": {"name": "mlp"}}}, "correction: mlp cannot correct a flow"),
        ({"model": {"phy": None, "correction": {"name": "lstm"}}}, "no process model to correct"),
        ({"model": {"weights": {"name": "mlp"}}}, "weights: expected several process models"),
        (
            {"model": {"phy": [{}, {"name": "hbv_1_1p"}], "weights": {"name": "mc_lstm"}}},
            "weights: mc_lstm gives the flow, no weights",
        ),
        ({"model": {"weights": "men"}}, "model.weights: Input should be 'mean'"),
        ({"model": {"nn": {"name": "mc_lstm"}}}, "mc_lstm gives the flow, no parameters; set phy"),
        ({"model": {"nn": {"name": "transformer", "num_heads": 7}}}, "found 64 for 7 heads"),
        (
            {"data": {"split": SPLIT, "forcings": ["pet"]},
             "model": {"phy": None, "nn": {"name": "mc_lstm"}}},
            "mc_lstm conserves precipitation, but data.forcings",
        ),
        ({"evaluate": {"metrics": ["nse", "kgee"]}}, "evaluate.metrics.1: .*'kge'"),
        (
            {"evaluate": {"reference": {"start": "2001-01-01", "end": "2000-01-01"}}},
            "evaluate.reference: period ends .2000-01-01. before it starts .2001-01-01.",
        ),
    ],
)  # fmt: skip
def test_mistakes_get_one_line_that_names_the_key(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        experiment(**sections)
    assert "\n" not in str(error.value)


def test_broken_yaml_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("data:\n  split: [\n")
    with pytest.raises(ValueError, match=r"e\.yaml:3: not valid YAML"):
        read_yaml(path)


def test_yaml_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("- data\n")
    with pytest.raises(ValueError, match="expected a mapping of sections, found list"):
        read_yaml(path)


def test_an_empty_file_lacks_its_required_section(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.touch()
    with pytest.raises(ValueError, match="data: Field required"):
        load_experiment(path)


def test_digest_follows_settings_and_nothing_else(tmp_path: Path) -> None:
    default = experiment()
    assert digest(default.train) == digest(experiment(train={"epochs": 50}).train)
    assert digest(default.train) != digest(experiment(train={"epochs": 51}).train)


def test_resolved_settings_read_back_equal(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    split = SPLIT | {"validate": {"start": "2009-10-01", "end": "2010-09-30"}}
    original = experiment(data={"split": split})
    path.write_text(yaml.safe_dump(resolved(original)))
    assert load_experiment(path) == original
    assert isinstance(original.data.split, TemporalSplit)
    assert original.data.split.validate_ is not None


def test_model_has_a_label_for_tables() -> None:
    several = {"phy": [{}, {"name": "hbv_1_1p"}], "weights": {"name": "mlp"}}
    data = {"split": SPLIT, "attributes": ["slope"]}
    assert experiment(data=data, model=several).model.label == "hbv_1_0+hbv_1_1p"
    assert experiment(model={"phy": None}).model.label == "lstm"
    snow = {"phy": {"name": "gr4j", "snow": "degree_day"}}
    assert experiment(model=snow).model.label == "gr4j+degree_day"


def test_every_way_to_couple_reads_back_equal() -> None:
    named = {"a": {"name": "mlp", "parameters": ["FC"]}, "b": {"name": "lstm"}}
    for model in (
        {"nn": named, "correction": {"name": "ea_lstm"}},
        {"phy": [{}, {"name": "hbv_1_1p"}], "weights": {"name": "table", "shared": True}},
        {"phy": {"fixed": {"FC": 100.0}}, "nn": None},
        {"phy": [{"name": "gr4j"}, {"name": "gr4j", "snow": "snow17"}]},
    ):
        chosen = experiment(data={"split": SPLIT, "attributes": ["slope"]}, model=model)
        assert parse(Experiment, resolved(chosen), "again") == chosen
