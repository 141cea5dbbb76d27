# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Pieces of an answer, joined, are the whole text: without outer blanks, cut before the first stop string."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from favor.serving.answer_text import AnswerText

TEXTS = st.text(st.sampled_from("abcr \n<é漢🙂"), max_size=30)


@pytest.fixture(scope="module")
def tokenizer(tiny_parts):
    return tiny_parts[1].tokenizer


def shown(tokenizer, ids, stop=()) -> tuple[str, AnswerText]:
    text = AnswerText(tokenizer, stop)
    pieces = []
    for token in ids:
        pieces.append(text.add(token))
        if text.stopped:
            break
    return "".join([*pieces, text.finish()]), text


@given(text=TEXTS)
def test_joined_pieces_are_the_decoded_text(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    whole, answer = shown(tokenizer, ids)
    assert whole == answer.text == tokenizer.decode(ids, skip_special_tokens=True).strip()


@given(ids=st.lists(st.integers(0, 399), max_size=30))
def test_any_tokens_at_all(tokenizer, ids):
    ids = [token for token in ids if token < len(tokenizer)]
    assert shown(tokenizer, ids)[0] == tokenizer.decode(ids, skip_special_tokens=True).strip()


@given(text=TEXTS, stop=st.lists(st.text(st.sampled_from("abr "), max_size=4), max_size=3))
def test_nothing_of_a_stop_string_is_shown(tokenizer, text, stop):
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    whole, answer = shown(tokenizer, ids, stop)
    full = tokenizer.decode(ids, skip_special_tokens=True).strip()
    stop = [string for string in stop if string]
    if not any(string in full for string in stop):
        assert whole == full or answer.stopped  # a stop string of blanks is found in what `strip` removes
    assert full.startswith(whole)
    assert not any(string in whole for string in stop)
