# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The HTTP server: OpenAI's chat completions over an engine, with bounds on everything that a client sends.

A request is refused as early as it can be: host, key and queue before its body is read, the body while it is read.
"""

import asyncio
import hmac
import ipaddress
import logging
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect

from .answer import Answer
from .answer_exchange import CLIENT_GONE, AnswerExchange, ClientGone, StreamedAnswer
from .body_turns import LARGE_BODY, BodyTurns
from .chat_items import Chat
from .chat_request import ChatRequest, parse_chat_request
from .client_records import ClientRecords
from .completions import Completion, model_entry
from .engine_state import Engine, EngineStopped, TooManyRequests
from .generation_settings import GenerationSettings
from .http_connections import GONE
from .media_access import MediaAccess
from .metrics import Metrics
from .request_body import announced_bytes, read_json_body
from .request_errors import (
    LONGEST_NAME,
    RequestError,
    failed,
    shortened,
    stopping,
    timed_out,
    too_busy,
    too_many_of_one,
    traced,
    unauthorised,
)

LOG = logging.getLogger("favor.serving")
LOCAL_HOSTS = ["127.0.0.1", "localhost", "[::1]"]
RETRY_SECONDS = 1
READ_AT_ONCE = 1 << 13  # bytes of a body that the event loop reads itself: a thread would take longer


@dataclass(frozen=True)
class ServerSettings:
    """What the server is called, whom it serves and within which bounds.

    Attributes:
        model_name: what clients call the model.
        api_key: what they must send; None: nothing, and only requests to this machine's own name are answered.
        media_folder: the only one whose files they may name.
        max_body_bytes: of a request.
        max_pending: requests that may be read, wait or be answered at a time.
        max_per_client: of them, those of one address; None: no bound.
        max_tokens: of an answer.
        timeout: seconds from a request's arrival to its answer's end.

    Raises `ValueError` for a key that no client could send.
    """

    model_name: str
    api_key: str | None = None
    media_folder: Path | None = None
    max_body_bytes: int = 64 << 20
    max_pending: int = 64
    max_per_client: int | None = None
    max_tokens: int = 1024
    timeout: float = 300.0

    def __post_init__(self) -> None:
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.isprintable() and self.api_key):
            raise ValueError("The API key must be made of printable ASCII characters: HTTP headers carry no others.")
        if self.api_key is not None and self.api_key != self.api_key.strip():
            raise ValueError("The API key begins or ends with a blank, which HTTP headers do not carry: take it away.")


def build_app(engine: Engine, settings: ServerSettings) -> FastAPI:
    """The application; it closes the engine when it shuts down."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(chats.turns.close)
        await run_in_threadpool(engine.close)

    app = FastAPI(title="FAVOR", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    chats = app.state.chats = ChatEndpoint(engine, settings)
    started = int(time.time())
    if settings.api_key is None:  # a web page must not reach a server without a key by a name of its own
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOCAL_HOSTS)

    @app.post("/v1/chat/completions")
    async def chat_completions(request: Request) -> Response:
        return await chats.answer(request)

    @app.get("/v1/models")
    async def models(request: Request) -> dict[str, Any]:
        check_key(request, settings.api_key)
        return {"object": "list", "data": [model_entry(settings.model_name, started)]}

    @app.get("/v1/models/{name:path}")
    async def model(request: Request, name: str) -> dict[str, Any]:
        check_key(request, settings.api_key)
        check_model(name, settings.model_name)
        return model_entry(settings.model_name, started)

    @app.get("/health")
    async def health() -> JSONResponse:
        state = engine.state
        if not state.alive:
            return JSONResponse({"status": "stopped"}, 503)
        still = state.standing_still
        return JSONResponse({"status": "degraded", "standing_still": still} if still else {"status": "ok"})

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        check_key(request, settings.api_key)
        return Response(chats.metrics.text(), media_type="text/plain; version=0.0.4")

    @app.exception_handler(RequestError)
    async def refused(_: Request, error: RequestError) -> JSONResponse:
        return JSONResponse(error.body(), error.status, error.headers)

    @app.exception_handler(HTTPException)
    async def no_such_thing(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse(RequestError(error.status_code, str(error.detail)).body(), error.status_code)

    return app


def check_key(request: Request, api_key: str | None) -> None:
    """Raises `RequestError` unless the request carries the key; the time it takes does not depend on the key."""
    if api_key is None:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), api_key.encode()):
        raise unauthorised()


