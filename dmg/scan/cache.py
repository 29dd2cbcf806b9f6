"""Files of the cache: where they lie, and how a damaged one is told from a whole one."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def cache_folder() -> Path:
    """Folder of traced and compiled programs: DMG_CACHE_DIR, else the user's cache folder."""
    if named := os.environ.get("DMG_CACHE_DIR"):
        return Path(named)
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "dmg"


def sealed(content: bytes) -> bytes:
    """Return content that ends with its own hash."""
    return content + hashlib.sha256(content).digest()


def unsealed(path: Path) -> bytes | None:
    """Return what was sealed into a file; none if it is not there or not whole."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    whole = hashlib.sha256(content[:-32]).digest() == content[-32:]
    return content[:-32] if whole else None
