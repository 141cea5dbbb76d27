# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Hostile requests to one's own `favor serve`, one kind each, and the little HTTP that they need."""

import asyncio
import base64
import io
import json
import random
import socket
import struct
import wave
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

SLOW_SECONDS = 15.0  # that a slow client goes on


@dataclass(frozen=True)
class Target:
    """Where the server listens."""

    host: str
    port: int


@dataclass(frozen=True)
class Attack:
    """What a hostile client does, given the target, its own address and the number of the time."""

    name: str
    act: Callable[[Target, str, int], Awaitable[None]]
    pause: float = 0.2  # seconds between two times


def chat(kind: str | None = None, address: str = "", text: str = "What is seen?", **fields: Any) -> bytes:
    """A request about a medium, or about text alone."""
    blocks: list[dict[str, Any]] = [] if kind is None else [{"type": kind, kind: {"url": address}}]
    messages = [{"role": "user", "content": [*blocks, {"type": "text", "text": text}]}]
    return json.dumps({"messages": messages, "temperature": 0, "max_tokens": 16, **fields}).encode()


def data_url(content: bytes) -> str:
    return f"data:application/octet-stream;base64,{base64.b64encode(content).decode()}"


def head(target: Target, size: int, host: str = "127.0.0.1") -> bytes:
    """Of a POST with a body of so many bytes."""
    lines = (
        "POST /v1/chat/completions HTTP/1.1",
        f"Host: {host}:{target.port}",
        "Content-Type: application/json",
        f"Content-Length: {size}",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def exchange(target: Target, source: str, body: bytes | None, seconds: float) -> tuple[int, bytes]:
    """Status and body of one request; without a body, of the health check."""
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(target.host, target.port, local_addr=(source, 0))
        try:
            if body is None:
                writer.write(f"GET /health HTTP/1.1\r\nHost: {target.host}\r\nConnection: close\r\n\r\n".encode())
            else:
                writer.write(head(target, len(body)) + body)
            await writer.drain()
            answer = await reader.read()
        finally:
            writer.transport.abort()
    before, _, content = answer.partition(b"\r\n\r\n")
    if not before:
        raise ConnectionResetError("no answer")
    return int(before.split(b" ")[1]), content


def sending(name: str, body: Callable[[int], bytes], pause: float = 0.5) -> Attack:
    """Sends whole requests and reads what comes."""

    async def act(target: Target, source: str, number: int) -> None:
        await exchange(target, source, body(number), 60.0)

    return Attack(name, act, pause)


async def half_a_head(target: Target, source: str, number: int) -> None:
    """Sends no more than the beginning of a head."""
    reader, writer = await asyncio.open_connection(target.host, target.port, local_addr=(source, 0))
    try:
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nX-")
        async with asyncio.timeout(SLOW_SECONDS):
            await reader.read()
    finally:
        writer.transport.abort()


async def slow_body(target: Target, source: str, number: int) -> None:
    """Sends one byte a second."""
    _, writer = await asyncio.open_connection(target.host, target.port, local_addr=(source, 0))
    try:
        writer.write(head(target, 1000) + b'{"messages":')
        for _ in range(int(SLOW_SECONDS)):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(1.0)
    finally:
        writer.transport.abort()


async def silent_reader(target: Target, source: str, number: int) -> None:
    """Asks for a stream and reads nothing of it."""
    loop = asyncio.get_running_loop()
    body = chat(text="Count.", stream=True, max_tokens=200)
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        connection.bind((source, 0))
        await loop.sock_connect(connection, (target.host, target.port))
        await loop.sock_sendall(connection, head(target, len(body)) + body)
        await asyncio.sleep(SLOW_SECONDS)


def going_away(name: str, body: Callable[[int], bytes]) -> Attack:
    """Asks, and closes the connection soon."""

    async def act(target: Target, source: str, number: int) -> None:
        _, writer = await asyncio.open_connection(target.host, target.port, local_addr=(source, 0))
        try:
            content = body(number)
            writer.write(head(target, len(content)) + content)
            await writer.drain()
            await asyncio.sleep(random.uniform(0, 0.3))
        finally:
            writer.transport.abort()

    return Attack(name, act)


async def foreign_host(target: Target, source: str, number: int) -> None:
    """Asks by a name that is not this machine's."""
    _, writer = await asyncio.open_connection(target.host, target.port, local_addr=(source, 0))
    try:
        body = chat()
        writer.write(head(target, len(body), "evil.example") + body)
        await writer.drain()
        await asyncio.sleep(0.2)
    finally:
        writer.transport.abort()


@cache
def nan_sound() -> bytes:
    """A float WAV of which no sample is a number."""
    samples = np.full(16000, np.nan, "<f4").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, 16000, 64000, 4, 32)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(samples))
        + b"WAVE"
        + form
        + b"data"
        + struct.pack("<I", len(samples))
        + samples
    )


