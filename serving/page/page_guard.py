# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What the page's server does beyond Gradio, as ASGI middleware: by whom it may be asked, and what may be fetched.

Nothing is fetched for anybody: not by the server, whose file and proxy routes would do so, and not by the browser,
which a content security policy keeps to this server. Each upload lies in a folder of its own, or does not stay at all.
"""

import ipaddress
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gradio import processing_utils
from gradio.route_utils import MultiPartException, upload_fn
from gradio.routes import file_upload_statuses
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_NAMES = ("localhost",)
FETCHING = ("/file=http:", "/file=https:", "/proxy=")
UPLOAD = "/gradio_api/upload"
LEFT_OVER_SECONDS = 600  # after which an upload that no tab took is removed
# Gradio's page is made of inline scripts and styles and evaluates its templates; pictures and clips also come as data:
# and blob: addresses. What it may not do is to reach another server.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "frame-src 'none'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


class PageGuard:
    """
    Refuses foreign names, foreign pages and fetching routes, and tells the browser what it may load.

    Starlette's own check of hosts knows lists of names only; a page for other machines is reached by any address.

    Args:
        app: what is guarded.
        anywhere: whether the page is for other machines, too.
        names: by which it may be reached, beside addresses.
    """

    def __init__(self, app: ASGIApp, anywhere: bool, names: Sequence[str] = ()):
        self.app, self.anywhere, self.names = app, anywhere, {*LOCAL_NAMES, *(name.lower() for name in names)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope), scope["path"])
        if refusal is not None:
            await PlainTextResponse(*refusal)(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _refusal(self, headers: Headers, path: str) -> tuple[str, int] | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_this_server(host):
            return "This page is not known by that name.", 400
        if origin is not None and urlsplit(origin).netloc != host and _name(urlsplit(origin).netloc) not in self.names:
            return "Other pages may not use this one.", 403
        if any(route in path.lower() for route in FETCHING):
            return "This page fetches no addresses.", 403
        return None

    def _is_this_server(self, host: str) -> bool:
        """An address is no name that somebody else's server could bear."""
        name = _name(host)
        address = _address(name)
        return name in self.names or (address is not None and (self.anywhere or address.is_loopback))


class OwnUploads:
    """
    Takes uploads in Gradio's place, by Gradio's reader.

    Gradio keeps one file for all who upload the same content, so that one tab's removal is the others' loss, and
    leaves behind what it refuses.

    Args:
        app: everything else.
        folder: below which Gradio looks for uploads.
        max_bytes: of a file.
    """

    def __init__(self, app: ASGIApp, folder: Path, max_bytes: int):
        self.app, self.folder, self.max_bytes = app, folder, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].rstrip("/") == UPLOAD:
            response = await self._take(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _take(self, request: Request) -> Response:
        remove_left_over(self.folder)
        folder = self.folder / secrets.token_urlsafe(24)
        folder.mkdir(parents=True, mode=0o700)
        upload_id = request.query_params.get("upload_id")
        progress = file_upload_statuses if upload_id else None
        try:
            files, moving, _ = await upload_fn(
                request, folder, self.max_bytes, upload_id, force_move=True, upload_progress=progress
            )
            if len(files) != 1 or moving:
                raise HTTPException(400, f"One file is taken at a time; {len(files)} were sent.")
            file = folder / Path(files[0]).name
            os.rename(files[0], file)
            os.rmdir(Path(files[0]).parent)  # of Gradio's, named by the content
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, MultiPartException):
                return PlainTextResponse(error.message, 413 if "maximum allowed size" in error.message else 400)
            if isinstance(error, HTTPException):
                return PlainTextResponse(error.detail, error.status_code)
            if isinstance(error, (AssertionError, TypeError, ValueError, OSError)):  # Gradio's, of names that are none
                return PlainTextResponse("The upload cannot be read.", 400)
            raise
        return JSONResponse([str(file)])


def remove_left_over(folder: Path) -> None:
    """Removes the uploads that no tab took."""
    if not folder.is_dir():
        return
    for upload in folder.iterdir():
        try:
            if time.time() - upload.stat().st_mtime > LEFT_OVER_SECONDS:
                shutil.rmtree(upload)
        except OSError:  # it went meanwhile
            continue


def fetch_nothing() -> None:
    """Takes from Gradio what would download a file whose address a browser sends in place of an upload."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise ValueError("This page fetches no addresses.")

    for name in ("async_ssrf_protected_download", "ssrf_protected_download", "save_url_to_cache"):
        if not hasattr(processing_utils, name):
            raise RuntimeError(f"This version of Gradio has no {name}: install the one that favor[app] names.")
        setattr(processing_utils, name, refuse)


def _name(host: str) -> str:
    """A Host header without its port."""
    return (host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]).lower()


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
