"""One thread per process, real data only where it is, and no GPU unless asked for."""

import os
from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parent.parent
NEIGHBOUR = REPOSITORY.parent / "shared" / "data"  # archives that lie beside the clone

torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start
# compiled programs are named by their content: kept from one run to the next, away from the user's
os.environ.setdefault("DMG_CACHE_DIR", str(REPOSITORY / ".pytest_cache" / "dmg"))


def find_data_root() -> Path | None:
    """Folder of the real archives: DMG_DATA_ROOT, or the neighbour of the clone."""
    named = os.environ.get("DMG_DATA_ROOT")
    root = Path(named) if named else NEIGHBOUR
    return root if root.is_dir() else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    no_data = pytest.mark.skip(reason="REAL DATA MISSING: set DMG_DATA_ROOT to their folder")
    no_gpu = pytest.mark.skip(reason="no CUDA device")
    for item in items:
        if "real" in item.keywords and find_data_root() is None:
            item.add_marker(no_data)
        if "gpu" in item.keywords and not torch.cuda.is_available():
            item.add_marker(no_gpu)


@pytest.fixture(scope="session")
def real_data_root() -> Path:
    """Folder of the real archives; for tests marked `real`."""
    root = find_data_root()
    assert root is not None, "mark the test with pytest.mark.real"
    return root


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY
