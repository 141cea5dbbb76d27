# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The model's side of `RemoteEngine`: a process that asks its `ChatEngine` what comes by a socket."""

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict

from favor.processing import MediaError

from .answer import Answer, Event
from .chat_engine import ChatEngine
from .engine_state import EngineStopped
from .engine_wire import Asked, Channel, Message
from .interpreter import leave_out_of_collections, share_the_interpreter
from .request_errors import traced

LOG = logging.getLogger("favor.serving")
STATE_SECONDS = 0.25  # between two messages about how the engine gets on


def serve_engine(channel: Channel, make: Callable[[Message], ChatEngine]) -> None:
    """
    Answers until the other side has gone, and then ends this process.

    Args:
        channel: to the other side, whose first message is for `make`.
        make: loads the model; what is wrong with the message (`ValueError`, `OSError`) the other side is told.
    """
    share_the_interpreter()
    engine: Future[ChatEngine] = Future()
    wanted: Future[Message] = Future()
    threading.Thread(target=_listen, args=(channel, wanted, engine), name="favor-questions", daemon=True).start()
    try:
        made = make(wanted.result())
    except (ValueError, OSError, ModuleNotFoundError) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        channel.send({"kind": "failed", "message": _told(error), "missing": missing})
        channel.close()
        return
    leave_out_of_collections()
    channel.send({"kind": "ready", "default_new_tokens": made.default_new_tokens, "positions": made.positions})
    engine.set_result(made)
    while True:
        channel.send({"kind": "state", "state": asdict(made.state)})
        threading.Event().wait(STATE_SECONDS)


def _told(error: Exception) -> str:
    """What `favor` would say of an error itself."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__


def _listen(channel: Channel, wanted: "Future[Message]", engine: "Future[ChatEngine]") -> None:
    """Takes what comes, from before the model is loaded: its process ends with the other one, however that ends."""
    answers: dict[int, Answer] = {}
    while (received := channel.receive()) is not None:
        message, files = received
        if message["kind"] == "make":
            wanted.set_result(message)
        elif message["kind"] == "cancel":
            answer = answers.get(message["number"])
            if answer is not None:
                answer.cancel()
        else:
            _ask(channel, engine.result(), Asked.unpacked(message, files), answers)
        del received, message, files  # what they hold, such as a film's bytes
    os._exit(0)  # nobody waits for anything, and the decoders end with this process


def _ask(channel: Channel, engine: ChatEngine, asked: Asked, answers: dict[int, Answer]) -> None:
    number, known = asked.number, threading.Event()

    def sink(event: Event) -> None:
        if isinstance(event, str):
            channel.send({"kind": "piece", "number": number, "text": event})
            return
        known.wait()  # the answer's number may come after a quick end of it
        answer = answers.pop(number)
        about = {"media": answer.media, "prompt_tokens": answer.prompt_tokens, "text": answer.text}
        about |= {"completion_tokens": answer.completion_tokens, "reason": answer.finish_reason}
        channel.send({"kind": "end", "number": number, **about, "error": None if event is None else _error(event)})

    try:
        answers[number] = engine.ask(
            asked.chat, asked.settings, asked.load_audio_from_video, sink, asked.client, asked.every_piece
        )
        known.set()
    except RuntimeError as error:  # it has stopped
        channel.send({"kind": "end", "number": number, "error": _error(error)})


def _error(error: BaseException) -> dict[str, str]:
    """The kind of error that the other side is to raise, and its words; what is no question's fault is logged here."""
    if isinstance(error, EngineStopped):
        return {"kind": "stopped", "message": str(error)}
    # By name: the processor may be a model folder's own code, whose classes are not this package's.
    if any(kind.__name__ == MediaError.__name__ for kind in type(error).__mro__):
        return {"kind": "media", "message": str(error)}
    if isinstance(error, (ValueError, OSError)):
        return {"kind": "question", "message": str(error)}
    LOG.error("A question failed in the engine.\n%s", traced(error))
    return {"kind": "failed", "message": ""}
