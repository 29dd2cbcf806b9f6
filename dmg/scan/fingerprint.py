"""What a step is, as bytes that are the same in every process: its code and all that it reads.

The traced program of a step may be kept on disk only under a name that changes whenever the step,
a function that it calls or a constant that it reads does. What cannot be followed to its end (an
open file, a module of the user, a call of `getattr`) has no fingerprint: it is traced again.
"""

from __future__ import annotations

import builtins
import dataclasses
import dis
import functools
import hashlib
import sys
from collections import namedtuple
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor

# known by their version or, here, by the hash of their sources
FIXED = (
    "torch", "math", "operator", "_operator", "itertools", "functools", "_functools", "collections",
    "typing", "dataclasses", "dmg.scan",
)  # fmt: skip
BUILTINS = {
    abs, all, any, bool, dict, enumerate, filter, float, frozenset, hash, int, isinstance, len,
    list, map, max, min, object, pow, property, range, repr, reversed, round, set, sorted, str, sum,
    super, tuple, type, zip, AssertionError, TypeError, ValueError,
}  # fmt: skip
PLAIN = (
    int, float, complex, str, bytes, bool, type(None), type(...), type(NotImplemented),
         torch.dtype, torch.device,
)  # fmt: skip
LOADS = {"LOAD_GLOBAL", "LOAD_NAME"}
OPAQUE = {"LOAD_BUILD_CLASS", "STORE_GLOBAL", "DELETE_GLOBAL", "STORE_DEREF_GLOBAL"}
TUPLE = frozenset(vars(namedtuple("TUPLE", ()))) | {"__orig_bases__", "__annotations__"}
NOISE = {
    "__doc__", "__module__", "__dict__", "__weakref__", "__annotations__", "__firstlineno__",
    "__static_attributes__", "__dataclass_params__", "__dataclass_fields__", "__parameters__",
    "__annotate_func__", "__annotations_cache__", "__abstractmethods__", "_abc_impl",
}  # fmt: skip


class OpaqueError(Exception):
    """Something that a step reads cannot be followed to its end."""


def fingerprint(*values: Any) -> str | None:
    """Return a hash of values and of all that they refer to; none if that cannot be known."""
    written = hashlib.sha256(_surroundings().encode())
    try:
        for text in _Walk().texts(values):
            written.update(f"{len(text)}:{text}".encode())
    except (OpaqueError, RecursionError):
        return None
    return written.hexdigest()


def _surroundings() -> str:
    """Return what tracing depends on beside the step."""
    return f"{sys.version} {torch.__version__} {torch.get_default_dtype()} {_sources()}"


@functools.cache
def _sources() -> str:
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


class _Walk:
    """Texts of everything that can be reached, each object once."""

    def __init__(self) -> None:
        self._met: dict[int, tuple[int, Any]] = {}  # the object is held: its id stays its own

    def texts(self, value: Any) -> Iterator[str]:
        if type(value) in PLAIN:
            yield f"{type(value).__name__} {value!r}"
        elif type(value) is tuple:  # equal ones may be one object or two, as compilers please
            yield f"tuple {len(value)}"
            yield from self._new(value)
        elif id(value) in self._met:
            yield f"again {self._met[id(value)][0]}"
        else:
            self._met[id(value)] = (len(self._met), value)
            yield type(value).__qualname__
            yield from self._new(value)

    def _new(self, value: Any) -> Iterator[str]:
        if isinstance(value, Tensor):
            yield from _tensor(value)
        elif (name := _fixed(value)) is not None:
            yield name
        elif isinstance(value, FunctionType):
            yield from self._function(value)
        elif isinstance(value, CodeType):
            yield from self._code(value)
        elif isinstance(value, type):
            yield from self._class(value)
        else:
            yield from self._parts(value)

    def _function(self, value: FunctionType) -> Iterator[str]:
        yield from self.texts(value.__code__)
        yield from self.texts((value.__defaults__, value.__kwdefaults__, value.__closure__))
        for name in sorted(_globals(value.__code__)):
            known = value.__globals__.get(name, getattr(builtins, name, OpaqueError))
            if known is OpaqueError:
                raise OpaqueError(name)
            yield name
            yield from self.texts(known)

    def _code(self, value: CodeType) -> Iterator[str]:
        names = (value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars)
        counts = (value.co_argcount, value.co_kwonlyargcount, value.co_posonlyargcount)
        table = getattr(value, "co_exceptiontable", b"")
        yield repr((value.co_code, value.co_flags, names, counts, table))
        yield from self.texts(value.co_consts)

    def _class(self, value: type) -> Iterator[str]:
        """Methods and attributes; those that a named tuple is born with say nothing."""
        yield value.__qualname__
        yield from self.texts(value.__bases__)
        if "__slots__" in vars(value) and not hasattr(value, "_fields"):
            raise OpaqueError(value)
        own = vars(value).keys() - NOISE
        if issubclass(value, tuple) and hasattr(value, "_fields"):
            own -= TUPLE | set(value._fields)
            yield repr(value._fields)
            yield from self.texts(value._field_defaults)  # type: ignore[attr-defined]
        for name in sorted(own):
            if dataclasses.is_dataclass(value) and _is_generated(name, vars(value)[name]):
                continue
            yield name
            yield from self.texts(vars(value)[name])

    def _parts(self, value: Any) -> Iterator[str]:
        for part in _parts(value):
            yield from self.texts(part)


