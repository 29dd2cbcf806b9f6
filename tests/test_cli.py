"""The command: parses, calls, and ends in one line where a user made a mistake."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dmg.cli import main

ROOT = Path(__file__).parent.parent
DEMO = str(ROOT / "config/experiments/demo.yaml")


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Exit status of `dmg ARGUMENTS`, run in this process."""
    monkeypatch.setattr(sys, "argv", ["dmg", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_config_check_loads_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; from dmg.cli import main\n"
        "try: main()\n"
        "finally: print(*({'torch', 'numpy', 'pandas'} & set(sys.modules)), 'loaded')"
    )
    command = [sys.executable, "-c", code, "config", "check", DEMO]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    valid, loaded = result.stdout.splitlines()
    assert valid.startswith(f"{DEMO}: valid experiment, digest ")
    assert loaded.strip() == "loaded"
    assert result.stderr == ""


def test_config_check_knows_the_run_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "config", "check", str(ROOT / "config/config.yaml")) == 0
    assert "valid run" in capsys.readouterr().out


def test_config_show_prints_defaults_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "config", "show", DEMO) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["data"]["dataset"] == "demo"
    assert shown["data"]["pet"] == "hargreaves"


def test_config_schema_is_the_committed_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "config", "schema") == 0
    assert capsys.readouterr().out == (ROOT / "config/schema.json").read_text(encoding="utf-8")


def test_a_mistake_is_one_line_and_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("tain: {}\n")
    assert call(monkeypatch, "config", "check", str(path)) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"dmg: error: {path}: ")
    assert "tain: unknown key; did you mean 'train'?" in error
    assert error.count("\n") == 1


def test_a_missing_file_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "config", "check", "absent.yaml") == 1
    assert "absent.yaml" in capsys.readouterr().err


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DMG_DEBUG", "1")
    monkeypatch.setattr(sys, "argv", ["dmg", "config", "check", "absent.yaml"])
    with pytest.raises(FileNotFoundError):
        main()


@pytest.mark.parametrize("verb", ["extract", "merge", "preprocess", "train", "predict", "score"])
def test_a_misspelt_option_fails(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, verb, "--cofnig", DEMO) == 2
    assert "No such option" in capsys.readouterr().err


def test_extract_wants_init_or_a_part(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["extract", "--config", DEMO, "--data-root", ".", "--store", "s.zarr"]
    assert call(monkeypatch, *arguments) == 1
    assert call(monkeypatch, *arguments, "--init", "--part", "1-of-2") == 1
    assert capsys.readouterr().err.count("expected one of --init, --part I-of-N") == 2


def test_options_of_jobs_are_for_jobs_and_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store, out = str(tmp_path / "x.zarr"), str(tmp_path / "p")
    command = ["preprocess", "--config", DEMO, "--store", store, "--out", out, "--slurm", "node=2"]
    assert call(monkeypatch, *command) == 1
    assert "--slurm: expected only with --dask slurm" in capsys.readouterr().err
    assert call(monkeypatch, *command, "--dask", "slurm") == 1
    assert "--slurm: expected KEY=VALUE with a key of ['account'," in capsys.readouterr().err


def test_models_are_listed_and_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "models", "list") == 0
    assert "hbv_1_0" in capsys.readouterr().out
    assert call(monkeypatch, "models", "show", "hbv_1_0") == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("CFMAX", "SNOWPACK", "baseflow", "mm d-1"))


def test_an_unknown_model_names_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "models", "show", "hbv") == 1
    assert "no process model 'hbv'; there are: hbv_1_0" in capsys.readouterr().err


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "dmg", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    verbs = ("extract", "merge", "preprocess", "train", "predict", "score", "report")
    assert all(verb in result.stdout for verb in verbs)


def test_data_are_listed_under_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.setenv("DMG_DATA_ROOT", str(tmp_path))
    assert call(monkeypatch, "data", "list") == 0
    shown = capsys.readouterr().out
    assert "camels_us" in shown
    assert "mine" in shown


def test_an_unknown_dataset_cannot_be_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "data", "download", "camels", "--data-root", str(tmp_path)) == 1
    assert "dmg: error: dataset 'camels': expected one of camels_us" in capsys.readouterr().err


def test_a_generated_tree_is_checked_and_a_broken_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = str(ROOT / "tests/workflow/config/experiments/tiny.yaml")
    tree = tmp_path / "tiny"
    assert call(monkeypatch, "data", "synthetic", "--config", tiny, "--out", str(tree)) == 0
    assert call(monkeypatch, "data", "check", str(tree), "--product", "daymet") == 0
    next(tree.glob("usgs_streamflow/*/*.txt")).write_text("")
    assert call(monkeypatch, "data", "check", str(tree), "--product", "daymet") == 1
    assert "problem: " in capsys.readouterr().out


def test_only_a_twin_experiment_is_generated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = str(ROOT / "config/experiments/camels_sample.yaml")
    out = str(tmp_path / "tree")
    assert call(monkeypatch, "data", "synthetic", "--config", real, "--out", out) == 1
    assert "data.synthetic: expected settings" in capsys.readouterr().err


def test_a_part_is_written_i_of_n(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "demo").mkdir()
    where = ["--data-root", str(tmp_path), "--store", str(tmp_path / "stores/x.zarr")]
    assert call(monkeypatch, "extract", "--config", DEMO, *where, "--part", "3/8") == 1
    assert "--part: expected I-of-N, for example 3-of-8, found '3/8'" in capsys.readouterr().err
