"""Compiler and cache: many processes at once, a killed compiler, bad files, no compiler."""

import logging
import os
import stat
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dmg.scan import compile as compiling
from dmg.scan import programs, scan
from dmg.scan.cache import sealed, unsealed
from dmg.scan.report import report_once

Flux = namedtuple("Flux", ["flux"])


def step(state: tuple[Tensor], forcing: Any, _: Any) -> tuple[Any, Any]:
    new = 0.5 * state[0] + torch.sin(forcing["x"])
    return (new,), Flux(new**2)


def total(x: Tensor, backend: str = "fused") -> Tensor:
    state = (torch.ones(3, 2, dtype=torch.float64),)
    return scan(step, state, {"x": x}, {}, backend=backend)[0]["flux"].sum()


def run(backend: str = "fused", seed: int = 0) -> tuple[Tensor, Tensor]:
    """Value and gradient of a small scan."""
    g = torch.Generator().manual_seed(seed)
    x = torch.rand(5, 3, generator=g, dtype=torch.float64).requires_grad_()
    value = total(x, backend)
    return value.detach(), torch.autograd.grad(value, x)[0]


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty cache; nothing is remembered of earlier tests."""
    monkeypatch.setenv("DMG_CACHE_DIR", str(tmp_path / "cache"))
    forget()
    return tmp_path / "cache"


def forget() -> None:
    compiling._attempt.cache_clear()
    report_once.cache_clear()
    programs._KNOWN.clear()


def compiler(folder: Path, script: str) -> str:
    """Return a compiler that is a shell script; it may call the real one as $REAL."""
    path = folder / "compiler"
    real = compiling._command("")[0]
    path.write_text(f"#!/bin/sh\nREAL={real}\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def assert_right() -> None:
    for found, expected in zip(run(), run("eager"), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_compiled_once(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_right()
    files = sorted(p.name for p in fresh.iterdir() if p.suffix == ".so")
    assert len(files) == 2  # loop and adjoint, no temporary file is left
    forget()
    monkeypatch.setattr(compiling, "_compile", lambda *_: pytest.fail("compiled again"))
    assert_right()


PROCESS = """
import sys; sys.path.insert(0, {root!r})
import torch; torch.set_num_threads(1); torch.set_default_dtype(torch.float64)
from tests.scan.test_compile import total
sys.stdin.readline()  # all start together
print(total(torch.ones(5, 3)).item())
"""


@pytest.mark.slow
@pytest.mark.distributed
def test_eight_processes_at_once(fresh: Path, repository: Path) -> None:
    """They start from a traced program: tracing imports too much of PyTorch to do it often."""
    expected = total(torch.ones(5, 3)).item()
    for path in fresh.glob("*.so"):
        path.unlink()
    command = [sys.executable, "-c", PROCESS.format(root=str(repository))]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = {process.communicate(timeout=300)[0] for process in processes}
    assert [p.returncode for p in processes] == [0] * 8
    assert outputs == {f"{expected}\n"}
    assert sorted(p.suffix for p in fresh.iterdir()) == [".program", ".so"]


def test_corrupt_object_is_compiled_again(fresh: Path) -> None:
    assert_right()
    damages = (lambda b: b[:1000], lambda b: b[:-40] + b[-32:])
    for path, damage in zip(fresh.glob("*.so"), damages, strict=True):
        # a new file: the loaded one must not change under the running process
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(damage(content))
    forget()
    assert_right()
    assert all(compiling._cached(path) for path in fresh.glob("*.so"))


def test_seals(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert unsealed(path) is None
    path.write_bytes(sealed(b"content"))
    assert unsealed(path) == b"content"
    for damage in (b"", b"x" * 32, b"x" + sealed(b"content"), sealed(b"content")[:-1]):
        path.write_bytes(damage)
        assert unsealed(path) is None


def test_cache_that_cannot_be_written(fresh: Path) -> None:
    """A file where the folder should be: not even root can write there."""
    fresh.write_text("")
    assert_right()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_cache(fresh: Path) -> None:
    fresh.mkdir(mode=0o500)
    assert_right()
    assert not any(fresh.iterdir())


@pytest.mark.parametrize(("script", "message"), [
    ("kill -9 $$", "exit status -9"),
    ("case $1 in --version) exec $REAL $1;; *) kill -9 $$;; esac", "exit status -9"),
    ("echo 'x.cpp:1: error: no such thing' >&2; exit 1", "exit status 1, x.cpp:1: error: no such"),
])  # fmt: skip
def test_failing_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    script: str, message: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("CXX", compiler(tmp_path, script))
    with pytest.raises(ValueError, match=message):
        run()
    with caplog.at_level(logging.WARNING, "dmg.scan"):
        for _ in range(2):
            assert all(map(torch.equal, run("auto"), run("eager")))
    assert len(caplog.records) == 1


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling.shutil, "which", lambda _: None)
    compiling._command.cache_clear()
    try:
        with pytest.raises(ValueError, match=r"no C\+\+ compiler found \(looked for"):
            run()
        assert all(map(torch.equal, run("auto"), run("eager")))
    finally:
        compiling._command.cache_clear()


def test_compiler_that_fails_for_the_adjoint_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    script = 'for a; do case $a in *.cpp) grep -q adjoin $a && exit 1;; esac; done; exec $REAL "$@"'
    monkeypatch.setenv("CXX", compiler(tmp_path, script))
    with caplog.at_level(logging.WARNING, "dmg.scan"):
        assert_right()
    assert "no compiled gradient, recomputing with the eager loop" in caplog.text


def test_compiler_without_openmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'for a; do [ "$a" = -fopenmp ] && exit 1; done; exec $REAL "$@"'
    monkeypatch.setenv("CXX", compiler(tmp_path, script))
    assert_right()


@pytest.mark.parametrize("flag", ["-mno-avx512f", "-mno-avx"])
def test_other_instruction_sets(monkeypatch: pytest.MonkeyPatch, flag: str) -> None:
    """Narrower vectors give the same results."""
    if not Path("/proc/cpuinfo").exists() or "avx512f" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("needs a processor with AVX-512")
    from dmg.phy.hbv_1_0 import Hbv10
    from tests.scan.compare import assert_single_precision, model_case

    monkeypatch.setenv("CXX", f"{compiling._command('')[0]} {flag}")
    case = model_case(Hbv10(), (40, 7, 5), dynamic=True)
    assert_single_precision(case)


def test_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DMG_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert compiling.cache_folder() == tmp_path / "dmg"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert compiling.cache_folder() == Path.home() / ".cache" / "dmg"
