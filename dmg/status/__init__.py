"""How trainings stand, told from the files that they leave and from `squeue`; never from torch."""

from dmg.status.find import find_runs
from dmg.status.show import as_json, as_lines, as_table
from dmg.status.state import RunStatus, read_statuses

__all__ = ["RunStatus", "as_json", "as_lines", "as_table", "find_runs", "read_statuses"]
