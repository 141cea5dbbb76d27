# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Whatever a client sends, or does not send, or does not read: it costs little, and the others are answered."""

import json
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from favor.serving import ChatEngine
from favor.serving.body_values import ValueCounter
from favor.serving.chat_request import MAX_VALUES, parse_chat_request
from favor.serving.http_server import ServerSettings
from favor.serving.media_access import MediaAccess
from favor.serving.request_errors import RequestError

from .conftest import LONG_ANSWER, QUESTION, serving, wait_until
from .test_http_server import KEY, TEXT, data_url, message, metrics, post, send

MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def server(pipe, media_dir) -> Iterator[str]:
    with (
        ChatEngine(pipe) as engine,
        serving(engine, bounds={"head_seconds": 1.0}, api_key=KEY, media_folder=media_dir) as address,
    ):
        yield address


@contextmanager
def memory_of(body: bytes, times: int) -> Iterator[None]:
    """Fails if the process's memory rises by more than so many times the body (and 16 MiB, of whatever else runs)."""

    def highest() -> int:
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10

    Path("/proc/self/clear_refs").write_text("5")  # the highest so far is the present one
    before = highest()
    yield
    assert highest() - before < times * len(body) + 16 * MEBIBYTE


def healthy_within(address: str) -> float:
    """Seconds of the slowest of some health checks."""
    slowest = 0.0
    for _ in range(10):
        started = time.monotonic()
        assert urllib.request.urlopen(f"{address}/health", timeout=60).status == 200
        slowest = max(slowest, time.monotonic() - started)
        time.sleep(0.01)
    return slowest


@pytest.mark.parametrize(
    "content",
    [
        '{"messages":[' + "1," * (2 * MEBIBYTE) + "1]}",
        '{"messages":[' + "[]," * MEBIBYTE + "1]}",
        '{"messages":[{"role":"user","content":[' + '"",' * MEBIBYTE + "1]}]}",
        "{" + ",".join(f'"{number}":1' for number in range(500_000)) + "}",
    ],
)
def test_a_body_of_many_values_costs_no_more_than_its_size(server, content):
    body = content.encode()
    answers: list = []
    with memory_of(body, 4):
        asking = threading.Thread(target=lambda: answers.append(post(server, body)))
        started = time.process_time()
        asking.start()
        slowest = healthy_within(server)
        asking.join()
    assert answers[0][0] == 400
    assert time.process_time() - started < 2.0
    assert slowest < 2.0


def test_a_large_file_costs_no_more_than_four_times_its_body(server):
    body = json.dumps({"messages": message(data_url(bytes(30 * MEBIBYTE)))}).encode()
    with memory_of(body, 4):
        status, answer, _ = post(server, body)
    assert (status, answer["error"]["code"]) == (400, "invalid_media")


def test_values_are_counted_however_the_body_is_cut():
    text = '{"a": "x,[{\\"y\\\\", "b": [1, 2, {"c": "\\\\"}], "d": "]],,"}'
    for size in (1, 2, 3, 7, 100):
        counter = ValueCounter()
        for start in range(0, len(text), size):
            counter.feed(text[start : start + size].encode())
        assert counter.values == 1 + 4 + 1 + 2


def test_commas_in_a_text_are_no_values():
    counter = ValueCounter()
    counter.feed(json.dumps({"messages": [{"role": "user", "content": ",[{" * MAX_VALUES}]}).encode())
    assert counter.values < 10


def parsed(**changes) -> None:
    parse_chat_request(json.dumps({"messages": TEXT, **changes}).encode())


@pytest.mark.parametrize(
    "changes, place",
    [
        ({"messages": TEXT * 1025}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 1025}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 600}] * 2}, "messages"),
        ({"stream": "1"}, "stream"),
        ({"temperature": "1"}, "temperature"),
        ({"max_tokens": 5.0}, "max_tokens"),
    ],
)
def test_bounds_and_types_of_a_request(changes, place):
    with pytest.raises(RequestError) as refused:
        parsed(**changes)
    assert refused.value.error["param"].startswith(place)
    parsed(temperature=1, top_p=1, frequency_penalty=0.0, stream=True)


def test_two_equal_keys_are_refused():
    with pytest.raises(RequestError, match="duplicate key"):
        parse_chat_request(b'{"messages": [{"role": "user", "content": "a"}], "seed": 1, "seed": 2}')


@pytest.mark.parametrize(
    "changes", [{"model": "m" * MEBIBYTE}, {"k" * MEBIBYTE: 1}, {"messages": message("http://" + "h" * MEBIBYTE)}]
)
def test_no_long_echo(server, changes):
    status, body, _ = post(server, {"messages": TEXT, **changes})
    assert status in (400, 404)
    assert len(json.dumps(body)) < 1500


def test_an_address_that_is_none_is_the_clients_mistake_and_not_logged(server, caplog):
    for address in ("http://[secret-name", "file://[secret-name", "http://secret]-name"):
        status, body, _ = post(server, {"messages": message(address)})
        assert (status, body["error"]["code"]) == (400, "invalid_address")
    assert "secret" not in caplog.text


def test_what_a_failure_says_is_not_logged(pipe, monkeypatch, caplog):
    def fail(**_):
        raise RuntimeError(QUESTION)

    with ChatEngine(pipe) as engine, serving(engine) as address:
        monkeypatch.setattr(engine.model, "generate", fail)
        assert post(address, {"messages": TEXT})[0] == 500
    assert "RuntimeError" in caplog.text and QUESTION not in caplog.text


