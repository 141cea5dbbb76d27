# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Asks the engine a question of one tab, and yields the chat as it grows."""

from collections.abc import Iterator
from typing import Any

from .sessions import Clip, Session

Messages = list[dict[str, Any]]
NOTHING_TO_ASK_ABOUT = "There is no clip yet: drop a file, record one, or take an example."
MUTED_MARK = " (muted)"
WAITING = "…"


def ask(
    engine: Any, session: Session, question: str, settings: Any, with_sound: bool, remember: bool
) -> Iterator[Messages]:
    """
    Yields the chat, as `gr.Chatbot` takes it, after every piece of the answer.

    Args:
        engine: a `ChatEngine`.
        session: of the tab; its `answer` can be cancelled meanwhile.
        question: what is asked.
        settings: `GenerationSettings`.
        with_sound: whether a video is heard. A change begins a new conversation: to the model it is another clip.
        remember: whether the model is told the earlier questions and answers.

    Raises:
        ValueError: no clip, no question, or one the model cannot take.
        TooManyRequests: too many others ask.
    """
    question = question.strip()
    clip = session.clip
    if clip is None:
        raise ValueError(NOTHING_TO_ASK_ABOUT)
    if not question:
        raise ValueError("The question is empty: say what you want to know about the clip.")
    with_sound = with_sound or clip.perception.kind != "video"
    if with_sound != session.heard:
        session.turns, session.heard = [], with_sound
    answer = engine.ask(
        model_chat(clip, session.turns if remember else [], question), settings, load_audio_from_video=with_sound
    )
    session.answer = answer
    shown, turns = session.shown, session.turns
    shown.append({"role": "user", "content": question + ("" if with_sound else MUTED_MARK)})
    try:
        yield from _grown(shown, answer)
    except (ValueError, OSError) as error:
        shown.pop()
        raise ValueError(str(error).replace(str(clip.path), clip.name)) from error
    finally:
        answer.cancel()  # does nothing to one that has ended
        session.answer = None
    if answer.text:
        turns.append((question, answer.text))


def model_chat(clip: Clip, turns: list[tuple[str, str]], question: str) -> Messages:
    """The conversation as the model takes it: the clip stands before the first question."""
    questions = [*(earlier for earlier, _ in turns), question]
    chat: Messages = []
    for number, text in enumerate(questions):
        media = [{"type": clip.perception.kind, "path": str(clip.path)}] if number == 0 else []
        chat.append({"role": "user", "content": [*media, {"type": "text", "text": text}]})
        if number < len(turns):
            chat.append({"role": "assistant", "content": turns[number][1]})
    return chat


def _grown(shown: Messages, answer: Any) -> Iterator[Messages]:
    """The chat with the answer so far, and at the end with all of it, which stays in `shown`."""
    yield [*shown, {"role": "assistant", "content": WAITING}]
    for _ in answer:
        yield [*shown, {"role": "assistant", "content": answer.text}]
    shown.append({"role": "assistant", "content": answer.text + _ending(answer)})
    yield shown


def _ending(answer: Any) -> str:
    """Says so where the answer did not end by itself."""
    if answer.finish_reason == "cancelled":
        return " … (stopped)" if answer.text else "(stopped)"
    return " … (at the longest length)" if answer.finish_reason == "length" else ""
