"""Tables on a terminal, or as text."""

from __future__ import annotations

import sys
from collections.abc import Sequence

WIDE = 200  # characters of a table that does not go to a terminal


def print_table(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], show_header: bool = True
) -> None:
    """Print a table, its names whole, in the width that there is."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=show_header)
    for place, name in enumerate(head):
        table.add_column(escape(name), overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*map(escape, row))
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)
