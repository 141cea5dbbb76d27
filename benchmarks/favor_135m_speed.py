# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Speed of favor-135m beside its bare parts, on one thread: `python -m benchmarks.favor_135m_speed DATA ...`.

    python -m benchmarks.favor_135m_speed data/real --model favor-135m --whisper models/whisper-base \\
        --language-model models/smollm2-135m --json runs/favor-135m/speed.json

- *First token*: a file is read and prepared (decoding, log-mel, resizing, tokens) and answered with one token. Beside
  it the same reading, and the bare passes: transformers' WhisperEncoder on the same chunks, its vision tower on the
  same pictures, the language model's `generate` of one token for as many tokens of text. The towers are the model's
  own modules, whose classes are transformers'; the language model is loaded by itself. The last column compares
  FAVOR's reading and answering with the passes alone.
- *Decoding*: the time from the first to the last of `--tokens` greedy tokens, beside the bare language model's after
  a text as long as FAVOR's prompt.
- *A minute of speech*: test utterances joined to one file, written down by FAVOR in one answer of as many tokens as
  the true words take, beside Whisper's own decoder of the whole model.

All run in turn (A B A B ...), and ratios are pair by pair, of CPU seconds of the process. For a language model with an
adapter merge it first (`favor export ADAPTER OUT --merge`).
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, BatchFeature, PreTrainedModel, StoppingCriteria

from favor.evaluation.answerer import chat_of
from favor.evaluation.baselines import WhisperAnswerer
from favor.evaluation.sample import EvalSample
from favor.modeling_favor import VideoTextToTextPipeline
from favor.processing import load_media
from favor.worlds.video_file import write_sound

from .favor_135m_sets import SETS
from .favor_135m_systems import load_fast_pipeline
from .model_measures import Spread, Timing, markdown, time_in_turn

SAMPLING_RATE = 16000
MINUTE = 60.0
FILES = {  # what is asked about; the file of median size is taken
    "a clip with sound": "test/video_qa",
    "a still and a spoken question": "test/isqa",
    "a spoken sentence": "test/spoken_thing",
    "a picture": "test/name_picture",
}
SPEECH = "test/asr"
FIRST_GOAL, DECODING_GOAL = 1.05, 0.97


@dataclass(frozen=True)
class Parts:
    """What is timed."""

    pipe: VideoTextToTextPipeline
    language_model: PreTrainedModel
    whisper: WhisperAnswerer


@dataclass(frozen=True)
class Measured:
    """One comparison.

    Attributes:
        what: that is compared, and how much of it.
        own, other: FAVOR's timing and the other's.
        ratio: as the goal has it, pair by pair.
    """

    what: str
    own: Timing
    other: Timing
    ratio: Spread
    goal: str = ""

    def cells(self) -> list[str]:
        own, other = (timing.cpu.text(1000) for timing in (self.own, self.other))
        return [self.what, own, other, self.ratio.text(digits=3), self.goal]


def main(argv: Sequence[str] | None = None) -> None:
    """Measures and prints the table."""
    arguments = _parser().parse_args(argv)
    torch.set_num_threads(1)
    dtype = getattr(torch, arguments.dtype)
    language_model = AutoModelForCausalLM.from_pretrained(
        arguments.language_model, dtype=dtype, attn_implementation="eager"
    )
    whisper = WhisperAnswerer.from_pretrained(arguments.whisper)
    whisper.model.to(dtype)
    parts = Parts(load_fast_pipeline(arguments.model, arguments.dtype), language_model.eval(), whisper)
    rows: list[Measured] = []
    for title, set_name in FILES.items():
        rows += first_token(parts, title, middle_sample(arguments.data, set_name), arguments.repetitions)
    clip = middle_sample(arguments.data, FILES["a clip with sound"])
    rows.append(decoding(parts, clip, arguments.tokens, arguments.repetitions))
    with tempfile.TemporaryDirectory() as folder:
        rows += minute_of_speech(parts, arguments.data, Path(folder), arguments.seconds, arguments.repetitions)
    head = ["", "favor-135m, CPU ms", "beside it, CPU ms", "ratio", "goal"]
    print(markdown(head, [row.cells() for row in rows]))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.favor_135m_speed", description="Speed of favor-135m.")
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of SPLIT/TASK.jsonl")
    parser.add_argument("--model", required=True, metavar="PATH_OR_ID", help="the model, with its adapter merged")
    parser.add_argument("--whisper", required=True, metavar="PATH_OR_ID", help="the whole Whisper")
    parser.add_argument("--language-model", required=True, metavar="PATH_OR_ID", help="the bare language model")
    parser.add_argument("--repetitions", type=int, default=15, metavar="N", help="of each pair (default: 15)")
    parser.add_argument("--tokens", type=int, default=64, metavar="N", help="of the decoding (default: 64)")
    parser.add_argument("--seconds", type=float, default=MINUTE, help="of the joined speech (default: 60)")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every number")
    return parser


