# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The cache stays within its bytes, forgets what was used longest ago, and computes nothing twice."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from favor.serving.byte_cache import ByteCache


@dataclass
class Value:
    nbytes: int


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 40)), max_size=60))
def test_it_holds_what_was_used_last_within_its_bytes(calls):
    cache, expected = ByteCache(100), OrderedDict()
    sizes: dict[int, int] = {}
    for key, size in calls:
        size = sizes.setdefault(key, size)
        hits = cache.hits
        assert cache.get(key, lambda size=size: Value(size)).nbytes == size
        assert (cache.hits > hits) == (key in expected)
        expected[key] = size
        expected.move_to_end(key)
        while sum(expected.values()) > 100:
            expected.popitem(last=False)
        assert cache.bytes == sum(expected.values())
        assert len(cache) == len(expected)


def test_a_value_larger_than_all_is_returned_and_pushes_nothing_out():
    cache = ByteCache(10)
    cache.get("small", lambda: Value(8))
    assert cache.get("large", lambda: Value(11)).nbytes == 11
    assert cache.bytes == 8
    cache.clear()
    assert (cache.bytes, len(cache)) == (0, 0)


def test_threads_that_want_the_same_wait_for_one():
    cache, begun, go_on = ByteCache(10), threading.Event(), threading.Event()
    computed, got = [], []

    def compute():
        computed.append(1)
        begun.set()
        go_on.wait(10)
        return Value(1)

    threads = [threading.Thread(target=lambda: got.append(cache.get("key", compute))) for _ in range(8)]
    for thread in threads:
        thread.start()
    begun.wait(10)
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(computed) == 1
    assert len(got) == 8
    assert (cache.hits, cache.misses) == (7, 1)


def test_a_failure_reaches_the_caller_and_is_not_kept():
    cache = ByteCache(10)
    with pytest.raises(ZeroDivisionError):
        cache.get("key", lambda: 1 // 0)
    assert cache.get("key", lambda: Value(1)).nbytes == 1
    with pytest.raises(ValueError, match="0 bytes or more; got -1"):
        ByteCache(-1)
