"""A folder, a zip or a tar.xz: found in that order, unpacked once, whole or not at all."""

import shutil
import tarfile
import threading
import zipfile

import pytest

from dmg.data import archive
from dmg.data.archive import find_tree


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "root"
    (folder / "set" / "deep").mkdir(parents=True)
    (folder / "set" / "deep" / "file.txt").write_text("text " * 1000)
    return folder


def pack(root, form):
    path = root / f"set{form}"
    if form == ".zip":
        with zipfile.ZipFile(path, "w") as file:
            file.write(root / "set" / "deep" / "file.txt", "deep/file.txt")
    else:
        with tarfile.open(path, "w:xz") as file:
            file.add(root / "set" / "deep", "deep")
    shutil.rmtree(root / "set")
    return path


def leftovers(scratch):
    return [p.name for p in scratch.iterdir() if p.name not in ("set", ".set.lock")]


def test_a_folder_goes_first(root, tmp_path):
    (root / "set.zip").write_text("not looked at")
    assert find_tree(root, "set", tmp_path / "raw") == root / "set"
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize("form", [".zip", ".tar.xz"])
def test_an_archive_is_unpacked_once(root, tmp_path, form):
    pack(root, form)
    found = find_tree(root, "set", tmp_path / "raw")
    assert (found / "deep" / "file.txt").read_text().startswith("text")
    (found / "mark").touch()
    assert find_tree(root, "set", tmp_path / "raw") == found
    assert (found / "mark").exists()
    assert leftovers(tmp_path / "raw") == []


def test_another_archive_is_unpacked_anew(root, tmp_path):
    path = pack(root, ".zip")
    found = find_tree(root, "set", tmp_path / "raw")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("other.txt", "other")
    assert [p.name for p in find_tree(root, "set", tmp_path / "raw").glob("*.txt")] == ["other.txt"]
    assert not (found / "deep").exists()


@pytest.mark.parametrize("form", [".zip", ".tar.xz"])
@pytest.mark.parametrize("keep", [0, 0.5, 0.9])
def test_a_broken_archive(root, tmp_path, form, keep):
    path = pack(root, form)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ValueError, match=r"expected a whole archive, found a broken one") as error:
        find_tree(root, "set", tmp_path / "raw")
    assert "\n" not in str(error.value)
    assert leftovers(tmp_path / "raw") == []
    assert not (tmp_path / "raw" / "set").exists()


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        find_tree(tmp_path, "set", tmp_path / "raw")
    text = str(error.value)
    for expected in ("/set,", "/set.zip,", "/set.tar.xz,", "dmg data download", "DMG_DATA_ROOT"):
        assert expected in text
    assert "\n" not in text


def test_two_at_once_unpack_once(root, tmp_path, monkeypatch):
    pack(root, ".zip")
    calls, unpack = [], archive.unpack
    monkeypatch.setattr(archive, "unpack", lambda *a: (calls.append(a), unpack(*a)))
    threads = [
        threading.Thread(target=find_tree, args=(root, "set", tmp_path / "raw")) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
