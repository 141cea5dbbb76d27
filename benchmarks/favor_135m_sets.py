# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The test sets that favor-135m is measured on: what is asked, how it is scored, and what is measured beside it."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from favor.evaluation.answers import parse_short
from favor.evaluation.controls import Controls
from favor.evaluation.readers import own_data
from favor.evaluation.sample import EvalSample
from favor.evaluation.task import AnswerRules, EvalTask, PublishedData
from favor.worlds.real.sound_folders import ESC10_THINGS

FULL, MUTED, BLIND = Controls(), Controls(audio="off"), Controls(video="off")
FAVOR, WHISPER, NEIGHBOUR, TEXT_ONLY = "favor-135m", "Whisper-base's decoder", "nearest neighbour", "text only"
ALL = "all"  # the part of a set that is the whole
LAST_TURN = 4  # of a dialogue: it asks for nothing that was named before
COUNTS = ("one", "two", "three", "four")  # the world shows one to four of a thing
NAME_TOKENS, SENTENCE_TOKENS, CAPTION_TOKENS = 12, 48, 32

NAMES = AnswerRules(parse_short, ("whole_name", "name_word"), NAME_TOKENS)
SPOKEN_NAMES = AnswerRules(parse_short, ("whole_name", "name_word", "name_said"), NAME_TOKENS)
WORDS = AnswerRules(parse_short, ("exact_transcript", "wer"), NAME_TOKENS)
SENTENCES = AnswerRules(parse_short, ("wer", "exact_transcript"), SENTENCE_TOKENS)
MATCHING = AnswerRules(parse_short, ("yes_no", "unparsable"), 4)
OPTIONS = AnswerRules(parse_short, ("choice_accuracy", "unparsable"), NAME_TOKENS)
QUESTIONS = AnswerRules(parse_short, ("qa_accuracy", "qa_contained"), NAME_TOKENS)
SPOKEN_QUESTIONS = AnswerRules(parse_short, ("aveb_isqa", "qa_accuracy"), NAME_TOKENS)
CAPTIONS = AnswerRules(parse_short, ("cider_d",), CAPTION_TOKENS)
SOURCES = AnswerRules(parse_short, ("class_match", "whole_name"), NAME_TOKENS)

Chosen = Callable[[EvalSample], bool]


def family(*names: str) -> Chosen:
    """The samples of these families."""
    return lambda sample: sample.fact("family") in names


@dataclass(frozen=True)
class TestSet:
    """One task of a split of the rendered world.

    Attributes:
        split, task: of the files.
        rules: how answers are made and scored.
        parts: name -> which samples are scored by themselves, too.
        controls: runs of the model with a stream withheld.
        baselines: which other systems answer.
        complete: as of `EvalTask`.
        only: which samples are asked at all; None: all.
    """

    split: str
    task: str
    rules: AnswerRules
    parts: dict[str, Chosen] = field(default_factory=dict)
    controls: tuple[Controls, ...] = ()
    baselines: tuple[str, ...] = ()
    complete: Callable[[EvalSample], EvalSample] | None = None
    only: Chosen | None = None

    @property
    def name(self) -> str:
        return f"{self.split}/{self.task}"

    def annotation(self, data: Path) -> Path:
        """The file of its questions: `SPLIT/TASK.jsonl`, as `favor synth` writes it, or in a folder for each task."""
        folder, file = data / self.split, f"{self.task}.jsonl"
        return folder / file if (folder / file).is_file() else folder / self.task / file

    @property
    def eval_task(self) -> EvalTask:
        """For the harness, as questions of one's own."""
        data = PublishedData(self.name, None, own_data.read_samples)
        return EvalTask(self.task, self.name, data, self.rules, complete=self.complete)


BOTH = (MUTED, BLIND)
ISQA_PARTS = {kind: family(f"isqa_{kind}") for kind in ("beside", "count", "is_there")}
VQA_PARTS = {kind: family(f"vqa_{kind}") for kind in ("beside", "count", "is_there")}
AVM_PARTS = {"what is said": family("avm_image"), "what is heard": family("avm_video")}
VIDEO_PARTS = {
    "order": family("video_qa_order_seen", "video_qa_order_heard"),
    "while": family("video_qa_shown_while", "video_qa_heard_while"),
    "order seen": family("video_qa_order_seen"),
    "order heard": family("video_qa_order_heard"),
    "shown while": family("video_qa_shown_while"),
    "heard while": family("video_qa_heard_while"),
}


