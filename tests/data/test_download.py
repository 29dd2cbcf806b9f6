"""Downloads from a server on this machine: resume, checksum, mirror, and plain advice."""

import hashlib
import http.server
import io
import logging
import threading
import zipfile

import pytest
import trees

from dmg.data import download as module
from dmg.data.archive import find_tree
from dmg.data.download import DATASETS, Remote, download, list_datasets
from dmg.data.fetch import fetch
from dmg.data.sources.camels_us import CamelsUs


class Server(http.server.ThreadingHTTPServer):
    """Serves bytes by name, with ranges unless told otherwise; may hang up in the middle."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.requests, self.ranges, self.cut = {}, [], True, None

    @property
    def base(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name, wanted = self.path.strip("/"), self.headers.get("Range")
        self.server.requests.append((name, wanted))
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        start = int(wanted[6:].rstrip("-")) if wanted and self.server.ranges else 0
        if start >= len(content) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stop, self.server.cut = self.server.cut, None
        self.wfile.write(content[start:stop])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def zipped(root, top=""):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for path in root.rglob("*.txt"):
            file.write(path, f"{top}{path.relative_to(root)}")
    return buffer.getvalue()


def md5(content):
    return f"md5:{hashlib.md5(content).hexdigest()}"


@pytest.fixture
def camels(server, tmp_path, monkeypatch):
    """The table of CAMELS-US with tiny files, served under their official names."""
    tree = trees.write_tree(tmp_path / "made", count=60)
    maurer = trees.write_tree(tmp_path / "maurer", count=60, product="maurer_extended")
    attributes = {p.name: p.read_bytes() for p in (tree / "camels_attributes_v2.0").iterdir()}
    for path in (tree / "camels_attributes_v2.0").iterdir():
        path.unlink()
    extended = zipped(maurer / "basin_mean_forcing")
    series = zipped(tree, "basin_dataset_public_v1p2/")
    server.files = attributes | {
        "basin_timeseries_v1p2_metForcing_obsFlow.zip": series, "maurer_extended.zip": extended,
    }  # fmt: skip
    table = tuple(
        Remote(r.name, server.base, r.checksum and md5(server.files[r.name]), r.folder)
        for r in DATASETS["camels_us"]
        if r.name in server.files
    )
    monkeypatch.setitem(module.DATASETS, "camels_us", table)
    return server


def test_the_table_is_plausible():
    for remote in DATASETS["camels_us"]:
        kind, _, value = (remote.checksum or "md5:" + "0" * 32).partition(":")
        assert kind == "md5"
        assert len(value) == 32
        assert remote.base.startswith("https://")
        assert not remote.base.endswith("/")


def test_everything_arrives_and_is_read(camels, tmp_path, caplog):
    shown = []
    root = tmp_path / "raw"
    with caplog.at_level(logging.INFO):
        found = download("camels_us", root, progress=lambda *a: shown.append(a))
    assert found == find_tree(root, "camels_us", tmp_path) == root / "camels_us"
    for product in ("daymet", "maurer_extended"):
        assert CamelsUs(found, product).choose(None) == list(trees.BASINS)
    assert sorted(p.name for p in root.iterdir()) == ["camels_us"]
    assert not list(found.rglob("*.zip"))
    assert "maurer_extended.zip: not verified, no checksum is published" in caplog.text
    size = len(camels.files["maurer_extended.zip"])
    assert shown[-1] == ("maurer_extended.zip", size, size)
    camels.requests.clear()
    assert download("camels_us", root) == found  # is there
    assert camels.requests == []


def test_it_goes_on_where_it_stopped(camels, tmp_path):
    camels.cut = 30  # of the first file
    with pytest.raises(ConnectionError, match=r"expected the file|the connection ended") as error:
        download("camels_us", tmp_path / "raw")
    for advice in ("internet", "Run again", "--mirror", str(tmp_path / "raw" / "camels_us")):
        assert advice in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "raw" / "camels_us").exists()
    first = module.DATASETS["camels_us"][0].name
    assert camels.requests == [(first, None)]
    download("camels_us", tmp_path / "raw")
    assert camels.requests[1] == (first, "bytes=30-")
    assert len(camels.requests) == 1 + len(camels.files)


def test_a_finished_file_is_not_fetched_twice(camels, tmp_path):
    name = module.DATASETS["camels_us"][1].name
    content = camels.files.pop(name)
    with pytest.raises(ConnectionError, match="HTTP 404"):
        download("camels_us", tmp_path / "raw")
    camels.files[name] = content
    download("camels_us", tmp_path / "raw")
    assert [r for r, _ in camels.requests].count(module.DATASETS["camels_us"][0].name) == 1


def test_wrong_checksum(camels, tmp_path):
    name = "basin_timeseries_v1p2_metForcing_obsFlow.zip"
    whole = camels.files[name]
    camels.files[name] = whole[:-1] + b"x"
    with pytest.raises(ValueError, match=f"{name}: expected md5 .* the file is removed") as error:
        download("camels_us", tmp_path / "raw")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "raw" / "camels_us").exists()
    camels.files[name] = whole
    download("camels_us", tmp_path / "raw")


def test_a_mirror_of_http_or_files(camels, tmp_path):
    table = [Remote(r.name, "http://127.0.0.1:9", r.checksum, r.folder)
             for r in module.DATASETS["camels_us"]]  # fmt: skip
    module.DATASETS["camels_us"] = tuple(table)
    with pytest.raises(ConnectionError, match="is there internet here"):
        download("camels_us", tmp_path / "none")
    download("camels_us", tmp_path / "http", mirror=f"{camels.base}/")
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name, content in camels.files.items():
        (folder / name).write_bytes(content)
    found = download("camels_us", tmp_path / "file", mirror=folder.as_uri())
    assert CamelsUs(found, "daymet").choose(None) == list(trees.BASINS)
    with pytest.raises(ConnectionError, match="expected the file"):
        download("camels_us", tmp_path / "bad", mirror=(tmp_path / "nowhere").as_uri())


def test_fetch_without_ranges_or_with_a_part_of_another_file(server, tmp_path):
    server.files["x"], part = b"0123456789", tmp_path / "x.part"
    part.write_bytes(b"0123")
    fetch(f"{server.base}/x", part)
    assert part.read_bytes() == b"0123456789"
    fetch(f"{server.base}/x", part)  # whole already
    part.write_bytes(b"abcdefghijklmnop")  # longer than the file
    fetch(f"{server.base}/x", part)
    assert part.read_bytes() == b"0123456789"
    server.ranges = False
    part.write_bytes(b"abc")
    fetch(f"{server.base}/x", part)
    assert part.read_bytes() == b"0123456789"


def test_unknown_dataset(tmp_path):
    with pytest.raises(ValueError, match="dataset 'camel': expected one of camels_us"):
        download("camel", tmp_path)


def test_list(tmp_path):
    assert [(d.name, d.known, d.path) for d in list_datasets(tmp_path / "none")] == [
        ("camels_us", True, None)
    ]
    (tmp_path / "mine").mkdir()
    (tmp_path / "camels_us.download").mkdir()
    for name in ("camels_us.zip", "camels_us_531.tar.xz", "notes.txt"):
        (tmp_path / name).touch()
    assert [(d.name, d.known, d.path and d.path.name) for d in list_datasets(tmp_path)] == [
        ("camels_us", True, "camels_us.zip"),
        ("camels_us_531", False, "camels_us_531.tar.xz"),
        ("mine", False, "mine"),
    ]


def test_no_bar_without_a_terminal(capsys):
    with module.progress_bar() as show:
        show("file", 1, 2)
        show("file", 2, 2)
    assert capsys.readouterr().out == ""