@cache
def sound(number: int) -> bytes:
    """A short WAV; each number's is another file."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(np.random.default_rng(number).integers(-9000, 9000, 16000).astype("<i2").tobytes())
    return data.getvalue()


@cache
def jpeg_of_scans(scans: int = 15_000) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = io.BytesIO()
    Image.new("L", (2048, 2048), 128).save(data, "JPEG", progressive=True, optimize=True)
    content = data.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * scans + content[-2:]


@cache
def tiff_of_hidden_pixels(side: int = 16384) -> bytes:
    """A TIFF of 16 x 16 pixels with one tile of side x side."""
    packed = zlib.compress(bytes(side * side), 1)
    entries = [(256, 16), (257, 16), (258, 8), (259, 8), (262, 1), (277, 1), (322, side), (323, side)]
    start = 8
    directory = start + len(packed)
    entries += [(324, start), (325, len(packed))]
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return b"II*\x00" + struct.pack("<I", directory) + packed + struct.pack("<H", len(entries)) + fields + bytes(4)


@cache
def many_values() -> bytes:
    """Two million numbers, 4 MB."""
    return b'{"messages":[' + b"1," * (1 << 21) + b"1]}"


@cache
def many_messages(count: int = 80_000) -> bytes:
    """So many empty messages."""
    return json.dumps({"messages": [{"role": "user", "content": ""}] * count}).encode()


@cache
def nonsense(size: int = 40 << 20) -> bytes:
    """A large file that is none."""
    return chat("video_url", "data:;base64," + "A" * size)


def another(file: bytes, number: int) -> str:
    """A file's address, for each number that of another file."""
    return data_url(file + struct.pack("<I", number))


def prepare() -> None:
    """Makes the files beforehand: it is the server that is to be busy."""
    for make in (nan_sound, jpeg_of_scans, tiff_of_hidden_pixels, many_values, many_messages, nonsense):
        make()
    blocks_of_pictures()


@cache
def blocks_of_pictures(count: int = 16_000) -> bytes:
    """One message with so many pictures."""
    block = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    return json.dumps({"messages": [{"role": "user", "content": [block] * count}]}).encode()


MALFORMED = (
    chat("video_url", "http://["),
    chat("video_url", "http://127.0.0.1:1/a.mp4"),
    chat("video_url", "../../etc/passwd"),
    chat(model="m" * (1 << 20)),
    b"[" * 100_000,
    b'{"messages": "\xff\xfe"}',
    b'{"messages": [], "messages": []}',
    json.dumps({"messages": [], **{f"k{number}": 1 for number in range(20_000)}}).encode(),
)
ATTACKS = (
    Attack("half a head", half_a_head),
    Attack("slow body", slow_body),
    Attack("silent reader", silent_reader),
    Attack("foreign host", foreign_host),
    going_away("gone while generating", lambda number: chat(text="Count.", stream=True, max_tokens=200)),
    going_away("gone while decoding", lambda number: chat("audio_url", data_url(sound(number)), "What?")),
    sending("many values", lambda number: many_values(), 2.0),
    sending("many blocks", lambda number: blocks_of_pictures(), 1.0),
    sending("many messages", lambda number: many_messages()),
    sending("numbers that are none", lambda number: chat("audio_url", data_url(nan_sound()), temperature=1.0)),
    sending("scans", lambda number: chat("image_url", another(jpeg_of_scans(), number))),
    sending("hidden pixels", lambda number: chat("image_url", another(tiff_of_hidden_pixels(), number))),
    sending("seeded", lambda number: chat(text="Count.", temperature=1.0, seed=number, max_tokens=200)),
    sending("malformed", lambda number: MALFORMED[number % len(MALFORMED)]),
    sending("large nonsense", lambda number: nonsense(), 5.0),
)