def _is_generated(name: str, value: Any) -> bool:
    """Whether a method was written by `dataclass`, from fields that are read anyway."""
    code = getattr(value, "__code__", None)
    files = ("<string>", dataclasses.__file__)
    return name.startswith("__") and code is not None and code.co_filename in files


def _parts(value: Any) -> list[Any]:
    """Return what an object consists of."""
    if isinstance(value, tuple | list):
        return [*value] if type(value) is tuple else [type(value), len(value), *value]
    if isinstance(value, CellType):
        return _content(value)
    if isinstance(value, frozenset | set) and all(type(v) in PLAIN for v in value):
        return [len(value), *sorted(value, key=repr)]
    if isinstance(value, Mapping) and type(value).__module__ in ("builtins", "collections"):
        return [len(value), *value.keys(), *value.values()]
    if isinstance(value, staticmethod | classmethod):
        return [value.__func__]
    if isinstance(value, property):
        return [value.fget]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if hasattr(value, "__self__") and isinstance(getattr(value, "__func__", None), FunctionType):
        return [value.__func__, value.__self__]
    if hasattr(value, "__dict__") and _is_simple(type(value)):
        return [type(value), vars(value)]
    raise OpaqueError(value)


def _content(cell: CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # a name that is not set yet
        return []


def _is_simple(kind: type) -> bool:
    """Whether an object is no more than its attributes."""
    if dataclasses.is_dataclass(kind):
        return True
    return kind.__bases__ == (object,) and type(kind) is type and kind.__module__ != "builtins"


def _tensor(value: Tensor) -> Iterator[str]:
    if type(value) is not Tensor or value.numel() != 1 or value.device.type != "cpu":
        raise OpaqueError(value)
    yield f"{value.dtype} {tuple(value.shape)} {value.requires_grad} {value.item()!r}"


def _fixed(value: Any) -> str | None:
    """Return the name of what never changes while versions stay."""
    if isinstance(value, ModuleType):
        if _is_fixed(value.__name__):
            return value.__name__
        raise OpaqueError(value)
    if isinstance(value, BuiltinFunctionType):
        return _builtin(value)
    if isinstance(value, type) and value.__module__ == "builtins":
        if value in BUILTINS:
            return value.__name__
        raise OpaqueError(value)
    return _path(value)


def _builtin(value: Any) -> str:
    owner, name = value.__self__, value.__name__
    home = owner.__name__ if isinstance(owner, ModuleType) else str(value.__module__)
    if value in BUILTINS or _is_fixed(home):
        return f"{home} {name}"
    for module in (torch, torch.special, torch.nn.functional):
        if getattr(module, name, None) is value:
            return f"{module.__name__} {name}"
    raise OpaqueError(value)


def _path(value: Any) -> str | None:
    """Return where a function or class of a fixed module is found, if it is found there."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or not _is_fixed(module):
        return None
    found = functools.reduce(
        lambda at, part: getattr(at, part, None), name.split("."), sys.modules.get(module)
    )
    return f"{module} {name}" if found is value else None


def _is_fixed(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in FIXED)


def _globals(code: CodeType) -> set[str]:
    """Return the global names that a code and those nested in it read."""
    names: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in OPAQUE:
            raise OpaqueError(instruction.opname)
        if instruction.opname.startswith("IMPORT_") and not _is_fixed(str(instruction.argval)):
            raise OpaqueError(instruction.argval)
        if instruction.opname in LOADS:
            names.add(instruction.argval)
    nested = (c for c in code.co_consts if isinstance(c, CodeType))
    return names.union(*map(_globals, nested))
