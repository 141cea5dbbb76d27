# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The questions of Video-ChatGPT's quantitative evaluation: generic, temporal, and pairs for consistency."""

from pathlib import Path

from ..sample import EvalSample
from .annotation import Ids, MediaFinder, clean, read_records, stem, take, user, with_type


def questions(path: Path, media_root: Path | None) -> list[EvalSample]:
    """Reads generic_qa.json and temporal_qa.json: records of "video_name", "Q" and "A"."""
    finder, ids = MediaFinder(path, media_root), Ids()
    samples = []
    for number, record in enumerate(read_records(path)):
        name = take(record, "video_name", str, path, number)
        question = clean(take(record, ("Q", "question"), str, path, number))
        answer = clean(take(record, ("A", "answer"), str, path, number))
        media = {"video": finder.video(with_type(name, ".mp4"))}
        samples.append(
            EvalSample(ids.make(stem(name)), [user(question)], media, [answer], extra={"question": question})
        )
    return samples


def question_pairs(path: Path, media_root: Path | None) -> list[EvalSample]:
    """Reads consistency_qa.json: records of "video_name", "Q1", "Q2" and "A".

    Each record gives two samples; extra["pair"] of the first is the id of the second, and the pair is judged once,
    under the first's id.
    """
    finder, ids = MediaFinder(path, media_root), Ids()
    samples = []
    for number, record in enumerate(read_records(path)):
        name = take(record, "video_name", str, path, number)
        first, second = (
            clean(take(record, keys, str, path, number)) for keys in (("Q1", "question_1"), ("Q2", "question_2"))
        )
        answer = clean(take(record, ("A", "answer"), str, path, number))
        media = {"video": finder.video(with_type(name, ".mp4"))}
        base = ids.make(stem(name))
        extra = {"question": first, "question_2": second, "pair": f"{base}-second"}
        samples.append(EvalSample(f"{base}-first", [user(first)], media, [answer], extra=extra))
        samples.append(
            EvalSample(f"{base}-second", [user(second)], media, [answer], extra={"pair_of": f"{base}-first"})
        )
    return samples
