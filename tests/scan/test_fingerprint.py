"""The name of a traced program: it changes with all that the step reads, and with nothing else."""

import os
import subprocess
import sys
import types
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from dmg.phy import MODELS
from dmg.scan import programs, scan
from dmg.scan.fingerprint import fingerprint

STEP = """
import torch
from collections import namedtuple
from torch.nn import functional as F

RATE = 0.5
TABLE = {"a": (1.0, 2.0)}
Flux = namedtuple("Flux", ["flux"])

def helper(x):
    return F.relu(x) * 2.0

def step(state, forcing, parameters):
    new = torch.where(forcing["x"] > RATE, helper(state[0]), TABLE["a"][0])
    return (new,), Flux(sum(n * new for n in (1, 2)))
"""


def made(source: str = STEP) -> Callable[..., Any]:
    """Return the step of a module with this source."""
    module = types.ModuleType("elsewhere")
    exec(compile(source, "elsewhere.py", "exec"), module.__dict__)
    found: Callable[..., Any] = module.step
    return found


def test_same_wherever_it_stands() -> None:
    assert fingerprint(made()) == fingerprint(made("\n\n# a comment\n" + STEP)) is not None


@pytest.mark.parametrize(("old", "new"), [
    ("> RATE", ">= RATE"),  # the step
    ("RATE = 0.5", "RATE = 0.25"),  # a constant
    ("RATE = 0.5", "RATE = torch.tensor(0.5)"),
    ("F.relu(x) * 2.0", "F.relu(x) * 3.0"),  # a function that it calls
    ("F.relu", "F.silu"),
    ('"a": (1.0', '"a": (1.5'),  # a table
    ("n * new for", "n + new for"),  # code within its code
    ('["flux"]', '["other"]'),
    ("torch.where", "torch.add"),
])  # fmt: skip
def test_every_change_is_noticed(old: str, new: str) -> None:
    assert old in STEP
    assert fingerprint(made()) != fingerprint(made(STEP.replace(old, new))) is not None


LOOP = """
from collections import namedtuple
from dmg.scan import while_loop

Flux = namedtuple("Flux", ["flux"])
LIMIT = 3

def condition(carried, constants):
    return carried[0] > 1.5

def body(carried, constants):
    return (carried[0] * 0.5,)

def step(state, forcing, parameters):
    new = while_loop(condition, body, (forcing["x"],), (), LIMIT)
    return new, Flux(*new)
"""


@pytest.mark.parametrize(("old", "new"), [("> 1.5", "> 1.25"), ("* 0.5", "* 0.25"), ("= 3", "= 4")])
def test_condition_body_and_limit_of_a_loop_are_read(old: str, new: str) -> None:
    assert fingerprint(made(LOOP)) != fingerprint(made(LOOP.replace(old, new))) is not None


def test_values_at_hand_are_read() -> None:
    def with_closure(value: Any) -> Any:
        return lambda x: x * value

    names = [fingerprint(with_closure(v)) for v in (1, 1.0, 2, torch.tensor(2), (1, 2), [1, 2])]
    names += [fingerprint(partial(with_closure(1), v)) for v in (1, 2)]
    assert None not in names
    assert len(set(names)) == len(names)


@dataclass(frozen=True)
class Bounds:
    low: float

    def clamp(self, x: Any) -> Any:
        return x.clamp(self.low)


class Callable_:
    def __init__(self, number: float) -> None:
        self.number = number

    def __call__(self, state: Any, forcing: Any, parameters: Any) -> Any:
        return self.method(state), ()

    def method(self, x: Any) -> Any:
        return x * self.number


def test_objects_are_their_attributes_and_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    def names() -> list[str | None]:
        return [fingerprint(o) for n in (1, 2) for o in (Bounds(n), Callable_(n))] + [
            fingerprint(Callable_(1).method)
        ]

    before = names()
    assert None not in before
    assert len(set(before)) == 5
    monkeypatch.setattr(Bounds, "clamp", lambda self, x: x)
    monkeypatch.setattr(Callable_, "method", lambda self, x: x)
    assert not set(before) & set(names())