def _hearing(split: str, task: str, rules: AnswerRules, *baselines: str) -> TestSet:
    controls = (MUTED,) if task == "spoken_thing" else ()
    return TestSet(split, task, rules, controls=controls, baselines=baselines)


def _isqa(split: str) -> TestSet:
    return TestSet(split, "isqa", SPOKEN_QUESTIONS, ISQA_PARTS, BOTH, complete=own_data.with_source)


def _avm(split: str, parts: dict[str, Chosen], *baselines: str) -> TestSet:
    return TestSet(split, "avm", MATCHING, parts, BOTH, baselines, own_data.with_yes_or_no)


TEST_SETS = (
    _hearing("test", "spoken_thing", SPOKEN_NAMES, WHISPER),
    _hearing("people", "asr", WORDS, WHISPER),
    TestSet("test", "name_picture", NAMES, baselines=(NEIGHBOUR,)),
    TestSet("photos", "name_picture", NAMES, baselines=(NEIGHBOUR,)),
    TestSet(
        "test",
        "name_sound",
        NAMES,
        {"ESC-10's ten": lambda sample: sample.references[0] in ESC10_THINGS},
        baselines=(NEIGHBOUR,),
    ),
    _avm("test", AVM_PARTS, TEXT_ONLY),
    _isqa("test"),
    TestSet("test", "video_qa", OPTIONS, VIDEO_PARTS, BOTH, (TEXT_ONLY,), own_data.with_options),
    _hearing("test", "asr_free", SENTENCES, WHISPER),
    _hearing("people", "asr_free", SENTENCES, WHISPER),
    _hearing("test", "asr", SENTENCES, WHISPER),
    _avm("people", {}),
    _avm("photos", {}),
    _isqa("photos"),
    _hearing("people", "spoken_thing", SPOKEN_NAMES),
    _hearing("joe", "spoken_thing", SPOKEN_NAMES),
    _hearing("joe", "asr", SENTENCES),
    _hearing("joe", "asr_free", SENTENCES, WHISPER),
    _avm("joe", AVM_PARTS),
    _isqa("joe"),
    TestSet("test", "vqa", QUESTIONS, VQA_PARTS, baselines=(TEXT_ONLY,)),
    TestSet("photos", "vqa", QUESTIONS, VQA_PARTS, baselines=(TEXT_ONLY,)),
    TestSet("test", "ocr", QUESTIONS),
    TestSet("test", "avsr", SENTENCES),
    TestSet("test", "avssd", SOURCES, complete=own_data.with_class),
    TestSet("test", "avsd", QUESTIONS, only=lambda sample: sample.extra.get("turn") == LAST_TURN),
    TestSet("test", "ac", CAPTIONS),
    TestSet("test", "ic", CAPTIONS),
)

SETS = {test_set.name: test_set for test_set in TEST_SETS}


def chance(samples: Sequence[EvalSample]) -> float | None:
    """What a blind guess among the possible answers scores on average; None where the answers are open.

    Of a question with options one of them, of yes or no a half, of a number from one to four a quarter; an open answer
    that stands among such questions counts as never guessed.
    """
    guesses = [_guess(sample) for sample in samples]
    return math.fsum(guesses) / len(guesses) if any(guesses) else None


def _guess(sample: EvalSample) -> float:
    said = [reference.casefold() for reference in sample.references]
    if sample.choices:
        return 1 / len(sample.choices)
    if all(text in ("yes", "no") for text in said):
        return 1 / 2
    counted = (sample.fact("family") or "").endswith("_count") and all(text in COUNTS for text in said)
    return 1 / len(COUNTS) if counted else 0.0


@cache
def items_key(annotation: Path) -> str:
    """A fingerprint of the questions and of all their media files."""
    digest = hashlib.sha256(annotation.read_bytes())
    samples = own_data.read_samples(annotation, None, prompt="?")
    for file in sorted({path for sample in samples for path in sample.media.values()}):
        digest.update(Path(file).name.encode())
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()[:16]
