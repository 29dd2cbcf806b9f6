"""One log line for each thing worth knowing, however often it happens."""

from __future__ import annotations

import logging
from functools import cache


@cache
def report_once(message: str, level: int = logging.WARNING) -> None:
    """Log a message, the first time in this process."""
    logging.getLogger("dmg.scan").log(level, message)