def middle_sample(data: Path, set_name: str) -> EvalSample:
    """Of a test set the sample whose media are of median size."""
    samples = read_set(data, set_name)
    by_size = sorted(samples, key=lambda sample: sum(Path(path).stat().st_size for path in sample.media.values()))
    return by_size[len(by_size) // 2]


def read_set(data: Path, set_name: str) -> list[EvalSample]:
    """The samples of a test set, by id."""
    test_set = SETS[set_name]
    samples = test_set.eval_task.read_samples(test_set.annotation(data), None)
    return sorted(samples, key=lambda sample: sample.id)


def first_token(parts: Parts, title: str, sample: EvalSample, repetitions: int) -> list[Measured]:
    """File to first token, beside the bare parts with the same reading, and beside their passes alone."""
    chats, own_audio = [chat_of(sample)], sample.use_own_audio

    def read() -> BatchFeature:
        return parts.pipe.preprocess(chats, load_audio_from_video=own_audio)

    inputs = read()
    passes = bare_passes(parts, inputs)

    def favor() -> torch.Tensor:
        return answer_tokens(parts.pipe, read(), 1)

    def bare() -> None:
        read()
        passes()

    timings = time_in_turn(
        {"favor": favor, "bare": bare, "passes": passes, "reading": read}, repetitions, compared="favor"
    )
    prompt = inputs["input_ids"].shape[1]
    described = f"{title} ({described_media(inputs)}{prompt} tokens)"
    return [
        Measured(
            f"first token, {described}: bare parts with the same reading",
            timings["favor"],
            timings["bare"],
            _ratio(timings["bare"]),
            f"at most {FIRST_GOAL}",
        ),
        Measured(
            f"the same: passes alone; the reading is {timings['reading'].cpu.text(1000)} ms of FAVOR's",
            timings["favor"],
            timings["passes"],
            _ratio(timings["passes"]),
        ),
    ]


def described_media(inputs: BatchFeature) -> str:
    """How many pictures and chunks go through the towers."""
    pixels, sound = inputs.get("pixel_values_videos"), inputs.get("input_features")
    pictures = 0 if pixels is None else int(inputs["video_frame_indices"].max()) + 1
    shown = [f"{pictures} pictures"] if pictures else []
    chunks = 0 if sound is None else int(inputs["input_features_mask"].any(-1).sum())
    return ", ".join([*shown, *([f"{chunks} chunks of sound"] if chunks else []), ""])


@torch.inference_mode()
def answer_tokens(pipe: VideoTextToTextPipeline, inputs: BatchFeature, count: int, **generation) -> torch.Tensor:
    """Exactly so many greedy tokens, the way the pipeline generates."""
    options = {"max_new_tokens": count, "min_new_tokens": count, "do_sample": False, **generation}
    return pipe.forward(dict(inputs), generate_kwargs=options)


def bare_passes(parts: Parts, inputs: BatchFeature) -> Callable[[], None]:
    """The encoders on these very pictures and chunks, and the language model on as many tokens of text."""
    model, language_model = parts.pipe.model.model, parts.language_model
    pictures = sound = None
    if "pixel_values_videos" in inputs:
        pictures = inputs["pixel_values_videos"][0, : int(inputs["video_frame_indices"].max()) + 1]
    if "input_features" in inputs:
        sound = inputs["input_features"][inputs["input_features_mask"].any(-1)]  # (chunks, mel, mel frames)
    ids = text_of_length(language_model, inputs["input_ids"].shape[1])

    @torch.inference_mode()
    def run() -> None:
        if pictures is not None:
            model.vision_tower(pictures)
        if sound is not None:
            model.audio_tower(sound)
        bare_tokens(language_model, ids, 1)

    return run


def text_of_length(language_model: PreTrainedModel, length: int) -> torch.Tensor:
    """(1, length) drawn token ids."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(100, language_model.config.vocab_size, (1, length), generator=generator)


@torch.inference_mode()
def bare_tokens(language_model: PreTrainedModel, ids: torch.Tensor, count: int, **generation) -> torch.Tensor:
    """Exactly so many greedy tokens of the bare language model."""
    options = {"max_new_tokens": count, "min_new_tokens": count, "do_sample": False, **generation}
    return language_model.generate(ids, attention_mask=torch.ones_like(ids), **options)


class TokenClock(StoppingCriteria):
    """Notes the process's CPU time at each token."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs) -> torch.Tensor:
        self.times.append(time.process_time())
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

    @property
    def seconds_a_token(self) -> float:
        return (self.times[-1] - self.times[0]) / (len(self.times) - 1)


def decoding(parts: Parts, sample: EvalSample, tokens: int, repetitions: int) -> Measured:
    """Tokens a second after the first one, beside the bare language model's after as long a text."""
    inputs = parts.pipe.preprocess([chat_of(sample)], load_audio_from_video=sample.use_own_audio)
    ids = text_of_length(parts.language_model, inputs["input_ids"].shape[1])
    own, other = [], []
    for turn in range(repetitions + 1):
        clocks = TokenClock(), TokenClock()
        answer_tokens(parts.pipe, inputs, tokens, stopping_criteria=[clocks[0]])
        bare_tokens(parts.language_model, ids, tokens, stopping_criteria=[clocks[1]])
        if turn:  # the first warms up
            own.append(clocks[0].seconds_a_token)
            other.append(clocks[1].seconds_a_token)
    timings = [Timing(Spread.of(seconds), Spread.of(seconds)) for seconds in (own, other)]
    ratio = Spread.of(bare / favor for favor, bare in zip(own, other, strict=True))
    rates = " and ".join(f"{1 / timing.cpu.median:.1f}" for timing in timings)
    what = f"a token of {tokens} after {ids.shape[1]} ({rates} tokens a second); ratio of tokens a second"
    return Measured(what, timings[0], timings[1], ratio, f"at least {DECODING_GOAL}")


def minute_of_speech(parts: Parts, data: Path, folder: Path, seconds: float, repetitions: int) -> list[Measured]:
    """One file of joined test utterances, by FAVOR and by Whisper's own decoder."""
    sound, words, count = joined_speech(read_set(data, SPEECH), seconds)
    file = folder / "minute.wav"
    write_sound(file, sound, SAMPLING_RATE)
    question = SETS[SPEECH].eval_task.read_samples(SETS[SPEECH].annotation(data), None)[0].messages
    sample = EvalSample("minute", question, {"audio": str(file)}, [words])
    tokens = len(parts.pipe.processor.tokenizer(words)["input_ids"])

    def favor() -> torch.Tensor:
        inputs = parts.pipe.preprocess([chat_of(sample)], load_audio_from_video=True)
        return answer_tokens(parts.pipe, inputs, tokens)

    def whisper() -> object:
        return parts.whisper.answer([sample], {"do_sample": False, "max_new_tokens": 2 * tokens})

    timings = time_in_turn({"favor": favor, "whisper": whisper}, repetitions, compared="favor")
    what = f"{len(sound) / SAMPLING_RATE:.1f} s of speech, {count} utterances in one file, {tokens} tokens; Whisper"
    return [Measured(what, timings["favor"], timings["whisper"], _ratio(timings["whisper"]))]


def joined_speech(samples: Sequence[EvalSample], seconds: float) -> tuple[np.ndarray, str, int]:
    """Whole utterances one after another, at most so long; their words, and how many they are.

    Raises `ValueError` if not even one fits.
    """
    pieces, words, length = [], [], 0
    for sample in samples:
        sound = load_media(sample.media["audio"], with_frames=False, sampling_rate=SAMPLING_RATE).audio
        if sound is None or length + len(sound) > seconds * SAMPLING_RATE:
            break
        pieces.append(sound)
        words.append(sample.references[0])
        length += len(sound)
    if not pieces:
        raise ValueError(f"No utterance fits into {seconds} s: give more --seconds.")
    return np.concatenate(pieces), " ".join(words), len(pieces)


def _ratio(timing: Timing) -> Spread:
    if timing.ratio is None:
        raise ValueError("This timing was compared with nothing.")
    return timing.ratio


if __name__ == "__main__":
    main()
