"""The GPU backend without a GPU: Triton's interpreter, and its compiler for other machines."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from dmg.phy import MODELS
from dmg.scan.aten import UnsupportedError
from dmg.scan.gpu import load as loading
from dmg.scan.gpu.emit import Plan, backward_source, forward_source
from dmg.scan.gpu.expressions import FORMS
from dmg.scan.gpu.loop import STORE_ALL, checkpoint_every, tile_of
from dmg.scan.ir import OPERATIONS
from dmg.scan.shapes import Extent
from dmg.scan.trace import Program, Signature, trace
from tests.scan.test_operations import OPERATIONS as EXAMPLES
from tests.scan.test_operations import Empty, operations
from tests.scan.test_random_steps import LOOPS, looped

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="Triton is not installed: pip install 'dmg-hpc[gpu]'",
)
DTYPES = [torch.float32, torch.float64]


@needs_triton
def test_interpreted_kernels_equal_the_eager_loop() -> None:
    """In a process of its own: Triton decides at its first import whether to interpret."""
    cases = Path(__file__).with_name("interpreted.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(cases)],
        env=os.environ | {"TRITON_INTERPRET": "1"}, cwd=cases.parents[2],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]


def test_every_operation_has_a_form() -> None:
    assert FORMS.keys() == OPERATIONS.keys()


class TestCompiler:
    """Kernels compile for GPUs that are not here."""

    @staticmethod
    def compiled(source: str, kernel: str, dtype: torch.dtype, capability: int) -> Any:
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource

        function = loading.load(source, kernel)
        *_, flag, rows, columns = (p.name for p in function.params)
        constants = {flag: True, rows: 2, columns: 16}
        types = {"steps": "i32", "every": "i32"} | dict.fromkeys(constants, "constexpr")
        number = {torch.float32: "*fp32", torch.float64: "*fp64"}[dtype]
        signature = {
            p.name: p.annotation_type or types.get(p.name, number) for p in function.params
        }
        return triton.compile(
            ASTSource(function, signature, constants),
            target=GPUTarget("cuda", capability, 32),
            options={"num_warps": 1, "enable_fp_fusion": False},
        )

    @staticmethod
    def program(dtype: torch.dtype) -> tuple[Program, Plan]:
        model = MODELS["hbv_1_0"]()
        state = model.initial_state(1, 1, torch.zeros((), dtype=dtype))
        names = tuple(model.PARAMETERS)
        program = trace(model.step, state, Signature(5, model.forcings, names, dtype))
        dynamic = ("tbe" if n in model.RECOMMENDED_DYNAMIC else "be" for n in names)
        return program, Plan((*["be"] * 5, *["tb"] * 3, *dynamic), (0,), True)

    @needs_triton
    @pytest.mark.parametrize(("dtype", "capability"), [(DTYPES[0], 80), (DTYPES[1], 90)])
    def test_process_model(self, dtype: torch.dtype, capability: int) -> None:
        program, plan = self.program(dtype)
        self.compiled(forward_source(program, plan, False), "forward", dtype, capability)
        plan = plan._replace(inputs=tuple(range(5, 21)))
        self.compiled(backward_source(program, plan, False), "backward", dtype, capability)

    @needs_triton
    @pytest.mark.parametrize("name", LOOPS)
    def test_loops(self, name: str) -> None:
        step, state, forcing, parameters = looped(name, (3, 2, 2))
        signature = Signature(2, tuple(forcing), tuple(parameters), torch.float64)
        program = trace(step, state, signature)
        plan = Plan(("be", "be", "tb", "b", "be", "be", "tbe"), (0, 1, 2), False)
        self.compiled(forward_source(program, plan, False), "forward", torch.float64, 80)
        plan = plan._replace(inputs=tuple(range(2, 7)))
        self.compiled(backward_source(program, plan, False), "backward", torch.float64, 80)

    @needs_triton
    @pytest.mark.slow
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_every_operation(self, dtype: torch.dtype) -> None:
        names = tuple(f"{v} {n}" for n in EXAMPLES for v in "xy")
        program = trace(operations, Empty(), Signature(0, names, (), dtype))
        plan = Plan(("tb",) * len(names), tuple(range(len(EXAMPLES))), False)
        self.compiled(forward_source(program, plan, False), "forward", dtype, 80)
        plan = plan._replace(inputs=tuple(range(len(names))))
        self.compiled(backward_source(program, plan, False), "backward", dtype, 80)


class TestLoad:
    SOURCE = "def forward():\n    return {}\n"

    @pytest.fixture(autouse=True)
    def cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("DMG_CACHE_DIR", str(tmp_path))
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
        return tmp_path

    def test_from_a_file(self, cache: Path) -> None:
        assert loading.load(self.SOURCE.format(1), "forward")() == 1
        (path,) = cache.glob("*.py")
        assert path.read_text() == self.SOURCE.format(1)

    def test_damaged_file(self, cache: Path) -> None:
        loading.load(self.SOURCE.format(2), "forward")
        (path,) = cache.glob("*.py")
        path.write_bytes(b"\xff half")
        loading._module.cache_clear()
        assert loading.load(self.SOURCE.format(2), "forward")() == 2

    def test_cache_that_cannot_be_written(
        self, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (cache / "file").touch()
        monkeypatch.setenv("DMG_CACHE_DIR", str(cache / "file"))
        assert loading.load(self.SOURCE.format(3), "forward")() == 3

    def test_without_triton(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(UnsupportedError, match=re.escape("pip install 'dmg-hpc[gpu]'")):
            loading.load(self.SOURCE.format(4), "forward")


def test_tiles_hold_whole_basins() -> None:
    assert tile_of(Extent(9, 100, 16)) == (2, 16)
    assert tile_of(Extent(9, 100, 5)) == (4, 8)
    assert tile_of(Extent(9, 3, 100)) == (1, 128)
    assert tile_of(Extent(9, 100_000, 1)) == (128, 1)
    assert [tile_of(Extent(1, 1, e)).warps for e in (1, 33, 5000)] == [1, 2, 8]


def test_states_are_all_stored_while_memory_is_no_concern() -> None:
    assert checkpoint_every(Extent(730, 100, 16), 5, torch.float32) == 1
    steps = STORE_ALL // (4 * 5 * 1000) + 1
    assert checkpoint_every(Extent(steps, 100, 10), 5, torch.float32) == 328
