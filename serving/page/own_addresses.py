# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Keeps the page's server from fetching addresses for a browser, which Gradio's file and proxy routes would do."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import PlainTextResponse

FETCHING = ("/file=http:", "/file=https:", "/proxy=")


class OwnAddressesOnly:
    """ASGI middleware that answers 403 where another server would be asked."""

    def __init__(self, app: Callable[..., Awaitable[None]]):
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if any(route in scope.get("path", "").lower() for route in FETCHING):
            await PlainTextResponse("This page fetches no addresses.", status_code=403)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


__all__ = ["OwnAddressesOnly"]
