# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Requests may name base64 data and files of one folder, by whatever path or link; nothing else."""

import base64
import os
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from favor.serving.media_access import MediaAccess, sent_bytes
from favor.serving.request_errors import RequestError


@pytest.fixture
def folder(tmp_path):
    """media/ with a.mp4 and sub/b c.mp4, links out of it and within, and a secret beside it."""
    media = tmp_path / "media"
    (media / "sub").mkdir(parents=True)
    (media / "a.mp4").write_bytes(b"a")
    (media / "sub" / "b c.mp4").write_bytes(b"b")
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    (tmp_path / "media-too").mkdir()
    (tmp_path / "media-too" / "a.mp4").write_bytes(b"secret")
    (media / "within.mp4").symlink_to(media / "a.mp4")
    (media / "out.mp4").symlink_to(tmp_path / "secret.mp4")
    (media / "up").symlink_to(tmp_path)
    (media / "loop").symlink_to(media / "loop")
    os.mkfifo(media / "pipe.mp4")
    return media


def test_files_of_the_folder(folder):
    access = MediaAccess(folder)
    first, second = folder.resolve() / "a.mp4", folder.resolve() / "sub" / "b c.mp4"
    for address in (
        "a.mp4",
        "./sub/../a.mp4",
        str(first),
        f"file://{first}",
        f"file://localhost{first}",
        "within.mp4",
    ):
        assert access.source(address) == first
    for address in ("sub/b c.mp4", f"file://{folder}/sub/b%20c.mp4"):
        assert access.source(address) == second


def test_nothing_else_and_no_telling_what_is_there(folder):
    access = MediaAccess(folder)
    beside = folder.parent
    for address in (
        *("../secret.mp4", "sub/../../secret.mp4", f"{beside}/secret.mp4", f"{beside}/media-too/a.mp4", "out.mp4"),
        *("up/secret.mp4", "loop", "missing.mp4", "", ".", "sub", "pipe.mp4", "a.mp4\0", "a" * 5000, "~/x"),
        *(f"file://{beside}/secret.mp4", f"file://{folder}/%2e%2e/secret.mp4", f"file://elsewhere{folder}/a.mp4"),
        *(f"file://{folder}/up/secret.mp4", "/dev/zero", "/proc/self/environ", "http:/a.mp4", "//host/a.mp4"),
    ):
        with pytest.raises(RequestError, match="is no file in this server's media folder") as refused:
            access.source(address)
        assert refused.value.error["code"] == "file_refused"
        assert refused.value.status == 400


def test_without_a_folder_no_file_may_be_named(folder):
    for address in ("a.mp4", str(folder / "a.mp4"), f"file://{folder}/a.mp4"):
        with pytest.raises(RequestError, match="without a media folder"):
            MediaAccess().source(address)


@pytest.mark.parametrize("scheme", ["http", "https", "HTTP", "ftp", "rtsp", "s3", "gopher", "concat"])
def test_other_schemes_are_refused(folder, scheme):
    for access in (MediaAccess(folder), MediaAccess()):
        with pytest.raises(RequestError, match="opens no connections") as refused:
            access.source(f"{scheme}://127.0.0.1/a.mp4")
        assert refused.value.error["code"] == "remote_media_refused"


@given(content=st.binary(max_size=50), kind=st.sampled_from(["", "video/mp4", "audio/wav;name=x"]))
def test_data_addresses(content, kind):
    address = f"data:{kind};base64,{base64.b64encode(content).decode()}"
    assert MediaAccess().source(address) == content
    for broken in (address.replace(";base64", ""), address + "*", f"data:{kind};base64"):
        with pytest.raises(RequestError):
            MediaAccess().source(broken)


def test_messages_hide_the_folder(folder):
    access = MediaAccess(folder)
    assert access.without_folder(f"{folder.resolve()}/sub/x.mp4 is damaged") == "sub/x.mp4 is damaged"
    assert MediaAccess().without_folder("as it is") == "as it is"


def test_the_folder_must_be_one(folder):
    for path in (folder / "none", folder / "a.mp4"):
        with pytest.raises(OSError):
            MediaAccess(path)


@pytest.mark.parametrize(
    "head", ["video/webm;codecs=vp8,opus;base64", "image/png;name=a,b.png;BASE64", ";charset=utf-8 ; base64 "]
)
def test_parameters_of_a_data_url_may_hold_commas(head):
    """As browsers' recorders and mail programs write them."""
    assert MediaAccess().source(f"data:{head},{base64.b64encode(b'clip').decode()}") == b"clip"


@given(content=st.binary(max_size=60), size=st.integers(4, 30), data=st.data())
def test_base64_as_browsers_and_mail_write_it(content, size, data):
    """Folded, url-safe, without padding, escaped; in slices of any size, as the processor reads it."""
    safe = data.draw(st.booleans())
    text = (base64.urlsafe_b64encode if safe else base64.b64encode)(content).decode()
    text = text.rstrip("=") if data.draw(st.booleans()) else text
    folded = "\r\n ".join(text[place : place + 7] for place in range(0, len(text), 7))
    escaped = quote(folded, safe="") if data.draw(st.booleans()) else folded
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("favor.processing.media_sources_favor.BASE64_SLICE", size)
        assert MediaAccess().source(f" DATA:video/webm;base64,{escaped}") == content
        assert sent_bytes(text) == content
        for broken in (f"{text}*", f"=={text}A" if text else "A", f"{text}=A", f"{text}\u00e9"):
            with pytest.raises(RequestError, match="not valid base64") as refused:
                MediaAccess().source(f"data:;base64,{broken}")
            assert refused.value.error["code"] == "invalid_base64"
