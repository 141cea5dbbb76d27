# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Samples of any origin for any task: `TASK.jsonl`, one JSON object per line with `EvalSample`'s fields.

    {"id": "1", "question": "Which sound is heard?", "references": ["bell"], "media": {"video": "media/1.mp4"}}

Required are "id", "references", "media" and, for a task without a prompt of its own, "question" (the text as the model
is shown it) or "messages" (a dialogue up to the question). "choices", "use_own_audio" and "extra" may be left out.
"""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from favor.processing.media_names_favor import MEDIA_KINDS

from ..json_fields import Json
from ..sample import EvalSample
from .annotation import MediaFinder, Record, clean, read_text, user

REQUIRED = ("id", "references", "media")
OPTIONAL = ("question", "messages", "choices", "use_own_audio", "extra")
ROLES = ("system", "user", "assistant")
# What lines of training data, and others' files, call otherwise.
AS_IN_MANIFESTS = {kind: f'"media": {{"{kind}": "..."}}' for kind in MEDIA_KINDS} | dict.fromkeys(
    ("answer", "answers", "reference"), '"references": ["..."]'
)
TEXTVQA_PEOPLE = 10  # who answered each question of TextVQA

Kind = TypeVar("Kind")
Completion = Callable[[EvalSample], EvalSample]


def read_samples(
    path: Path, media_root: Path | None, prompt: str | None = None, complete: Completion | None = None
) -> list[EvalSample]:
    """Reads a file of samples. White space in references and options is made single blanks, all other text is kept.

    Args:
        media_root: folder that media are looked up under before the file's own (see `MediaFinder`).
        prompt: what a sample without a question is asked.
        complete: fills in what the task's metrics need, or raises `ValueError` saying what is missing.

    Raises:
        `ValueError` naming file and line: no JSON object, unknown, repeated or missing keys, values of the wrong type.
    """
    finder = MediaFinder(path, media_root)
    samples = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            sample = _sample(json.loads(line, object_pairs_hook=_object), finder, prompt)
            samples.append(sample if complete is None else complete(sample))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
    if not samples:
        raise ValueError(f"{path} holds no sample; write one JSON object per line.")
    ids = {sample.id for sample in samples}
    for sample in samples:
        for key in {"pair", "pair_of"} & set(sample.extra):
            if not isinstance(sample.extra[key], str) or sample.extra[key] not in ids:
                raise ValueError(f"{path}: extra[{key!r}] of sample {sample.id!r} must be the id of another sample.")
    return samples


def write_samples(path: Path, samples: Iterable[EvalSample]) -> Path:
    """Writes samples so that `read_samples` reads them again; media below the file's folder are named relative to it.

    Any task's samples can be frozen so, for example the part of a data set that a number was measured on.
    """
    folder = path.parent.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(_record(sample, folder)) + "\n" for sample in samples), encoding="utf-8")
    return path


def with_ten_answers(sample: EvalSample) -> EvalSample:
    """One reference as the answer of all ten people whom TextVQA's rules count. Raises `ValueError` for two."""
    if len(sample.references) == 1:
        return replace(sample, references=sample.references * TEXTVQA_PEOPLE)
    if len(sample.references) < 3:
        raise ValueError(
            f"two references {sample.references} cannot be counted: an answer is right that three of ten people gave. "
            "Give one reference, or what each of the people said."
        )
    return sample


def with_source(sample: EvalSample) -> EvalSample:
    """Checks extra["source"] of a spoken question, by which it is scored."""
    source = sample.extra.get("source")
    if source not in ("textvqa", "gqa"):
        raise ValueError(f"extra['source'] is {source!r}; it must be 'textvqa' or 'gqa', whose rule then scores it.")
    return with_ten_answers(sample) if source == "textvqa" else sample


def with_class(sample: EvalSample) -> EvalSample:
    """The first reference as the class of the sound, unless extra["class"] names it."""
    class_name = sample.extra.get("class", sample.references[0])
    if not isinstance(class_name, str) or not class_name.strip():
        raise ValueError(f"extra['class'] is {class_name!r}; it must be the name of the sound's source.")
    return replace(sample, extra={**sample.extra, "class": class_name})


def with_options(sample: EvalSample) -> EvalSample:
    """Checks that the options are there and shown, and that the reference is one of them, in upper or lower case."""
    if not sample.choices:
        raise ValueError("the task needs 'choices', the options in the order in which the question names them.")
    question = clean(sample.question)
    hidden = [option for option in sample.choices if option.casefold() not in question.casefold()]
    if hidden:
        raise ValueError(
            f"the question {question!r} does not name the option {hidden[0]!r}; write for example "
            f"'... Choose one from: {'; '.join(sample.choices)}'."
        )
    return with_known_options(sample)


def with_known_options(sample: EvalSample) -> EvalSample:
    """The references in the spelling of the options, if there are some. Raises `ValueError` for one that is none."""
    if not sample.choices:
        return sample
    spelling = {option.casefold(): option for option in reversed(sample.choices)}
    strange = [reference for reference in sample.references if reference.casefold() not in spelling]
    if strange:
        raise ValueError(f"the reference {strange[0]!r} is none of the options {sample.choices}.")
    exact = [text if text in sample.choices else spelling[text.casefold()] for text in sample.references]
    return replace(sample, references=exact)


