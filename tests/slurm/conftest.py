"""A real Slurm on this machine, for the tests in this folder."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

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


@pytest.fixture(scope="session")
def slurm() -> Iterator[None]:
    """Four nodes, with accounting."""
    cluster("install")
    cluster("stop")
    cluster("start")
    yield
    cluster("stop")


@pytest.fixture(autouse=True)
def _jobs_find_the_stubs(slurm: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{TESTS.parent}:{TESTS}:{HERE}")
