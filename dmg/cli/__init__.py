"""The command `dmg`: one sub-command per verb, each parses its options and calls one function.

Commands import what they need inside, so that `dmg config check` never waits for torch.
"""

from __future__ import annotations

import logging
import os
import sys

from dmg.cli import config, data, models, stages
from dmg.cli.apps import app
from dmg.errors import one_line

__all__ = ["config", "data", "main", "models", "stages"]


def main() -> None:
    """Run the command; a user's mistake ends in one line and exit status 1."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("dmg").setLevel(logging.INFO)
    try:
        app()
    except (ValueError, OSError) as error:
        if os.environ.get("DMG_DEBUG") == "1":
            raise
        print(f"dmg: error: {one_line(error)}", file=sys.stderr)
        sys.exit(1)
