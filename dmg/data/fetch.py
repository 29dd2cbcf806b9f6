"""Fetch one file over http(s) or from a file address, resuming what is there."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

BLOCK = 1 << 20  # bytes
TIMEOUT = 60  # s

Progress = Callable[[str, int, int | None], None]


def fetch(url: str, part: Path, progress: Progress | None = None) -> None:
    """Append to `part` until it is whole; `progress` gets name, bytes so far, bytes in all.

    A server without ranges sends all of it again. `ConnectionError` says in one line what failed;
    what came so far stays for the next call.
    """
    start = part.stat().st_size if part.is_file() else 0
    try:
        received, total = _receive(url, part, start, progress)
    except urllib.error.HTTPError as error:
        error.close()
        found = f"HTTP {error.code} {error.reason}"
        raise ConnectionError(f"{url}: expected the file, found {found}") from None
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as e:
        found = str(getattr(e, "reason", e))
        raise ConnectionError(f"{url}: expected the file, found '{found}'") from None
    if total is not None and received < total:
        raise ConnectionError(
            f"{url}: expected {total} bytes, the connection ended after {received}"
        )


def _receive(url: str, part: Path, start: int, progress: Progress | None) -> tuple[int, int | None]:
    """Copy from byte `start` on; give the bytes there are now, and the bytes there should be."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
            raise
        error.close()
        if error.headers.get("Content-Range", "").endswith(f"/{start}"):
            return start, start  # nothing is lacking
        part.unlink()  # longer than the file: not the same one
        return _receive(url, part, 0, progress)
    with response:
        if getattr(response, "status", None) != http.HTTPStatus.PARTIAL_CONTENT:
            start = 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        received = start
        with part.open("ab" if start else "wb") as file:
            while block := response.read(BLOCK):
                file.write(block)
                received += len(block)
                if progress:
                    progress(part.name.removesuffix(".part"), received, total)
    return received, total
