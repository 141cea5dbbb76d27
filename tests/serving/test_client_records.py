# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Who is mostly refused, or leaves, is heard later while others wait; nobody is shut out."""

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest

from favor.serving import ChatEngine
from favor.serving.answer_exchange import ClientGone
from favor.serving.client_records import FIRST_DELAY, FREE, LONGEST_DELAY, ClientRecords
from favor.serving.http_connections import GONE
from favor.serving.http_server import ChatEndpoint, ServerSettings
from favor.serving.request_errors import RequestError

from .conftest import serving, wait_until
from .test_http_server import KEY, TEXT, metrics, post, send

REFUSED = {"messages": []}


def records(**statuses: list[int]) -> ClientRecords:
    made = ClientRecords()
    for client, ended in statuses.items():
        for status in ended:
            made.count(client, status)
    return made


@pytest.mark.parametrize(
    "statuses, longest",
    [
        ([], 0.0),
        ([200] * 100, 0.0),
        ([400] * FREE, 0.0),
        ([400, 499] * 20 + [200] * 40, 0.0),  # several clients of one address: where most are answered, nobody waits
        ([401] * 100 + [429] * 100, 0.0),  # nothing was done for them
        ([500] * 100 + [503] * 100 + [504] * 100, 0.0),  # the server's own fault
    ],
)
def test_who_is_answered_does_not_wait(statuses, longest):
    assert records(client=statuses).delay("client") <= longest


@pytest.mark.parametrize("status", [400, 404, 413, 415, 499])
def test_who_is_refused_or_leaves_waits_the_longer_the_oftener(status):
    delays = [records(client=[status] * count).delay("client") for count in (FREE + 1, FREE + 3, FREE + 100)]
    assert 0 < delays[0] < delays[1] < delays[2] == LONGEST_DELAY
    assert records(client=[status] * 100).delay("another") == 0.0


def test_each_request_without_an_answer_doubles_the_delay():
    delays = [records(client=[400] * (FREE + beyond)).delay("client") for beyond in range(1, 5)]
    assert delays == pytest.approx([FIRST_DELAY * (2**beyond - 1) for beyond in range(1, 5)], rel=0.02)


@pytest.mark.parametrize(
    "statuses, answered",
    [([], False), ([200], True), ([400], False), ([200, 499, 499], False), ([400] * 10 + [200] * 20, True)],
)
def test_who_is_answered(statuses, answered):
    made = records(client=statuses)
    assert made.is_answered("client") == answered
    assert not made.is_answered("another")


def later(max_pending: int, gone_after: float | None = None) -> tuple[int, float]:
    """Requests that are heard while one client waits to be, and for how long that waited; two of others are open."""

    async def wait() -> tuple[int, float]:
        chats = ChatEndpoint(SimpleNamespace(), ServerSettings("model", max_pending=max_pending))  # type: ignore[arg-type]
        chats._records = records(refused=[400] * 100)
        gone = asyncio.Event()
        request = SimpleNamespace(state=SimpleNamespace(**{GONE: gone}))
        chats.open_requests.update(refused=1, one=1, another=1)
        started = time.monotonic()
        waiting = asyncio.create_task(chats._hear_later(request, "refused"))  # type: ignore[arg-type]
        await asyncio.sleep(0.01)
        heard = chats._heard()
        if gone_after is not None:
            asyncio.get_running_loop().call_later(gone_after, gone.set)
        try:
            await waiting
            return heard, time.monotonic() - started
        finally:
            assert chats._heard() == 3
            chats.turns.close()

    return asyncio.run(wait())


def test_who_is_heard_later_takes_nobodys_place(monkeypatch):
    monkeypatch.setattr("favor.serving.client_records.LONGEST_DELAY", 0.2)
    heard, seconds = later(max_pending=3)
    assert heard == 2 and seconds > 0.19
    with pytest.raises(RequestError) as refused:  # meanwhile others have come
        later(max_pending=2)
    assert refused.value.status == 429


def test_who_goes_away_before_being_heard_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("favor.serving.client_records.LONGEST_DELAY", 60.0)
    started = time.monotonic()
    with pytest.raises(ClientGone):
        later(max_pending=3, gone_after=0.05)
    assert time.monotonic() - started < 30


def test_it_is_forgotten(monkeypatch):
    monkeypatch.setattr("favor.serving.lanes.HALF_LIFE", 0.01)
    made = records(client=[400] * 100)
    time.sleep(0.2)
    assert made.delay("client") == 0.0


def test_a_closed_connection_ends_the_delay(talkative_pipe, monkeypatch):
    monkeypatch.setattr("favor.serving.client_records.LONGEST_DELAY", 60.0)
    monkeypatch.setattr("favor.serving.client_records.FREE", -100)  # everybody is delayed who was never answered
    with ChatEngine(talkative_pipe) as engine, serving(engine, api_key=KEY, max_tokens=3000) as address:
        other = {"x-forwarded-for": "10.0.0.1"}
        asking = threading.Thread(target=lambda: post(address, {"messages": TEXT, "max_tokens": 3000}, other))
        asking.start()
        wait_until(lambda: engine.generating == 1)
        send(address, {"messages": TEXT}).close()
        wait_until(lambda: metrics(address).get('favor_requests_total{status="499"}') == 1)
        engine.close()
        asking.join()


def test_refusals_are_delayed_only_beside_others_and_answers_still_come(talkative_pipe, monkeypatch):
    """Clients are told apart as a proxy tells them apart."""
    longest = 1.5
    monkeypatch.setattr("favor.serving.client_records.LONGEST_DELAY", longest)
    with (
        ChatEngine(talkative_pipe) as engine,
        serving(engine, api_key=KEY, max_tokens=3000, timeout=120.0) as address,
    ):

        def seconds_of(client: str, body: dict, status: int) -> float:
            started = time.monotonic()
            assert post(address, body, {"x-forwarded-for": client})[0] == status
            return time.monotonic() - started

        quick = [seconds_of("10.0.0.1", REFUSED, 400) for _ in range(FREE + 12)]
        assert sum(quick) < longest * 12  # nobody else was there
        ended = threading.Event()

        def ask_on() -> None:
            while not ended.is_set():
                post(address, {"messages": TEXT, "max_tokens": 1500})

        # Two of them: while one gets its answer, the other waits.
        others = [threading.Thread(target=ask_on) for _ in range(2)]
        for other in others:
            other.start()
        while not engine.pending:
            time.sleep(0.01)
        assert seconds_of("10.0.0.1", REFUSED, 400) > 0.9 * longest
        assert seconds_of("10.0.0.1", {"messages": TEXT, "max_tokens": 1}, 200) > 0.5 * longest
        ended.set()
        for other in others:
            other.join()
