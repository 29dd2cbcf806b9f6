"""Runs of snakemake in a folder of its own, and what its dry runs plan."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from dmg.config import load_experiment

ROOT = Path(__file__).parent.parent
SHIPPED = sorted(p.stem for p in (ROOT / "config/experiments").glob("*.yaml"))
Result = subprocess.CompletedProcess[str]


def snakemake(folder: Path, *arguments: str, **environment: str) -> Result:
    """Run snakemake in `folder`, which has a `config/` of its own."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    profile = [] if "--profile" in arguments else ["--profile", str(ROOT / "profiles/local")]
    kept = {k: v for k, v in os.environ.items() if k != "DMG_DATA_ROOT"}
    kept["PATH"] = f"{ROOT / 'tests/no_slurm'}:{kept['PATH']}"
    return subprocess.run(
        [*command, *profile, *arguments],
        cwd=folder, env=kept | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def planned(result: Result) -> dict[str, int]:
    """Jobs by rule of a dry run."""
    assert result.returncode == 0, result.stderr
    lines = (result.stdout + result.stderr).splitlines()
    if not any(line.startswith("job  ") for line in lines):
        return {}
    first = next(i for i, line in enumerate(lines) if line.startswith("job  ")) + 2
    last = next(i for i in range(first, len(lines)) if lines[i].startswith("total"))
    return {rule: int(count) for rule, count in (line.split() for line in lines[first:last])}


def refused(result: Result) -> str:
    """The one line with which the workflow stopped."""
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("dmg: error: ")]
    return line


def edit(path: Path, *keys: str, value: Any) -> None:
    """Set one key of a YAML file."""
    content = yaml.safe_load(path.read_text()) if path.exists() else {}
    section = content
    for key in keys[:-1]:
        section = section.setdefault(key, {})
    section[keys[-1]] = value
    path.write_text(yaml.safe_dump(content))


def write_project(folder: Path) -> Path:
    """A folder with the shipped configuration and empty archives of all datasets."""
    shutil.copytree(ROOT / "config", folder / "config")
    for name in SHIPPED:
        dataset = load_experiment(ROOT / f"config/experiments/{name}.yaml").data.dataset
        archive = folder / f"data/raw/{dataset}.tar.xz"
        archive.parent.mkdir(parents=True, exist_ok=True)
        archive.touch()
    return folder


def tiny_project(folder: Path) -> Path:
    return Path(shutil.copytree(ROOT / "tests/workflow", folder, dirs_exist_ok=True))
