"""Commands `dmg config`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dmg.cli.apps import config_app
from dmg.cli.options import ConfigFolder, File, Out


@config_app.command("check")
def config_check(file: File) -> None:
    """Validate an experiment file, or config/config.yaml."""
    from dmg.config import digest
    from dmg.describe import load

    section = load(file)
    print(f"{file}: valid {type(section).__name__.lower()}, digest {digest(section)}")


@config_app.command("show")
def config_show(file: File) -> None:
    """Print all settings of a file, defaults included."""
    import yaml

    from dmg.config import resolved
    from dmg.describe import load

    print(yaml.safe_dump(resolved(load(file)), sort_keys=False), end="")


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON schema of an experiment file."""
    from dmg.describe import schema_json

    print(schema_json(), end="")


@config_app.command("derive")
def config_derive(
    name: Annotated[str, typer.Argument(help="Experiment of a benchmark, for example B12_lstm.")],
    out: Out,
    config: ConfigFolder = Path("config"),
) -> None:
    """Write the experiment file of a benchmark's series: another experiment with changes."""
    from dmg.config import Catalogue, write_experiment

    write_experiment(Catalogue(config), name, out)
