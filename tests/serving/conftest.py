# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A random model behind the engine, one that goes on talking, and a way to serve either from a thread."""

import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from favor.model_loading import load_pipeline
from favor.serving import ChatEngine

QUESTION = "Which sound is heard first?"
LONG_ANSWER = 3000  # tokens; seconds of work


@pytest.fixture(scope="session")
def pipe(tiny_model_dir):
    return load_pipeline(str(tiny_model_dir))


@pytest.fixture
def engine(pipe) -> Iterator[ChatEngine]:
    with ChatEngine(pipe) as engine:
        yield engine


@pytest.fixture(scope="session")
def talkative_dir(tiny_model_dir, tmp_path_factory) -> Path:
    """The random model; no answer of it ends before `LONG_ANSWER` tokens."""
    folder = tmp_path_factory.mktemp("models") / "talkative"
    shutil.copytree(tiny_model_dir, folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = 2 * LONG_ANSWER
    (folder / "config.json").write_text(json.dumps(config))
    generation = json.loads((folder / "generation_config.json").read_text())
    generation |= {"eos_token_id": config["video_token_id"], "max_new_tokens": LONG_ANSWER}  # which is suppressed
    (folder / "generation_config.json").write_text(json.dumps(generation))
    return folder


@pytest.fixture(scope="session")
def talkative_pipe(talkative_dir):
    return load_pipeline(str(talkative_dir))


def chat(file, question: str = QUESTION, kind: str = "video", **more) -> list[dict]:
    """One question about one file."""
    source = {"bytes": file} if isinstance(file, bytes) else {"path": str(file)}
    return [{"role": "user", "content": [{"type": kind, **source, **more}, {"type": "text", "text": question}]}]


def wait_until(condition: Callable[[], bool]) -> None:
    """Fails after half a minute."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited half a minute in vain"
        time.sleep(0.01)


@contextmanager
def serving(
    engine: ChatEngine,
    bounds: dict | None = None,
    drain_seconds: float = 0.5,
    send_buffer: int | None = None,
    **settings,
) -> Iterator[str]:
    """The address of a server of this engine, which runs in a thread."""
    from favor.commands.serve import _listen
    from favor.serving.http_connections import ConnectionBounds, bounded_server
    from favor.serving.http_server import ServerSettings, build_app

    given = ServerSettings(**{"model_name": "random", **settings})
    app = build_app(engine, given)
    server = bounded_server(
        app, ConnectionBounds(given.timeout, **(bounds or {})), proxies="127.0.0.1", drain_seconds=drain_seconds
    )
    with _listen("127.0.0.1", 0) as listener:
        if send_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        wait_until(lambda: server.started)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
