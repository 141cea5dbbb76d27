# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Large bodies take turns and a share of the server's time, and keep nobody waiting who sends little."""

import asyncio
import json
import os
import time
from types import SimpleNamespace

import pytest

from favor.serving import Answer, GenerationSettings
from favor.serving.body_turns import FREE_SECONDS, LARGE_BODY, BodyTurns
from favor.serving.chat_request import MAX_KEYS, ChatRequest, parse_chat_request
from favor.serving.decoding_workers import DecodingWorkers
from favor.serving.http_server import ChatEndpoint, ServerSettings
from favor.serving.priorities import DECODING
from favor.serving.request_errors import RequestError

from .test_http_server import TEXT

WORK = 2 * FREE_SECONDS
SHARE = 0.05  # so small that a rest is not mistaken for a busy machine
REST = WORK * (1 / SHARE - 1)


@pytest.fixture(autouse=True)
def small_share(monkeypatch):
    monkeypatch.setattr("favor.serving.body_turns.SHARE", SHARE)
    monkeypatch.setattr("favor.serving.body_turns.MOST_FREE_SECONDS", FREE_SECONDS)


def busy(seconds: float = WORK) -> str:
    """Uses a processor for so long."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return "done"


def run(work, others: bool = True):
    """What `work`, given turns, makes of them."""
    turns = BodyTurns(lambda: others)

    async def all_of_it():
        async with asyncio.timeout(30):
            return await work(turns)

    try:
        return asyncio.run(all_of_it())
    finally:
        turns.close()


async def heavy(turns: BodyTurns, client: str, pieces: int) -> float:
    """Seconds that a client who sends much waits for so many pieces."""
    started = time.monotonic()
    for _ in range(pieces):
        async with turns.piece(client):
            busy()
    return time.monotonic() - started


def test_pieces_of_large_bodies_get_their_share_of_the_time():
    async def several(turns):
        started = time.monotonic()
        await asyncio.gather(*(heavy(turns, client, 3) for client in "ab"))
        return time.monotonic() - started

    assert run(several) >= 3 * REST  # one piece of each is free, and after the last nobody waits
    assert run(several, others=False) < 3 * REST


def test_who_has_sent_little_does_not_wait_for_those_who_rest():
    async def beside(turns):
        greedy = [asyncio.create_task(heavy(turns, "greedy", 50)), asyncio.create_task(heavy(turns, "greedy", 50))]
        await asyncio.sleep(3 * WORK)
        started = time.monotonic()
        async with turns.piece("modest"):
            pass
        passed = time.monotonic() - started, await turns.read("modest", lambda: "read")
        for task in greedy:
            task.cancel()
        await asyncio.gather(*greedy, return_exceptions=True)
        return passed

    seconds, read = run(beside)
    assert read == "read"
    assert seconds < REST


def test_who_has_had_less_than_an_equal_part_does_not_wait(monkeypatch):
    monkeypatch.setattr("favor.serving.body_turns.MOST_FREE_SECONDS", 0.2)  # a longer one is told better
    turns = BodyTurns(lambda: True)
    waits = []
    for clients in (1, 10, 100, 1000):
        for number in range(clients):
            turns._spent.add(f"{number} of {clients}", 0.1)
        turns._spent.add("some", 0.04 - turns._spent.of("some"))
        turns._spent.add("more", 0.19 - turns._spent.of("more"))
        waits.append([turns._waits(client) for client in ("none", "some", "more")])
    turns.close()
    assert waits == [[False, False, False], [False, False, True], [False, True, True], [False, True, True]]


def test_who_is_not_known_waits_only_beside_others():
    waits = {}
    for others in (True, False):
        turns = BodyTurns(lambda others=others: others, lambda client: client == "answered")
        waits[others] = [turns._waits(client) for client in ("answered", "new")]
        turns.close()
    assert waits == {True: [False, True], False: [False, False]}


def test_turns_go_to_who_had_least_and_pass_over_who_has_gone():
    async def in_order(turns):
        order = []
        for client, seconds in (("much", 3 * WORK), ("little", WORK), ("gone", WORK)):
            async with turns.piece(client):
                busy(seconds)

        async def one(client):
            async with turns.piece(client):
                order.append(client)

        await turns._turn("somebody")
        tasks = [asyncio.create_task(one(client)) for client in ("much", "gone", "little")]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.sleep(0)
        turns._pass_on()
        await asyncio.gather(*tasks, return_exceptions=True)
        await one("much")  # the turn was given back
        return order

    assert run(in_order) == ["little", "much", "much"]


def test_reading_hands_on_what_comes_of_it_and_rests():
    async def read(turns):
        with pytest.raises(ZeroDivisionError):
            await turns.read("client", lambda: 1 // 0)
        assert await turns.read("client", busy) == "done"
        started = time.monotonic()
        await turns.read("client", busy)  # now it waits in the other lane, which rests after it
        asked = time.monotonic()
        assert await turns.read("other", busy) == "done"
        other = time.monotonic() - asked
        assert await turns.read("client", lambda: "again") == "again"
        return other, time.monotonic() - started

    other, again = run(read)
    assert other < REST <= again


def test_a_mapping_of_many_keys_is_refused_at_once():
    many = {f"k{number}": 1 for number in range(20_000)}
    for body in (
        {"messages": TEXT, **many},
        {"messages": [{**TEXT[0], **many}]},
        {"messages": TEXT, "metadata": many},
    ):
        content = json.dumps(body).encode()
        assert len(content) > LARGE_BODY
        started = time.thread_time()
        with pytest.raises(RequestError, match=f"the bound is {MAX_KEYS}"):
            parse_chat_request(content)
        assert time.thread_time() - started < 0.1


def test_decoders_share_the_servers_session_and_come_after_it():
    """Linux shares the processors among sessions first: a priority means nothing beyond one's own."""
    with DecodingWorkers(1) as workers:
        workers._make_spare()  # the program has loaded
        program, process = workers._program.pid, workers._spares[0].pid
        assert os.getsid(program) == os.getsid(process) == os.getsid(0)
        assert os.getpgid(program) != os.getpgid(0)
        least = os.getpriority(os.PRIO_PROCESS, 0) + DECODING
        assert os.getpriority(os.PRIO_PROCESS, process) == min(19, least)


@pytest.mark.parametrize("every_piece, events", [(False, ["a", None]), (True, ["a", "b", "c", None])])
def test_only_who_reads_every_piece_is_told_of_each(every_piece, events):
    told: list = []
    answer = Answer(told.append, every_piece=every_piece)
    for piece in "abc":
        answer.add(piece)
    answer.finish("stop")
    assert told == events
    assert answer.text == "abc"


@pytest.mark.parametrize("stream", [False, True])
def test_only_a_stream_reads_every_piece(stream):
    asked_for: list = []

    def ask(chat, settings, own_sound, sink, client, every_piece):
        asked_for.append(every_piece)

    async def ask_once() -> None:
        chats = ChatEndpoint(SimpleNamespace(ask=ask), ServerSettings("model"))  # type: ignore[arg-type]
        chats._ask(
            ChatRequest.model_validate({"messages": TEXT, "stream": stream}), GenerationSettings(), [], "client"
        )
        chats.turns.close()

    asyncio.run(ask_once())
    assert asked_for == [stream]
