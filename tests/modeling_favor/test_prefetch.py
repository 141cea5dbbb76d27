# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Pieces read ahead are the same pieces in order; errors arrive, the thread ends, and no more than asked is read."""

import threading

import pytest
import torch

from favor.modeling_favor import FavorMediaStream
from favor.modeling_favor.prefetch_favor import prefetched

from .test_media_stream import piece
from .tiny_models import tiny_model

CPU = torch.device("cpu")


def numbered(count: int, read: list[int] | None = None):
    for number in range(count):
        if read is not None:
            read.append(number)
        yield {"number": torch.tensor(number)}


def prefetch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "favor-prefetch"]


@pytest.mark.parametrize("ahead", [1, 2, 50])
def test_the_same_pieces_in_order(ahead):
    found = [int(piece["number"]) for piece in prefetched(numbered(20), CPU, ahead)]
    assert found == list(range(20))
    assert not prefetch_threads()


def test_an_error_comes_after_the_pieces_before_it():
    def failing():
        yield from numbered(3)
        raise ValueError("damaged at 3")

    found = []
    with pytest.raises(ValueError, match="damaged at 3"):
        found.extend(int(piece["number"]) for piece in prefetched(failing(), CPU))
    assert not prefetch_threads()


def test_whoever_stops_reading_ends_the_thread_which_was_not_far_ahead():
    read: list[int] = []
    pieces = prefetched(numbered(1000, read), CPU, ahead=2)
    assert int(next(pieces)["number"]) == 0
    pieces.close()
    assert not prefetch_threads()
    assert len(read) <= 4  # one asked for, two waiting, one in the thread's hands


def test_a_stream_that_watches_is_as_one_that_is_fed():
    model = tiny_model().model
    fed, watching = FavorMediaStream(model), FavorMediaStream(model)
    pieces = [piece(start, start + 3, sound=True) for start in range(0, 12, 3)]
    for one in pieces:
        fed.add(**one)
    watching.watch(iter(pieces))
    torch.testing.assert_close(watching.encoded().pooler_output, fed.encoded().pooler_output, rtol=0, atol=0)