def test_base64_in_slices(monkeypatch):
    monkeypatch.setattr("favor.processing.media_sources_favor.BASE64_SLICE", 8)
    access = MediaAccess()
    content = bytes(range(25))
    assert access.source(data_url(content)) == content
    for wrong in ("AAAAAAA=AAAA", "AAAA*AAA", "AAAAA", "AAAAAAAAé"):
        with pytest.raises(RequestError, match="base64"):
            access.source(f"data:x;base64,{wrong}")


@pytest.mark.parametrize("key", ["ends-in-a-blank ", "schlüssel", "two\nlines", ""])
def test_a_key_that_no_client_can_send_is_refused(key):
    with pytest.raises(ValueError, match="API key"):
        ServerSettings("random", api_key=key)


def test_one_client_cannot_take_all_places(talkative_pipe):
    settings = {"max_pending": 3, "max_per_client": 2, "max_tokens": LONG_ANSWER, "api_key": KEY}
    with ChatEngine(talkative_pipe) as engine, serving(engine, **settings) as address:
        with send(address, {"messages": TEXT}), send(address, {"messages": TEXT}):
            wait_until(lambda: metrics(address)["favor_requests_pending"] == 2)
            status, body, headers = post(address, {"messages": TEXT})
            assert (status, "of yours" in body["error"]["message"], headers["retry-after"]) == (429, True, "1")
            other = {"x-forwarded-for": "192.0.2.1"}  # the test is the proxy
            assert post(address, {"messages": TEXT, "max_tokens": 1}, other)[0] == 200
        wait_until(lambda: post(address, {"messages": TEXT, "max_tokens": 1})[0] == 200)


def test_health_tells_which_lane_stands_still(pipe, monkeypatch):
    with ChatEngine(pipe) as engine, serving(engine, api_key=KEY) as address:
        monkeypatch.setattr("favor.serving.engine_state.STANDS_STILL", -1.0)
        health = json.load(urllib.request.urlopen(f"{address}/health"))
        assert health == {"status": "degraded", "standing_still": ["prompts", "media", "answers"]}
        assert metrics(address)['favor_lane_waiting{lane="media"}'] == 0


def host_and_port(address: str) -> tuple[str, int]:
    host, port = address.removeprefix("http://").split(":")
    return host, int(port)


def test_half_a_head_is_not_waited_for(server):
    connections = [socket.create_connection(host_and_port(server), timeout=30) for _ in range(20)]
    for connection in connections:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nX-")
    # After an answer, too: the rest of a head that never comes.
    connections[0].sendall(b"A: b\r\n\r\n")
    assert connections[0].recv(1 << 16).startswith(b"HTTP/1.1 401")
    connections[0].sendall(b"GET /health HTTP/1.1\r\nX-")
    for connection in connections:
        with closing(connection):
            wait_until(lambda connection=connection: has_ended(connection))
    assert healthy_within(server) < 2.0


def has_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1 << 16) == b""
    except ConnectionResetError:
        return True


def test_one_address_has_so_many_connections(pipe):
    with ChatEngine(pipe) as engine, serving(engine, bounds={"each": 3}) as address:
        held = [socket.create_connection(host_and_port(address), timeout=30) for _ in range(3)]
        with closing(socket.create_connection(host_and_port(address), timeout=30)) as fourth:
            assert has_ended(fourth)
        for connection in held:
            connection.close()
        wait_until(lambda: healthy(address))


def healthy(address: str) -> bool:
    try:
        return urllib.request.urlopen(f"{address}/health", timeout=30).status == 200
    except OSError:
        return False


def test_a_reader_that_does_not_read_loses_its_place(talkative_pipe):
    settings = {"max_pending": 1, "max_tokens": LONG_ANSWER, "bounds": {"send_seconds": 0.5}, "send_buffer": 4096}
    with (
        ChatEngine(talkative_pipe) as engine,
        serving(engine, **settings) as address,
        closing(socket.socket()) as connection,
    ):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(host_and_port(address))
        body = json.dumps({"messages": TEXT, "stream": True}).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        wait_until(lambda: engine.generating == 1)
        wait_until(lambda: engine.pending == 0)
        assert engine.completion_tokens < LONG_ANSWER
        wait_until(lambda: post(address, {"messages": TEXT, "max_tokens": 1})[0] == 200)


def received(connection: socket.socket) -> bytes:
    found = b""
    while piece := connection.recv(1 << 16):
        found += piece
    return found


def test_when_the_server_ends_answers_come_to_their_end_or_say_that_they_do_not(talkative_pipe):
    engine = ChatEngine(talkative_pipe)
    with serving(engine, api_key=KEY, max_tokens=LONG_ANSWER, drain_seconds=1.0) as address:
        long = send(address, {"messages": TEXT, "stream": True, "max_tokens": LONG_ANSWER, "temperature": 0})
        whole = send(address, {"messages": TEXT, "max_tokens": LONG_ANSWER})
        wait_until(lambda: engine.generating == 2)
        short = send(address, {"messages": TEXT, "max_tokens": 3})
        wait_until(lambda: engine.pending == 3 or engine.generating == 3 or engine.completion_tokens > 0)
    with long, whole, short:
        assert b"HTTP/1.1 200" in (answer := received(short)) and b'"finish_reason":"length"' in answer
        events = received(long).decode()
        assert "is stopping" in events and "data: [DONE]\n\n" in events
        assert events.index("is stopping") < events.index("data: [DONE]")
        assert received(whole).startswith(b"HTTP/1.1 503")
    engine.close()
