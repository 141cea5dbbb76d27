# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Dialogues about a video: AVSD as published and SAVEBench's avsd_textformat_subset.json, one sample per turn."""

from pathlib import Path

from ..json_fields import JsonObject
from ..sample import EvalSample
from .annotation import Ids, MediaFinder, Record, clean, read_records, stem, take, user
from .speech import take_pair

UNDISCLOSED = "__UNDISCLOSED__"  # in place of the answers that the DSTC test sets keep back


def avsd(path: Path, media_root: Path | None) -> list[EvalSample]:
    """Reads {"dialogs": [{"image_id", "dialog": [{"question", "answer"}]}]}, or SAVEBench's lists of pairs.

    Every turn is a sample, after the turns before it with their reference answers. Turns without a published answer
    are left out.
    """
    finder, ids = MediaFinder(path, media_root), Ids()
    samples = []
    for number, record in enumerate(read_records(path, "dialogs")):
        if "image_id" in record:
            name = take(record, "image_id", str, path, number)
            media = {"video": finder.video(f"{name}.mp4", f"Charades_v1_480/{name}.mp4")}
        else:
            name, sound = take_pair(record, path, number)
            media = {"video": finder.video(name), "audio": finder.audio(sound)}
        dialogue_id = ids.make(stem(name))
        history: list[dict[str, str]] = []
        for index, (question, answer) in enumerate(_turns(record, path, number), start=1):
            if answer == UNDISCLOSED:
                break
            messages = [*history, user(question)]
            extra: JsonObject = {"dialogue": dialogue_id, "turn": index, "question": question}
            samples.append(EvalSample(f"{dialogue_id}-{index:02d}", messages, media, [answer], extra=extra))
            history = [*messages, {"role": "assistant", "content": answer}]
    return samples


def _turns(record: Record, path: Path, number: int) -> list[tuple[str, str]]:
    """Question and answer of each turn."""
    turns = []
    for turn in take(record, ("dialog", "conversation"), list, path, number):
        if isinstance(turn, dict):
            question, answer = (take(turn, key, str, path, number) for key in ("question", "answer"))
        elif isinstance(turn, list) and len(turn) == 2 and all(isinstance(text, str) and text for text in turn):
            question, answer = turn
        else:
            raise ValueError(f"{path}, record {number}, has the turn {turn!r}; a question and an answer are needed.")
        turns.append((clean(question), clean(answer)))
    return turns
