# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A `ChatEngine` in a process of its own: what HTTP costs there does not keep the model from the interpreter."""

import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from favor.processing import MediaError

from .answer import Answer, Event
from .chat_items import Chat, check_count, check_size
from .engine_state import STANDS_STILL, EngineState, EngineStopped, TooManyRequests
from .engine_wire import Asked, Channel, Message
from .generation_settings import GenerationSettings
from .lanes import LaneState

END_SECONDS = 5.0  # for the process to end when it is told to
ERRORS: dict[str, type[Exception]] = {"stopped": EngineStopped, "media": MediaError, "question": ValueError}


class EngineFailed(RuntimeError):
    """The engine failed on a question; its process has logged why."""


class RemoteEngine:
    """
    An engine in a process that ends with this one, or when it is closed.

    Args:
        program: arguments of Python for a program that calls `serve_engine` on the socket whose descriptor is the last
            argument, which is added.
        options: for the program; JSON.
        max_pending: answers that may wait or be in the making.
        secrets: names of environment variables that are kept from it.

    Raises `ValueError` with what the program says cannot be done, and `EngineStopped` if it ends before it is ready.
    """

    def __init__(
        self, program: Sequence[str], options: Mapping[str, Any], max_pending: int, secrets: Sequence[str] = ()
    ):
        self.max_pending = max_pending
        self._answers: dict[int, Answer] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._state, self._state_since = EngineState(), time.monotonic()
        ours, theirs = socket.socketpair()
        environment = {name: value for name, value in os.environ.items() if name not in secrets}
        environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in sys.path)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, *program, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=2,  # the address alone goes to the server's own
                pass_fds=(theirs.fileno(),),
                env=environment,
                process_group=0,  # Ctrl-C is the server's, which ends it
            )
        self._channel = Channel(ours)
        self._channel.send({**options, "kind": "make"})
        try:
            self._first()
        except BaseException:
            self.close()
            raise
        self._reader = threading.Thread(target=self._read, name="favor-answers", daemon=True)
        self._reader.start()

    def ask(
        self,
        chat: Chat,
        settings: GenerationSettings | None = None,
        load_audio_from_video: bool = True,
        sink: Callable[[Event], None] | None = None,
        client: str = "",
        every_piece: bool = True,
    ) -> Answer:
        """See `ChatEngine.ask`; what the answer tells of media and tokens is known at its end."""
        number = next(self._numbers)
        answer = Answer(sink, lambda _: self._left(number), every_piece)
        with self._lock:
            if not self.state.alive:
                raise EngineStopped("The engine has stopped.")
            if len(self._answers) >= self.max_pending:
                raise TooManyRequests(f"{len(self._answers)} answers are being made; the bound is {self.max_pending}.")
            self._answers[number] = answer
        try:  # what is much too long is not worth sending
            check_count(len(chat), "messages", self._positions)
            check_size(chat, self._positions)
        except ValueError as error:
            answer.fail(error)
            return answer
        asked = Asked(number, chat, settings or GenerationSettings(), load_audio_from_video, client, every_piece)
        self._channel.send(*asked.packed())
        return answer

    @property
    def pending(self) -> int:
        """Questions taken and not ended."""
        return len(self._answers)

    @property
    def state(self) -> EngineState:
        """How it gets on, as it said lately; a process that says nothing counts as a lane that stands still."""
        silent = time.monotonic() - self._state_since
        if silent <= STANDS_STILL or not self._state.alive:
            return self._state
        process = LaneState("engine", self.pending, 0, silent)
        return replace(self._state, lanes=[*self._state.lanes, process])

    def close(self) -> None:
        """Gives up all answers and ends the process."""
        self._stopped()
        self._channel.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:  # it still loads
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> "RemoteEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _first(self) -> None:
        """Waits until the engine is ready."""
        received = self._channel.receive()
        if received is None:
            raise EngineStopped("The model's process has ended before it was ready.")
        message, _ = received
        if message.get("missing") is not None:
            raise ModuleNotFoundError(message["message"], name=message["missing"])
        if message["kind"] == "failed":
            raise ValueError(message["message"])
        self.default_new_tokens: int = message["default_new_tokens"]
        self._positions: int = message["positions"]
        self._state_since = time.monotonic()

    def _read(self) -> None:
        while (received := self._channel.receive()) is not None:
            message, _ = received
            if message["kind"] == "state":
                lanes = [LaneState(**lane) for lane in message["state"]["lanes"]]
                self._state_since = time.monotonic()
                self._state = EngineState(**{**message["state"], "lanes": lanes})
            elif message["kind"] == "piece":
                answer = self._answers.get(message["number"])
                if answer is not None:
                    answer.add(message["text"])
            else:
                self._end(message)
        self._stopped()

    def _end(self, message: Message) -> None:
        with self._lock:
            answer = self._answers.pop(message["number"], None)
        if answer is None:  # it was given up
            return
        error = message["error"]
        if error is not None:
            answer.fail(ERRORS.get(error["kind"], EngineFailed)(error["message"]))
            return
        answer.media, answer.text = message["media"], message["text"]
        answer.prompt_tokens, answer.completion_tokens = message["prompt_tokens"], message["completion_tokens"]
        answer.finish(message["reason"])

    def _left(self, number: int) -> None:
        """An answer has ended; if here, the engine is told."""
        with self._lock:
            given_up = self._answers.pop(number, None) is not None
        if given_up:
            self._channel.send({"kind": "cancel", "number": number})

    def _stopped(self) -> None:
        """Nothing is answered any more."""
        self._state = replace(self._state, alive=False)
        for answer in list(self._answers.values()):
            with suppress(RuntimeError):  # whose event loop has ended
                answer.fail(EngineStopped("The engine has stopped."))
