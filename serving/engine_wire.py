# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What HTTP's process and the model's tell each other: JSON of known fields, and the bytes of files beside it.

Nothing that is read here is code. A question's files travel as one open file without a name, so that the bytes of a
long film do not stand before the next question.
"""

import json
import os
import queue
import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .generation_settings import GenerationSettings
from .unnamed_file import unnamed_file

PREFIX = struct.Struct(">IQ")  # bytes of the JSON, and of the files
AT_ONCE = 64  # messages that are sent together
Message = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A question on its way to the engine; `chat` and what follows are arguments of `ChatEngine.ask`.

    Attributes:
        number: what its answer and its end are known by.
    """

    number: int
    chat: list[dict[str, Any]]
    settings: GenerationSettings
    load_audio_from_video: bool
    client: str
    every_piece: bool

    def packed(self) -> tuple[Message, list[bytes]]:
        """The message, and the files that travel beside it."""
        files: list[bytes] = []

        def packed(block: dict[str, Any]) -> dict[str, Any]:
            if "bytes" in block:
                files.append(block["bytes"])
                return {"type": block["type"], "size": len(files[-1])}
            return {**block, "path": str(block["path"])} if "path" in block else block

        chat = [{**turn, "content": [packed(block) for block in turn["content"]]} for turn in self.chat]
        return {"kind": "ask", **vars(self), "chat": chat, "settings": vars(self.settings)}, files

    @classmethod
    def unpacked(cls, message: Message, files: bytes) -> "Asked":
        """What `packed` was given."""
        start = 0

        def unpacked(block: dict[str, Any]) -> dict[str, Any]:
            nonlocal start
            if "size" in block:
                start += block["size"]
                return {"type": block["type"], "bytes": files[start - block["size"] : start]}
            return {**block, "path": Path(block["path"])} if "path" in block else block

        chat = [{**turn, "content": [unpacked(block) for block in turn["content"]]} for turn in message["chat"]]
        settings = GenerationSettings(**{**message["settings"], "stop": tuple(message["settings"]["stop"])})
        names = ("number", "load_audio_from_video", "client", "every_piece")
        return cls(chat=chat, settings=settings, **{name: message[name] for name in names})


class Channel:
    """
    One end of a socket between two processes. Messages go out by a thread: who sends one never waits.

    Args:
        connection: of the kind `socket.socketpair` makes.
    """

    def __init__(self, connection: socket.socket):
        self._connection = connection
        self._out: queue.SimpleQueue[tuple[Message, Sequence[bytes]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="favor-wire", daemon=True)
        self._thread.start()

    def send(self, message: Message, files: Sequence[bytes] = ()) -> None:
        """Sends a message, in the order of the calls; what cannot be sent since the other side has gone is dropped."""
        self._out.put((message, files))

    def receive(self) -> tuple[Message, bytes] | None:
        """The next message and its files, one after the other; None when the other side has gone."""
        try:
            prefix, descriptors, _, _ = socket.recv_fds(self._connection, PREFIX.size, 1, socket.MSG_WAITALL)
            if len(prefix) < PREFIX.size:
                return None
            size, file_bytes = PREFIX.unpack(prefix)
            head = self._connection.recv(size, socket.MSG_WAITALL)
        except OSError:
            return None
        if len(head) < size:
            return None
        files = b""
        if descriptors:
            with os.fdopen(descriptors[0], "rb", buffering=0) as file:
                file.seek(0)
                files = file.read(file_bytes)
        return json.loads(head), files

    def close(self) -> None:
        """Ends the connection once everything is sent; the other side's `receive` returns None."""
        self._out.put(None)
        self._thread.join(1.0)
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _write(self) -> None:
        while (first := self._out.get()) is not None:
            message, files = first
            del first
            with suppress(OSError):
                if files:
                    self._send_with_files(message, files)
                else:
                    self._connection.sendall(_framed(message, 0))
            del message, files  # what it held, such as a film's bytes

    def _send_with_files(self, message: Message, files: Sequence[bytes]) -> None:
        with unnamed_file() as file:
            for content in files:
                file.write(content)
            file.flush()
            data = _framed(message, sum(map(len, files)))
            socket.send_fds(self._connection, [data[: PREFIX.size]], [file.fileno()])
            self._connection.sendall(data[PREFIX.size :])


def _framed(message: Message, file_bytes: int) -> bytes:
    head = json.dumps(message).encode()
    return PREFIX.pack(len(head), file_bytes) + head
