# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Who may use the page's server, and what becomes of uploads, without a browser."""

import os
import time
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from favor.serving.page import page_guard
from favor.serving.page.page_guard import UPLOAD, OwnUploads, PageGuard
from favor.serving.page.sessions import Sessions

BOUNDARY = "----edge"


@pytest.fixture
def client(tmp_path):
    guards = [Middleware(PageGuard, anywhere=False), Middleware(OwnUploads, folder=tmp_path, max_bytes=1000)]
    page = Route("/{path:path}", lambda _: PlainTextResponse("the page"), methods=["GET", "POST"])
    return TestClient(Starlette(routes=[page], middleware=guards), base_url="http://127.0.0.1:7860")


def guard(anywhere: bool, *names: str) -> TestClient:
    page = Route("/", lambda _: PlainTextResponse("the page"))
    app = Starlette(routes=[page], middleware=[Middleware(PageGuard, anywhere=anywhere, names=names)])
    return TestClient(app)


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost", "LOCALHOST:1", "[::1]:7860", "127.8.9.1"])
def test_this_machines_own_names(client, host):
    assert client.get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "192.0.2.7", "127.0.0.1.evil.example", "localhost.evil.example", ""])
def test_foreign_names_are_refused(client, host):
    assert client.get("/", headers={"host": host}).status_code == 400


def test_a_page_for_others_is_reached_by_addresses_and_by_its_names():
    page = guard(True, "favor.example")
    for host, status in (("192.0.2.7:7860", 200), ("favor.example", 200), ("evil.example", 400)):
        assert page.get("/", headers={"host": host}).status_code == status
    proxied = {"host": "127.0.0.1:7860", "origin": "https://favor.example"}
    assert page.get("/", headers=proxied).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:3000", "http://127.0.0.1"])
def test_foreign_pages_are_refused(client, origin):
    assert client.post("/", headers={"origin": origin}).status_code == 403
    assert client.post("/", headers={"origin": "http://127.0.0.1:7860"}).status_code == 200


def test_the_browser_is_told_to_load_nothing_from_elsewhere(client):
    policy = client.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; ")
    assert "http" not in policy and "*" not in policy


def test_the_server_downloads_nothing_that_a_browser_names():
    page_guard.fetch_nothing()
    from gradio import processing_utils

    with pytest.raises(ValueError, match="fetches no addresses"):
        processing_utils.save_url_to_cache("https://example.org/a.mp4", "x")


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_each_upload_of_the_same_file_is_a_file_of_its_own(client, tmp_path):
    paths = [Path(client.post(UPLOAD, files={"files": ("a.mp4", b"abc")}).json()[0]) for _ in range(3)]
    assert len(set(paths)) == 3
    assert all(path.name == "a.mp4" and path.read_bytes() == b"abc" and tmp_path in path.parents for path in paths)


def part(disposition: str, content: bytes = b"abc") -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()


@pytest.mark.parametrize(
    "body, status",
    [
        (part('name="files"; filename=".."'), 400),
        (part('name="y"; filename="x.mp4"'), 400),
        (part('name="files"; filename=""; name="y"'), 400),
        (part('name="files"'), 400),
        (part('filename="x.mp4"'), 400),
        (part('name="files"; filename="a"')[:-10] + b"\r\n" + part('name="files"; filename="b"'), 400),
        (part('name="files"; filename="x.mp4"', bytes(2000)), 413),
        (b"nonsense", 400),
        (b"", 400),
    ],
)
def test_of_a_refused_upload_nothing_stays(client, tmp_path, body, status):
    response = client.post(UPLOAD, content=body, headers={"content-type": f"multipart/form-data; boundary={BOUNDARY}"})
    assert response.status_code == status
    assert files(tmp_path) == []


def test_of_an_upload_that_breaks_off_nothing_stays(client, tmp_path):
    def broken():
        yield part('name="files"; filename="x.mp4"')[:80]
        raise ConnectionError

    client.post(UPLOAD, content=broken(), headers={"content-type": f"multipart/form-data; boundary={BOUNDARY}"})
    assert files(tmp_path) == []


def test_what_no_tab_took_is_removed_in_time(client, tmp_path):
    old, new = (Path(client.post(UPLOAD, files={"files": ("a.mp4", b"abc")}).json()[0]) for _ in range(2))
    long_ago = time.time() - 2 * page_guard.LEFT_OVER_SECONDS
    os.utime(old.parent, (long_ago, long_ago))
    client.post(UPLOAD, files={"files": ("a.mp4", b"abc")})
    assert (old.parent.exists(), new.exists()) == (False, True)


def test_only_regular_files_become_clips(tiny_parts, media_dir, tmp_path):
    store = Sessions(tmp_path / "clips", tiny_parts[1])
    link = tmp_path / "link.png"
    link.symlink_to(media_dir / "photo.png")
    for wrong in (tmp_path / "clips", link):
        with pytest.raises(ValueError, match="is no file"):
            store.take("a", wrong, wrong.name)
    assert link.exists()
    assert files(tmp_path / "clips") == []


def test_of_a_file_that_cannot_be_used_nothing_stays(tiny_parts, tmp_path):
    store = Sessions(tmp_path / "clips", tiny_parts[1])
    upload = tmp_path / "uploads" / "own" / "x.mp4"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"x\.mp4"):
        store.take("a", upload, "x.mp4")
    assert files(tmp_path / "uploads") == []
