"""Pretrained encoders from a file or an installed package.

A file is a program of `torch.export` (.pt2): operations and weights, no Python. Its parts that
Python would unpickle freely are refused, so that a model's file cannot run code.
"""

from __future__ import annotations

import importlib
import io
import json
import pickle
import zipfile
from pathlib import Path, PurePosixPath

import torch
from torch import Tensor, nn


def open_backbone(source: str) -> tuple[nn.Module | None, bytes]:
    """Open an encoder.

    Parameters
    ----------
    source
        Path of an exported program, or `module:function` of an installed package, which is
        called without arguments and returns the module.

    Returns
    -------
    module, program
        The encoder, and the content of its file; none and nothing where there is no such file: a
        trained model brings its own.

    Raises
    ------
    ValueError
        If the file is no plain exported program, or the function cannot be imported.
    """
    module, _, function = source.partition(":")
    if function and not Path(source).exists():
        return _made(module, function), b""
    if not Path(source).is_file():
        return None, b""
    program = Path(source).read_bytes()
    return unpack(program, source), program


def unpack(program: bytes, origin: str) -> nn.Module:
    """Build the module of an exported program; `ValueError` if it is none, or not plain."""
    try:
        with zipfile.ZipFile(io.BytesIO(program)) as archive:
            _check_plain(archive, origin)
        return torch.export.load(io.BytesIO(program)).module()
    except (zipfile.BadZipFile, RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{origin}: expected a program of torch.export (.pt2), found something else ({reason})"
        ) from None


def check_window(backbone: nn.Module, context: int, num_inputs: int) -> tuple[int, bool]:
    """Try an encoder on random inputs.

    Parameters
    ----------
    context
        Steps that an output may depend on, the present one included.
    num_inputs
        Features of a step.

    Returns
    -------
    num_features, is_summary
        Features of the outputs, `[T, B, D]`, or `[B, D]` for a summary of the window.

    Raises
    ------
    ValueError
        If the output has another shape, sees the future, or sees more than `context` steps.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2 * context, 2, num_inputs, generator=generator)
    with torch.no_grad():
        whole = backbone(x)
    if whole.ndim == 2 and len(whole) == 2:
        return whole.shape[-1], True
    if whole.shape[:-1] != x.shape[:-1]:
        raise ValueError(
            f"encoder: expected outputs [T, B, D] or [B, D] for inputs {tuple(x.shape)}, found"
            f" {tuple(whole.shape)}"
        )
    with torch.no_grad():
        early, late = backbone(x[:context]), backbone(x[context:])
    if not torch.allclose(early, whole[:context], atol=1e-4):
        raise ValueError("encoder: its outputs depend on the future; it must be causal")
    if not torch.allclose(late[-1], whole[-1], atol=1e-4):
        raise ValueError(
            f"encoder: its outputs depend on more than the last {context} steps, or on where a"
            " window starts; raise context"
        )
    return whole.shape[-1], False


def as_tensor(program: bytes) -> Tensor:
    """Bytes as a tensor, which a checkpoint can hold."""
    return torch.frombuffer(bytearray(program), dtype=torch.uint8) if program else torch.zeros(0)


def _made(module: str, function: str) -> nn.Module:
    try:
        made = getattr(importlib.import_module(module), function)()
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"encoder: expected module:function of an installed package or a file, found"
            f" '{module}:{function}' ({error})"
        ) from None
    if not isinstance(made, nn.Module):
        raise ValueError(
            f"encoder: {module}:{function} must return a torch module, found {type(made).__name__}"
        )
    return made.eval()


def _check_plain(archive: zipfile.ZipFile, origin: str) -> None:
    """Refuse what only a free unpickling can read."""
    for name in archive.namelist():
        path = PurePosixPath(name)
        if path.name.endswith("_config.json"):
            entries = json.loads(archive.read(name)).get("config", {}).values()
            plain = not any(entry.get("use_pickle") for entry in entries)
        elif "sample_inputs" in path.parts:
            plain = _loads(archive.read(name))
        else:
            plain = path.parent.name != "constants" or path.name.startswith("tensor_")
        if not plain:
            raise ValueError(
                f"{origin}: {name} could run code; export the encoder without pickled objects"
            )


def _loads(content: bytes) -> bool:
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError):
        return False
    return True
