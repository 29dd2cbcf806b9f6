"""Errors in one line."""

from pathlib import Path

import pytest

from dmg.errors import one_line


def test_many_lines_become_one() -> None:
    assert one_line(ValueError("expected\n  a, found b")) == "expected a, found b"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        (tmp_path / "x.yaml").read_text()
    assert one_line(caught.value).endswith(
        "x.yaml: expected a file or folder, found none; check the path"
    )


def test_a_message_of_our_own_stays() -> None:
    assert one_line(FileNotFoundError("no dataset")) == "no dataset"
