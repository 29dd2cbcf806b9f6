"""The command and its groups, to which the other modules add commands."""

from __future__ import annotations

from typing import Any

import typer

PLAIN: dict[str, Any] = {
    "add_completion": False,
    "no_args_is_help": True,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
}
app = typer.Typer(help="Differentiable process-based models, from raw data to scores.", **PLAIN)
config_app = typer.Typer(help="Check and show configuration files.", **PLAIN)
models_app = typer.Typer(help="List process models and their parameters.", **PLAIN)
data_app = typer.Typer(help="List, download, check and generate datasets.", **PLAIN)
app.add_typer(config_app, name="config")
app.add_typer(models_app, name="models")
app.add_typer(data_app, name="data")
