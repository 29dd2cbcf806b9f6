"""A real Slurm on this machine, for the tests in this folder."""

import os
import platform
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path

import pytest
from slurm.jobs import clear

HERE = Path(__file__).parent
TESTS = HERE.parent


def cluster(verb: str, **environment: str) -> None:
    """Run a verb of `cluster.sh`."""
    command = ["bash", str(HERE / "cluster.sh"), verb]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0 and Path("/etc/debian_version").exists():
        return
    reason = "SLURM IS NOT TESTED: its emulation needs root on Debian"
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print what docs/cluster.md records of `make test-slurm`."""
    if config.option.markexpr != "slurm":
        return
    seconds: dict[str, float] = defaultdict(float)
    results: dict[str, str] = {}
    for outcome in ("passed", "failed", "skipped", "error"):
        for report in terminalreporter.stats.get(outcome, []):
            seconds[report.nodeid] += report.duration
            results[report.nodeid] = outcome
    versions = [f"{name} {version(name)}" for name in ("torch", "snakemake", "submitit")]
    write = terminalreporter.write_line
    write(f"{date.today()}, Python {platform.python_version()}, {', '.join(versions)}")
    write("| test | result | s |")
    write("| --- | --- | --- |")
    for test, result in results.items():
        name = test.rpartition("::test_")[2].partition("[")[0].replace("_", " ")
        write(f"| {name} | {result} | {seconds[test]:.0f} |")


@pytest.fixture(scope="session")
def slurm() -> Iterator[None]:
    """Four nodes, with accounting."""
    cluster("install")
    cluster("stop")
    cluster("start")
    yield
    cluster("stop")


@pytest.fixture(autouse=True)
def _leaves_nothing_behind(slurm: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PYTHONPATH", f"{TESTS.parent}:{TESTS}:{HERE}")  # jobs find the stubs
    yield
    clear()
