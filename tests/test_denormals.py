"""Denormal numbers are flushed within the block, and only there."""

import pytest
import torch

from dmg.denormals import flush_denormals


def tiny() -> float:
    return float(torch.full((64,), 1e-30).mul(1e-12).sum())


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="this processor cannot")
def test_flushed_within_the_block_only() -> None:
    assert tiny() > 0
    with flush_denormals():
        assert tiny() == 0
        with flush_denormals():
            assert tiny() == 0
        assert tiny() == 0
    assert tiny() > 0
