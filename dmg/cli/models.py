"""Commands `dmg models`."""

from __future__ import annotations

import textwrap
from typing import Annotated

import typer

from dmg.cli.apps import models_app
from dmg.cli.tables import print_table


@models_app.command("list")
def models_list() -> None:
    """List the process models."""
    from dmg.describe import models

    print_table("Process models", *models())


@models_app.command("show")
def models_show(
    name: Annotated[str, typer.Argument(help="Name of a process model, or gr4j+degree_day.")],
) -> None:
    """Print all about a process model: its tables, balance, references, differences from them."""
    from dmg.describe import model

    about = model(name)
    print(f"{name}: {about.summary}")
    print_table("In short", ("", ""), [*about.facts.items()], show_header=False)
    for title, (head, rows) in about.tables.items():
        print_table(title, head, rows)
    print("References", *(f"- {reference}" for reference in about.references), sep="\n")
    for paragraph in about.differences.splitlines():
        print("", *textwrap.wrap(paragraph, 100), sep="\n")
