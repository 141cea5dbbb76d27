# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Questions about pictures and videos: TextVQA, GQA, NExT-QA and SAVEBench's presentation and Ego4D questions."""

import random
from pathlib import Path

from ..json_fields import Fields, Json
from ..sample import EvalSample
from .annotation import (
    Ids,
    MediaFinder,
    Record,
    clean,
    read_json,
    read_records,
    read_table,
    stem,
    take,
    user,
    with_type,
)
from .speech import take_pair

OPTIONS_PROMPT = "Choose one from: "


def textvqa(path: Path, media_root: Path | None) -> list[EvalSample]:
    """Reads TextVQA's json ("data"), or SAVEBench's textvqa.json, in which answers may end in blanks."""
    finder, ids = MediaFinder(path, media_root), Ids()
    samples = []
    for number, record in enumerate(read_records(path, "data")):
        image = take(record, ("image", "image_id"), str, path, number)
        answers = take(record, ("answers", "answer"), list, path, number)
        samples.append(
            EvalSample(
                ids.make(stem(image)),
                [user(clean(take(record, "question", str, path, number)))],
                {"image": finder.image(with_type(image, ".jpg"))},
                [clean(answer) for answer in answers],
                extra={"source": "textvqa"},
            )
        )
    return samples


def gqa(path: Path, media_root: Path | None) -> list[EvalSample]:
    """Reads GQA's questions json (question id -> record), or SAVEBench's testdev_balanced_questions_with_images.json.

    Only the short answer is a reference; the sentence of it is kept in extra["full_answer"].
    """
    finder, ids = MediaFinder(path, media_root), Ids()
    content = read_json(path)
    records = list(content.values()) if isinstance(content, dict) else read_records(path)
    keys = list(content) if isinstance(content, dict) else [None] * len(records)
    samples = []
    for number, (key, record) in enumerate(zip(keys, records, strict=True)):
        if not isinstance(record, dict):
            raise ValueError(f"{path} does not hold GQA questions; pass testdev_balanced_questions.json.")
        image = take(record, ("image", "imageId"), str, path, number)
        full_answer = take(record, ("fullAnswer", "fullanswer"), str, path, number)
        samples.append(
            EvalSample(
                ids.make(key or stem(image)),
                [user(clean(take(record, "question", str, path, number)))],
                {"image": finder.image(with_type(image, ".jpg"))},
                [clean(take(record, "answer", str, path, number))],
                extra={"source": "gqa", "full_answer": clean(full_answer)},
            )
        )
    return samples


def nextqa(path: Path, media_root: Path | None) -> list[EvalSample]:
    """Reads NExT-QA's multiple-choice csv, or SAVEBench's nextqa_test.json.

    The csv names a video by its number; map_vid_vidorID.json, if it lies beside the csv, gives its folder in VidOR.
    """
    finder, ids = MediaFinder(path, media_root), Ids()
    if path.suffix == ".json":
        samples = []
        for number, record in enumerate(read_records(path)):
            video = take(record, "image", str, path, number)
            media = {"video": finder.video(video)}
            samples.append(_choice_sample(ids.make(stem(video)), media, record, path, number))
        return samples
    map_path = path.parent / "map_vid_vidorID.json"
    folders = Fields(read_json(map_path), map_path).texts() if map_path.is_file() else {}
    samples = []
    for number, row in enumerate(
        read_table(path, ("video", "question", "answer", "qid", "a0", "a1", "a2", "a3", "a4"))
    ):
        options = [row[f"a{index}"] for index in range(5)]
        if row["answer"] not in ("0", "1", "2", "3", "4"):
            raise ValueError(
                f"{path}, record {number}: the answer is {row['answer']!r}; it must be an index of 0 to 4, "
                "as in the multiple-choice files."
            )
        record = {**row, "answer": options[int(row["answer"])], "answer_candidates": options}
        name = folders.get(row["video"], row["video"])
        media = {"video": finder.video(f"{name}.mp4", f"{row['video']}.mp4")}
        samples.append(_choice_sample(ids.make(f"{row['video']}_{row['qid']}"), media, record, path, number))
    return samples


def audio_visual_choices(path: Path, media_root: Path | None) -> list[EvalSample]:
    """Reads SAVEBench's presentation_qa.json and ego4d_qa.json.

    In both the right option comes third in every second question. "duration" of Ego4D is the place of the clip, which
    is cut already, in the film that it was cut from.
    """
    finder, ids = MediaFinder(path, media_root), Ids()
    samples = []
    for number, record in enumerate(read_records(path)):
        video, audio = take_pair(record, path, number)
        media = {"video": finder.video(video), "audio": finder.audio(audio)}
        samples.append(_choice_sample(ids.make(stem(video)), media, record, path, number))
    return samples


def _choice_sample(sample_id: str, media: dict[str, str], record: Record, path: Path, number: int) -> EvalSample:
    """A multiple-choice question, its options in an order drawn from the sample's id."""
    question = clean(take(record, "question", str, path, number))
    answer = clean(take(record, "answer", str, path, number))
    options = [clean(option) for option in take(record, "answer_candidates", list, path, number)]
    if answer not in options:
        raise ValueError(
            f"{path}, record {number}: the answer {answer!r} is not among the options {options}; correct it."
        )
    choices = list(options)
    random.Random(sample_id).shuffle(choices)
    if question[-1] not in "?.!":
        question += "?"
    prompt = f"{question} {OPTIONS_PROMPT}{'; '.join(choices)}"
    extra: dict[str, Json] = {"source": path.stem, "published_position": options.index(answer)}
    if record.get("type"):
        extra["type"] = record["type"]
    if len(set(options)) < len(options):
        extra["note"] = "two options are the same"
    return EvalSample(sample_id, [user(prompt)], media, [answer], choices, extra)
