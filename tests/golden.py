"""Published and independently computed numbers: `golden.json`, from the model specifications.

Each case names its source and tolerance; arrays are keyed by the name of the program's output.
"""

import json
from pathlib import Path
from typing import Any

import torch

GOLDEN: dict[str, Any] = json.loads(Path(__file__).with_name("golden.json").read_text())
CASES: dict[str, Any] = GOLDEN["cases"]


def forcing_f12() -> dict[str, torch.Tensor]:
    """Twelve days of one basin, `[12, 1]`."""
    f12 = GOLDEN["forcing"]["F12"]
    names = {"precipitation": "P", "temperature": "T", "pet": "PET"}
    return {name: torch.tensor(f12[key]).unsqueeze(-1) for name, key in names.items()}