def with_yes_or_no(sample: EvalSample) -> EvalSample:
    """The one reference as "Yes" or "No", in whatever case it is written. Raises `ValueError` for any other."""
    said = [reference.strip(" .!").capitalize() for reference in sample.references]
    if said not in (["Yes"], ["No"]):
        raise ValueError(f"references are {sample.references}; the task needs ['Yes'] or ['No'].")
    return replace(sample, references=said)


def with_partner(sample: EvalSample) -> EvalSample:
    """Checks that the sample is one of a pair that is judged together."""
    if not isinstance(sample.extra.get("pair", sample.extra.get("pair_of")), str):
        raise ValueError("extra needs 'pair' (id of the second question) or 'pair_of' (id of the first).")
    if "pair" in sample.extra and not isinstance(sample.extra.get("question_2"), str):
        raise ValueError("extra of the first of a pair needs 'question_2', the second question.")
    return sample


def _object(pairs: list[tuple[str, Json]]) -> Record:
    record = dict(pairs)
    if len(record) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} stands there twice; keep one.")
    return record


def _sample(record: object, finder: MediaFinder, prompt: str | None) -> EvalSample:
    if not isinstance(record, dict):
        raise ValueError(f"{record!r} is no JSON object; write one sample per line.")
    unknown = [key for key in record if key not in (*REQUIRED, *OPTIONAL)]
    if unknown:
        known = ", ".join((*REQUIRED, *OPTIONAL))
        name = unknown[0]
        meant = f", as {AS_IN_MANIFESTS[name]}" if name in AS_IN_MANIFESTS else ", and put all else into 'extra'"
        raise ValueError(f"the key {name!r} is unknown; choose from {known}{meant}.")
    missing = [key for key in REQUIRED if key not in record]
    if missing:
        raise ValueError(f"{missing[0]!r} is missing; a sample needs {', '.join(REQUIRED)}.")
    return EvalSample(
        id=_text(record["id"], "id"),
        messages=_messages(record, prompt),
        media=_media(record["media"], finder),
        references=[clean(text) for text in _texts(record["references"], "references")],
        choices=None
        if record.get("choices") is None
        else [clean(text) for text in _texts(record["choices"], "choices")],
        extra=_of_type(record.get("extra", {}), dict, "extra", "an object"),
        use_own_audio=_of_type(record.get("use_own_audio", True), bool, "use_own_audio", "true or false"),
    )


def _messages(record: Record, prompt: str | None) -> list[dict[str, str]]:
    if "question" in record and "messages" in record:
        raise ValueError("'question' and 'messages' are both there; give one of them.")
    if "messages" not in record:
        if "question" not in record and prompt is None:
            raise ValueError("'question' (or 'messages') is missing, and the task has no prompt of its own.")
        return [user(_text(record.get("question", prompt), "question"))]
    messages = _of_type(record["messages"], list, "messages", "a list of turns")
    for turn in messages:
        if not isinstance(turn, dict) or sorted(turn) != ["content", "role"] or turn["role"] not in ROLES:
            raise ValueError(
                f"'messages' has the turn {turn!r}; write {{'role': {' | '.join(ROLES)}, 'content': text}}."
            )
        _text(turn["content"], "content")
    if not messages or messages[-1]["role"] != "user":
        raise ValueError("'messages' must end with the turn of the user that is to be answered.")
    return messages


def _media(value: object, finder: MediaFinder) -> dict[str, str]:
    media = _of_type(value, dict, "media", "an object")
    unknown = [kind for kind in media if kind not in MEDIA_KINDS]
    if unknown or not media:
        raise ValueError(f"'media' names {', '.join(unknown) or 'nothing'}; it needs one or more of {MEDIA_KINDS}.")
    find = {"video": finder.video, "image": finder.image, "audio": finder.audio}
    return {kind: find[kind](_text(path, f"media.{kind}")) for kind, path in media.items()}


def _of_type(value: object, kind: type[Kind], name: str, described: str) -> Kind:
    if not isinstance(value, kind):
        raise ValueError(f"{name!r} is {value!r}; it must be {described}.")
    return value


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name!r} is {value!r}; it must be a text that is not empty.")
    return value


def _texts(value: object, name: str) -> list[str]:
    texts = _of_type(value, list, name, "a list of texts")
    if not texts:
        raise ValueError(f"{name!r} is empty; give at least one.")
    return [_text(text, name) for text in texts]


def _record(sample: EvalSample, folder: Path) -> Record:
    media = {kind: _relative(path, folder) for kind, path in sample.media.items()}
    asked: Record = {"messages": sample.messages}
    if len(sample.messages) == 1 and sample.messages[0]["role"] == "user":
        asked = {"question": sample.question}
    record = {"id": sample.id, **asked, "references": sample.references, "media": media}
    if sample.choices is not None:
        record["choices"] = sample.choices
    if not sample.use_own_audio:
        record["use_own_audio"] = False
    return {**record, "extra": sample.extra} if sample.extra else record


def _relative(path: str, folder: Path) -> str:
    return os.path.relpath(path, folder) if Path(path).is_relative_to(folder) else path