def client_of(request: Request) -> str:
    """Whose request it is: the address; of IPv6 the network, of which one client has all addresses."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)


def check_model(asked_for: str | None, name: str) -> None:
    """Raises `RequestError` if a request is for another model."""
    if asked_for is not None and asked_for != name:
        message = f"The model {shortened(asked_for, LONGEST_NAME)!r} is not here; this server has {name!r}."
        raise RequestError(404, message, code="model_not_found", param="model")


class ChatEndpoint:
    """POST /v1/chat/completions."""

    def __init__(self, engine: Engine, settings: ServerSettings):
        self.engine, self.settings = engine, settings
        self.access = MediaAccess(settings.media_folder)
        self.metrics = Metrics(engine)
        self.open_requests: Counter[str] = Counter()  # by client
        self._unheard: Counter[str] = Counter()  # of them, those that wait to be heard
        self._deadlines: set[asyncio.Timeout] = set()
        self._answers: set[Answer] = set()
        self._stopping = False
        self._records = ClientRecords()
        self._readers = anyio.CapacityLimiter(1)  # each takes the interpreter from the event loop
        self._large = 0  # bodies that are being received or read
        self.turns = BodyTurns(lambda: self._heard() > self._large, self._records.is_answered)

    def end_all(self) -> None:
        """Tells everybody who still waits that the server is about to end."""
        self._stopping = True
        for answer in list(self._answers):
            answer.fail(stopping())
        for deadline in self._deadlines:
            deadline.reschedule(asyncio.get_running_loop().time())

    async def answer(self, request: Request) -> Response:
        """The response to one request; every way out is counted."""
        arrived = time.monotonic()
        completion = Completion(f"chatcmpl-{uuid.uuid4().hex}", self.settings.model_name)
        client = client_of(request)
        try:
            check_key(request, self.settings.api_key)
            self._check_room(client)
        except RequestError as error:
            self._count(error.status, arrived)
            raise
        self.open_requests[client] += 1
        status, streamed = 500, False
        deadline = asyncio.timeout(self.settings.timeout)
        try:
            async with deadline:
                self._deadlines.add(deadline)
                await self._hear_later(request, client)
                response = await self._respond(request, client, completion, arrived)
            status, streamed = 200, isinstance(response, StreamedAnswer)
            response.headers["x-request-id"] = completion.id
            return response
        except RequestError as error:
            status = error.status
            raise
        except TimeoutError:
            refusal = stopping() if self._stopping else timed_out(self.settings.timeout)
            status = refusal.status
            raise refusal from None
        except (ClientGone, ClientDisconnect):
            status = CLIENT_GONE
            return Response(status_code=CLIENT_GONE)  # nobody reads it
        except Exception as error:
            LOG.error("Request %s failed.\n%s", completion.id, traced(error))
            raise failed(completion.id) from None
        finally:
            self._deadlines.discard(deadline)
            if not streamed:
                self._close(client, status, arrived)

    def _check_room(self, client: str) -> None:
        """Raises `RequestError` if there are as many requests as there may be."""
        if self._stopping:
            raise stopping()
        total, most = self._heard(), self.settings.max_per_client
        if total >= self.settings.max_pending:
            raise too_busy(total, RETRY_SECONDS)
        if most is not None and self.open_requests[client] >= most:
            raise too_many_of_one(most, RETRY_SECONDS)

    def _heard(self) -> int:
        """Requests that are being read, wait or are answered; those that are to be heard later take nobody's place."""
        return self.open_requests.total() - self._unheard.total()

    async def _hear_later(self, request: Request, client: str) -> None:
        """Waits while others do, if the client's requests mostly come to nothing.

        Raises `ClientGone`, and `RequestError` if meanwhile there are as many requests as there may be.
        """
        delay = self._records.delay(client)
        own = self.open_requests[client] - self._unheard[client]
        if delay <= 0 or self._heard() <= own:
            return
        gone: asyncio.Event = getattr(request.state, GONE, asyncio.Event())
        self._unheard[client] += 1
        try:
            async with asyncio.timeout(delay):
                await gone.wait()
        except TimeoutError:
            if self._heard() >= self.settings.max_pending:
                raise too_busy(self._heard(), RETRY_SECONDS) from None
        else:
            raise ClientGone
        finally:
            self._unheard[client] -= 1
            if not self._unheard[client]:
                del self._unheard[client]

    async def _respond(self, request: Request, client: str, completion: Completion, arrived: float) -> Response:
        asked, settings, chat = await self._asked(request, client)
        answer, events = self._ask(asked, settings, chat, client)
        del chat  # the engine has the files
        self._answers.add(answer)
        exchange = AnswerExchange(request, answer, events)
        try:
            # What is wrong with the question shows here, before the status is sent.
            piece = first = await self._next(exchange)
            if first is not None:
                self.metrics.first_piece.observe(time.monotonic() - arrived)
            while piece is not None and not asked.stream:
                piece = await self._next(exchange)
        except BaseException:
            self._answers.discard(answer)
            exchange.close()
            raise
        if asked.stream:
            usage = asked.stream_options is not None and asked.stream_options.include_usage
            seconds = self.settings.timeout - (time.monotonic() - arrived)

            def closed(code: int) -> None:
                self._answers.discard(answer)
                self._close(client, code, arrived)

            return StreamedAnswer(exchange, completion, first, usage, seconds, closed)
        self._answers.discard(answer)
        exchange.close()
        return JSONResponse(completion.whole(answer))

    async def _asked(self, request: Request, client: str) -> tuple[ChatRequest, GenerationSettings, Chat]:
        """What `_read` makes of the body, which waits for its turn if it is large."""
        announced = announced_bytes(request, self.settings.max_body_bytes)
        large = announced > LARGE_BODY or announced == 0  # not announced
        self._large += large
        try:
            turn = partial(self.turns.piece, client)
            body = [await read_json_body(request, self.settings.max_body_bytes, turn)]
            if await request.is_disconnected():  # nothing is to be done for who has gone
                raise ClientGone
            size = len(body[0])
            if size <= READ_AT_ONCE:
                return self._read(body)
            if size <= LARGE_BODY:
                read = await anyio.to_thread.run_sync(self._read, body, limiter=self._readers)
            else:
                read = await self.turns.read(client, partial(self._read, body))
            if await request.is_disconnected():
                raise ClientGone
            return read
        finally:
            self._large -= large

    def _read(self, body: list[bytes]) -> tuple[ChatRequest, GenerationSettings, Chat]:
        """What is asked, how to answer, and the chat with the files that it brings; the body is taken out of its list.

        Else it would be held beside what was made of it, and idle threads keep their last arguments.
        """
        asked = parse_chat_request(body.pop())
        check_model(asked.model, self.settings.model_name)
        settings = asked.settings(self.settings.max_tokens, self.engine.default_new_tokens)
        return asked, settings, asked.chat(self.access)

    def _ask(
        self, asked: ChatRequest, settings: GenerationSettings, chat: Chat, client: str
    ) -> tuple[Answer, asyncio.Queue]:
        loop = asyncio.get_running_loop()
        events: asyncio.Queue = asyncio.Queue()

        def sink(event: Any) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        try:
            # Nobody reads the pieces of an answer that is sent whole, and each wakes the event loop.
            answer = self.engine.ask(chat, settings, asked.load_audio_from_video, sink, client, asked.stream)
            return answer, events
        except TooManyRequests:
            raise too_busy(self.engine.pending, RETRY_SECONDS) from None
        except EngineStopped:
            raise stopping() from None

    async def _next(self, exchange: AnswerExchange) -> str | None:
        """The next piece; what the engine found wrong with the question is the client's mistake."""
        try:
            return await exchange.next()
        except EngineStopped:
            raise stopping() from None
        except (ValueError, OSError) as error:
            message = self.access.without_folder(" ".join(str(error).split()))
            # By name: the processor may be a model folder's own code, whose classes are not this package's.
            about_media = any(kind.__name__ == "MediaError" for kind in type(error).__mro__)
            code = "invalid_media" if about_media else "invalid_request"
            raise RequestError(400, message, code=code, param="messages") from error

    def _close(self, client: str, status: int, arrived: float) -> None:
        self.open_requests[client] -= 1
        if not self.open_requests[client]:
            del self.open_requests[client]
        self._records.count(client, status)
        self._count(status, arrived)

    def _count(self, status: int, arrived: float) -> None:
        self.metrics.requests.labels(str(status)).inc()
        self.metrics.latency.observe(time.monotonic() - arrived)
