# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""An engine in a process of its own answers as one in this process does, and is missed by nobody when it ends."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from favor.processing import MediaError
from favor.serve_engine import EngineOptions
from favor.serving import ChatEngine, GenerationSettings, TooManyRequests
from favor.serving.engine_process import _error
from favor.serving.engine_state import EngineStopped
from favor.serving.engine_wire import Asked, Channel
from favor.serving.remote_engine import RemoteEngine

from .conftest import LONG_ANSWER, chat, serving, wait_until
from .test_http_abuse import healthy_within
from .test_http_server import metrics, post

TEXT = [{"role": "user", "content": [{"type": "text", "text": "Red?"}]}]
SHORT = GenerationSettings(6, stop=("no such words",))
MAX_PENDING = 3


def started(model: Path, secrets: tuple[str, ...] = ()) -> RemoteEngine:
    options = EngineOptions(
        model=str(model),
        on_error=None,
        cache_bytes=1 << 24,
        media_limits={"max_duration": 5.0},
        max_batch_size=4,
        max_batch_tokens=4 * LONG_ANSWER,
        max_pending=MAX_PENDING,
        media_workers=1,
        decoder_bytes=1 << 30,
    )
    return options.started(secrets)


@pytest.fixture(scope="module")
def remote(talkative_dir) -> Iterator[RemoteEngine]:
    with started(talkative_dir) as engine:
        yield engine


def outcome(answer) -> tuple:
    return "".join(answer), answer.media, answer.prompt_tokens, answer.completion_tokens, answer.finish_reason


def test_answers_are_those_of_an_engine_in_this_process(remote, talkative_pipe, media_dir):
    content = (media_dir / "photo.png").read_bytes()
    chats = [
        TEXT,
        chat(media_dir / "clip.mp4"),
        chat(content, kind="image"),
        chat(media_dir / "sound.wav", kind="audio"),
    ]
    with ChatEngine(talkative_pipe, media_limits={"max_duration": 5.0}) as engine:
        for asked in chats:
            assert outcome(remote.ask(asked, SHORT)) == outcome(engine.ask(asked, SHORT))
        pieces, whole = list(remote.ask(TEXT, SHORT)), remote.ask(TEXT, SHORT, every_piece=False)
        first = list(whole)
    assert len(pieces) > 1 and first == pieces[:1] and whole.text == "".join(pieces)
    assert remote.default_new_tokens == LONG_ANSWER


def test_what_is_wrong_with_a_question_is_its_error_here(remote, media_dir):
    for asked, kind, words in (
        (chat(b"no media"), MediaError, "media"),
        (chat(media_dir / "missing.mp4"), ValueError, "missing.mp4"),
        (chat(media_dir / "clip.mp4", "red " * 4_000_000), ValueError, "Write less"),
        ([TEXT[0]] * 10_000, ValueError, "10000 messages"),
        (chat(media_dir / "clip.mp4", "red " * 2 * LONG_ANSWER), ValueError, "tokens"),
    ):
        with pytest.raises(kind, match=words):
            list(remote.ask(asked, SHORT))
    assert remote.pending == 0


def test_places_are_bounded_and_free_at_once_when_an_answer_is_given_up(remote):
    answers = [remote.ask(TEXT, GenerationSettings(LONG_ANSWER)) for _ in range(MAX_PENDING)]
    next(answers[0])
    with pytest.raises(TooManyRequests, match=f"bound is {MAX_PENDING}"):
        remote.ask(TEXT)
    for answer in answers:
        answer.cancel()
    assert remote.pending == 0
    assert "".join(remote.ask(TEXT, SHORT))
    wait_until(lambda: remote.state.pending == 0)  # there, too
    assert remote.state.completion_tokens < MAX_PENDING * LONG_ANSWER