def test_default_type_of_numbers_matters() -> None:
    before = fingerprint(made())
    torch.set_default_dtype(torch.float32)
    assert fingerprint(made()) != before


Slots = type("Slots", (), {"__slots__": ("x",)})


@pytest.mark.parametrize("opaque", [
    Slots(), torch.rand(3), torch.nn.Linear(1, 1), open, object(), iter([1]), pytest,
    {1: object()}, torch.vmap(lambda x: x + open), namedtuple("Pair", ["a"])(open),
], ids=lambda opaque: type(opaque).__name__)  # fmt: skip
def test_what_cannot_be_followed_has_none(opaque: Any) -> None:
    assert fingerprint(lambda x: opaque) is None


@pytest.mark.parametrize("body", [
    "getattr(x, 'y')", "eval('x')", "__import__('os')", "missing(x)", "print(x)",
])  # fmt: skip
def test_code_that_cannot_be_followed_has_none(body: str) -> None:
    assert fingerprint(made(f"def step(x):\n    return {body}")) is None


@pytest.mark.parametrize("line", ["import os", "from random import random", "global a; a = 1"])
def test_statements_that_cannot_be_followed_have_none(line: str) -> None:
    assert fingerprint(made(f"def step(x):\n    {line}\n    return x")) is None


def test_processes_agree(repository: Path) -> None:
    code = (
        "from dmg.phy import MODELS; from dmg.scan.fingerprint import fingerprint\n"
        "for m in MODELS.values(): print(fingerprint(m().step))"
    )
    first, second = (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            cwd=repository, env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout.split()
        for seed in ("0", "1")
    )  # fmt: skip
    assert first == second
    assert len(first) == len(MODELS)
    assert "None" not in first


class TestProgramsOnDisk:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("DMG_CACHE_DIR", str(tmp_path))
        return tmp_path

    @staticmethod
    def program(step: Any) -> Any:
        """Return the program, as a process that never met the step."""
        programs._KNOWN.clear()
        from dmg.scan.trace import Signature

        state = (torch.ones(2, 3),)
        return programs.kernels_of(step, state, Signature(1, ("x",), (), torch.float64)).program

    def test_traced_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        first = self.program(made())
        monkeypatch.setattr(programs, "trace", lambda *_: pytest.fail("traced again"))
        assert self.program(made()) == first

    @pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-50], lambda b: b"x" + b[1:]])
    def test_damaged_file_is_replaced(self, folder: Path, damage: Any) -> None:
        first = self.program(made())
        (path,) = folder.iterdir()
        whole = path.read_bytes()
        path.write_bytes(damage(whole))
        assert self.program(made()) == first
        assert path.read_bytes() == whole

    def test_opaque_step_is_not_kept(self, folder: Path) -> None:
        tables = torch.tensor([1.0])  # one value, but a view of something that may change
        opaque = [tables, open]
        self.program(lambda s, f, p: (s, opaque and ()))
        assert not [*folder.iterdir()]

    def test_folder_that_cannot_be_written(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (folder / "file").touch()
        monkeypatch.setenv("DMG_CACHE_DIR", str(folder / "file"))
        assert self.program(made()) == self.program(made())

    def test_same_code_on_other_states(self) -> None:
        """The kind of the state decides what its fields mean."""
        kinds = [namedtuple("State", fields) for fields in (["a", "b"], ["b", "a"])]

        def step(state: Any, forcing: Any, _: Any) -> Any:
            return state._replace(a=forcing["x"]), ()

        for kind in kinds:
            programs._KNOWN.clear()
            start = kind(a=torch.zeros(1, 1), b=torch.ones(1, 1))
            _, last = scan(step, start, {"x": torch.full((1, 1), 7.0)}, {}, backend="fused")
            assert (last.a.item(), last.b.item()) == (7.0, 1.0)
