# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Who is mostly refused, or leaves, is heard later while others wait; nobody is shut out."""

import threading
import time

import pytest

from favor.serving import ChatEngine
from favor.serving.client_records import FREE, LONGEST_DELAY, ClientRecords

from .conftest import serving
from .test_http_server import KEY, TEXT, post

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


def test_it_is_forgotten(monkeypatch):
    monkeypatch.setattr("favor.serving.lanes.HALF_LIFE", 0.01)
    made = records(client=[400] * 100)
    time.sleep(0.2)
    assert made.delay("client") == 0.0


def test_refusals_are_delayed_only_beside_others_and_answers_still_come(talkative_pipe):
    """Clients are told apart as a proxy tells them apart."""
    with (
        ChatEngine(talkative_pipe) as engine,
        serving(engine, api_key=KEY, max_tokens=3000, timeout=120.0) as address,
    ):

        def seconds_of(client: str, body: dict, status: int) -> float:
            started = time.monotonic()
            assert post(address, body, {"x-forwarded-for": client})[0] == status
            return time.monotonic() - started

        quick = [seconds_of("10.0.0.1", REFUSED, 400) for _ in range(FREE + 12)]
        assert sum(quick) < LONGEST_DELAY * 12  # nobody else was there
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
        assert seconds_of("10.0.0.1", REFUSED, 400) > 0.9 * LONGEST_DELAY
        assert seconds_of("10.0.0.1", {"messages": TEXT, "max_tokens": 1}, 200) > 0.5 * LONGEST_DELAY
        ended.set()
        for other in others:
            other.join()
