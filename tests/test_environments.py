"""Recipes for containers and conda: versions come from pyproject.toml and constraints.txt."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "environments"
RECIPES = ["Dockerfile", "dmg.def", "environment.yml"]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def text_of(name: str) -> str:
    """Give a recipe without its comments."""
    return re.sub(r"(?m)(^|\s)#.*$", "", (FOLDER / name).read_text())


def exact_versions() -> dict[str, Version]:
    pins = (line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    return {canonicalize_name(name): Version(version) for name, version in pins}


def test_every_recipe_is_checked() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_versions_come_from_the_constraints(name: str) -> None:
    text = text_of(name)
    installed = re.search(r"(?:\.\.|/opt/dmg)\[([\w,]+)\]", text)
    assert installed is not None
    assert set(installed[1].split(",")) <= EXTRAS.keys()
    assert re.search(r"-c \S*constraints\.txt", text)
    assert re.findall(r"(\S+?)[=<>~]=", text) in ([], ["python"])
    assert not re.search(r"index-url|https?:", text)


@pytest.mark.parametrize("name", RECIPES)
def test_python_is_one_that_the_project_supports(name: str) -> None:
    found = re.findall(r"\bpython(?::|>=)([\d.]+)", text_of(name))
    assert len(found) == 1
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert allowed.contains(f"{found[0]}.0")
    if name == "environment.yml":  # a range, which must be the project's own
        assert str(allowed) == f">={found[0]}"


@pytest.mark.parametrize("name", RECIPES)
def test_a_compiler_comes_along(name: str) -> None:
    assert re.search(r"\bg\+\+|\bcxx-compiler\b", text_of(name))


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("Dockerfile", r"(?m)^COPY (.*) \S+$"), ("dmg.def", r"(?m)^ +(\S+) /opt/dmg/\S+$")],
)
def test_what_is_copied_is_there_and_enough(name: str, pattern: str) -> None:
    copied = {item for line in re.findall(pattern, text_of(name)) for item in shlex.split(line)}
    files = {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "Snakefile"}
    assert copied == files | {"dmg", "workflow", "profiles", "config"}
    assert all((ROOT / item).exists() for item in copied)


def test_the_container_is_not_root() -> None:
    users = re.findall(r"(?m)^USER (\S+)$", text_of("Dockerfile"))
    assert users
    assert users[-1] not in ("root", "0")


def test_paths_of_the_conda_recipe_are_relative_to_it() -> None:
    content = yaml.safe_load((FOLDER / "environment.yml").read_text())
    (pip,) = (each["pip"] for each in content["dependencies"] if isinstance(each, dict))
    paths = [re.sub(r"\[.*\]", "", item.split(" ", 1)[1]) for item in pip]
    assert [(FOLDER / path).resolve() for path in paths] == [ROOT / "constraints.txt", ROOT]


@pytest.mark.parametrize("name", RECIPES)
def test_the_page_about_clusters_names_the_command(name: str) -> None:
    command = next(line for line in (FOLDER / name).read_text().splitlines() if "#   " in line)
    assert f"`{command.removeprefix('#   ')}`" in (ROOT / "docs/cluster.md").read_text()


@pytest.mark.parametrize("group", ["dependencies", "slurm", "dev", "docs", "tensorboard", "ode"])
def test_exact_versions_are_within_the_ranges(group: str) -> None:
    versions = exact_versions()
    for text in EXTRAS.get(group, PROJECT.get(group, [])):
        requirement = Requirement(text)
        version = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), text
