"""What `dmg status` tells of a job of a real Slurm."""

from pathlib import Path

import pytest
from slurm.jobs import Launcher, job_id, slurm

from dmg.status import read_statuses

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def test_a_job_waits_runs_and_is_done(tmp_path: Path) -> None:
    run = tmp_path / "run"
    slurm("scontrol", "update", "PartitionName=high", "State=DOWN")
    try:
        launcher = Launcher(run, "partition=high", "nodes=2", processes=2, delay=0.2)
        launcher.says("pending (PartitionDown)")
        (status,) = read_statuses([run])
        assert (status.state, status.reason) == ("waiting", "PartitionDown")
        assert (status.job_id, status.nodes) == (job_id(run), None)
    finally:
        slurm("scontrol", "update", "PartitionName=high", "State=UP")
    launcher.trains()
    (status,) = read_statuses([run])
    assert (status.state, status.job_state, status.reason) == ("running", "RUNNING", None)
    assert status.nodes is not None
    assert status.nodes.startswith("node[")
    launcher.ends()
    (status,) = read_statuses([run])
    assert (status.state, status.job_id) == ("done", None)
