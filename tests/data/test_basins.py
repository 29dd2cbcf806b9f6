import json
import logging

import pytest

from dmg.data.basins import match_basins, read_basins


def test_reads_one_id_a_line_with_comments(tmp_path):
    path = tmp_path / "basins.txt"
    path.write_text("01013500\n\n  01022500  # a comment\n# another\n")
    assert read_basins(path) == ["01013500", "01022500"]


def test_reads_json_of_integers(tmp_path):
    path = tmp_path / "basins.txt"
    path.write_text(json.dumps([1022500, 11532500]))
    ids = read_basins(path)
    assert ids == ["1022500", "11532500"]
    assert match_basins(ids, ["01022500", "11532500"]) == ["01022500", "11532500"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected basin ids, one a line, found none"),
        ("01013500\n01013500 17\n", ":2: expected one basin id a line, found '01013500 17'"),
        ("[1, 2", ":1: not a valid JSON list"),
        ("[1.5]", r"found the entry 1\.5"),
    ],
)
def test_bad_list_files(tmp_path, text, message):
    path = tmp_path / "basins.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_basins(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_order_of_the_wish_is_kept():
    assert match_basins(["03", "01"], ["01", "02", "03"]) == ["03", "01"]


def test_missing_zero_is_said(caplog):
    with caplog.at_level(logging.WARNING):
        assert match_basins(["1013500"], ["01013500", "11013500"], "list.txt") == ["01013500"]
    assert "list.txt: 1 ids without their leading zeros" in caplog.text
    assert "1013500 as 01013500" in caplog.text


def test_exact_id_wins_over_a_padded_one(caplog):
    assert match_basins(["12"], ["012", "12"]) == ["12"]
    assert not caplog.records


@pytest.mark.parametrize(
    ("wanted", "available", "message"),
    [
        (["99"], ["01"], "found 1 unknown: 99; remove"),
        (["12"], ["012", "0012"], "id 12 fits several basins: 012, 0012"),
        (["01", "01"], ["01"], "duplicates: 01"),
        (["1", "01"], ["01"], "duplicates: 01"),
        ([str(i) for i in range(10, 20)], ["01"], "10 unknown: 10, 11, 12, 13, 14, "),
    ],
)
def test_bad_wishes(wanted, available, message):
    with pytest.raises(ValueError, match=message) as error:
        match_basins(wanted, available, "list.txt")
    assert str(error.value).startswith("list.txt: ")
