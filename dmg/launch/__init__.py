"""Start a training where it shall run, follow it, and tell the truth about how it ended."""

from dmg.launch.options import SlurmOptions
from dmg.launch.start import LAUNCHERS, launch, train

__all__ = ["LAUNCHERS", "SlurmOptions", "launch", "train"]