def test_it_is_served_over_http_and_counted(remote):
    with serving(remote, max_tokens=50, model_name="remote") as address:
        status, answer, _ = post(address, {"messages": TEXT, "max_tokens": 5})
        assert status == 200 and answer["usage"]["completion_tokens"] == 5
        assert post(address, {"messages": TEXT, "max_tokens": 5, "temperature": 1.0, "seed": 1})[0] == 200
        before = remote.state.completion_tokens
        wait_until(lambda: remote.state.pending == 0 and remote.state.completion_tokens >= before)
        assert metrics(address)["favor_completion_tokens_total"] >= 10
        os.kill(remote._process.pid, signal.SIGSTOP)
        try:
            assert healthy_within(address) < 0.5
        finally:
            os.kill(remote._process.pid, signal.SIGCONT)
    assert not remote.state.alive  # the application closes its engine


@pytest.fixture
def another(talkative_dir, monkeypatch) -> Iterator[RemoteEngine]:
    monkeypatch.setenv("A_SECRET", "a-secret-value")
    with started(talkative_dir, secrets=("A_SECRET",)) as engine:
        yield engine


def test_when_its_process_is_silent_or_dies_everybody_is_told(another, monkeypatch):
    process = another._process.pid
    assert b"a-secret-value" not in Path(f"/proc/{process}/environ").read_bytes()
    monkeypatch.setattr("favor.serving.engine_state.STANDS_STILL", 0.6)
    monkeypatch.setattr("favor.serving.remote_engine.STANDS_STILL", 0.6)
    running = another.ask(TEXT, GenerationSettings(LONG_ANSWER))
    next(running)
    assert another.state.standing_still == []
    os.kill(process, signal.SIGSTOP)
    wait_until(lambda: another.state.standing_still == ["engine"])
    os.kill(process, signal.SIGKILL)
    with pytest.raises(EngineStopped):
        list(running)
    assert not another.state.alive
    with pytest.raises(EngineStopped):
        another.ask(TEXT)


def test_a_model_that_is_none_is_said_in_the_programs_words(tmp_path):
    with pytest.raises(ValueError, match="config.json"):
        started(tmp_path)


def test_questions_arrive_as_they_were_sent():
    ours, theirs = socket.socketpair()
    here, there = Channel(ours), Channel(theirs)
    large = os.urandom(1 << 22)
    blocks = [
        {"type": "video", "bytes": large},
        {"type": "image", "path": Path("/a/b.png")},
        {"type": "audio", "bytes": b""},
        {"type": "image", "bytes": b"second"},
        {"type": "text", "text": 'é "\ud800'},
    ]
    settings = GenerationSettings(3, True, 0.5, 0.9, -(1 << 63), ("a", "b"))
    sent = Asked(7, [{"role": "user", "content": blocks}, *TEXT], settings, False, "127.1.2.3", True)
    received = []

    def receive() -> None:
        while (message := there.receive()) is not None:
            received.append(message)

    reader = threading.Thread(target=receive)
    reader.start()
    here.send({"kind": "cancel", "number": 1})
    here.send(*sent.packed())
    here.send({"kind": "cancel", "number": 2})
    here.close()
    reader.join(30)
    assert [message["kind"] for message, _ in received] == ["cancel", "ask", "cancel"]
    assert Asked.unpacked(*received[1]) == sent
    there.close()


def test_who_sends_does_not_wait_for_who_does_not_read():
    ours, theirs = socket.socketpair()
    here = Channel(ours)
    begun = time.monotonic()
    for number in range(10_000):
        here.send({"kind": "piece", "number": number, "text": "x" * 100})
    assert time.monotonic() - begun < 5.0
    theirs.close()
    here.close()


def test_what_is_no_fault_of_a_question_is_logged_without_its_words(caplog):
    secret = "".join(map(chr, range(97, 117)))  # not in a line of code, which the log shows
    try:
        raise RuntimeError(secret)
    except RuntimeError as error:
        assert _error(error) == {"kind": "failed", "message": ""}
    assert "RuntimeError" in caplog.text and secret not in caplog.text
