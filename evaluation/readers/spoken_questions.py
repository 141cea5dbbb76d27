# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Spoken questions about images (ISQA): TextVQA's and GQA's questions, said by any text-to-speech command."""

import hashlib
import json
import random
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from ..sample import EvalSample
from .annotation import Ids, MediaFinder, Record, clean, read_records, stem, take, user
from .questions import gqa, textvqa
from .speech import take_pair

PROMPT = "Answer the question in the audio about the image."
_COMMAND_SECONDS = 120  # a command that takes longer for one question hangs

Speaker = Callable[[str, Path], None]


def spoken_questions(path: Path, media_root: Path | None) -> list[EvalSample]:
    """Reads what `build_isqa` wrote. The spoken text and the voice are kept in extra, not shown to the model."""
    finder, ids = MediaFinder(path, media_root), Ids()
    samples = []
    for number, record in enumerate(read_records(path)):
        image, audio = take_pair(record, path, number)
        source = take(record, "dataset", str, path, number)
        if source not in ("textvqa", "gqa"):
            raise ValueError(f"{path}, record {number}: dataset is {source!r}; it must be 'textvqa' or 'gqa'.")
        samples.append(
            EvalSample(
                ids.make(stem(audio)),
                [user(PROMPT)],
                {"image": finder.image(image), "audio": finder.audio(audio)},
                [clean(answer) for answer in take(record, "answer", list, path, number)],
                extra={"source": source, "spoken": clean(take(record, "text", str, path, number)), **_voice(record)},
            )
        )
    return samples


def build_isqa(
    textvqa_file: Path,
    gqa_file: Path,
    out_dir: Path,
    voices: Mapping[str, Speaker],
    textvqa_images: Path | None = None,
    gqa_images: Path | None = None,
    count: int = 1000,
    seed: int = 0,
    progress: bool = False,
) -> Path:
    """Draws `count` questions of each file, has them spoken, and writes `isqa.json` and `isqa_audio/*.wav`.

    The same files, count, seed and voices give the same questions in the same voices. A run that was cut short goes
    on where it stopped: a question whose sound in the same voice is there is not spoken again.

    Args:
        textvqa_file: TextVQA's questions, in one of the formats that `questions.textvqa` reads.
        gqa_file: GQA's questions, in one of the formats that `questions.gqa` reads.
        out_dir: folder to write to, which is `--annotations` afterwards.
        voices: name -> (text, .wav file to write) -> None, for example `tts_command("espeak-ng -w {out} {text}")`. Of
            several, each question gets one by lot; its name stands in the file, since scores depend on it.
        textvqa_images: folder of TextVQA's images; None if they lie beside the questions.
        gqa_images: folder of GQA's images; None if they lie beside the questions.
        count: questions per file.
        seed: of the choice of questions and voices.
        progress: whether to show a progress bar.

    Returns:
        The path of `isqa.json`.

    Raises:
        `ValueError` if a file has fewer questions than `count`, or a voice writes no sound.
    """
    from tqdm import tqdm

    rng = random.Random(seed)
    records: list[Record] = []
    waiting: list[tuple[Speaker, str, Path]] = []
    (out_dir / "isqa_audio").mkdir(parents=True, exist_ok=True)
    for source, path, samples in (
        ("textvqa", textvqa_file, textvqa(textvqa_file, textvqa_images)),
        ("gqa", gqa_file, gqa(gqa_file, gqa_images)),
    ):
        if not 1 <= count <= len(samples):
            raise ValueError(
                f"{path} has {len(samples)} questions, and {count} are to be drawn; ask for 1 to that many."
            )
        for index, sample in enumerate(rng.sample(samples, count)):
            voice = rng.choice(sorted(voices))
            spoken = hashlib.sha256(json.dumps([voice, sample.question]).encode()).hexdigest()[:8]
            audio = f"isqa_audio/{source}_{index:05d}_{spoken}.wav"
            waiting.append((voices[voice], sample.question, out_dir / audio))
            records.append(
                {
                    "dataset": source,
                    "image": [sample.media["image"], audio],
                    "question": PROMPT,
                    "answer": sample.references,
                    "text": sample.question,
                    "voice": voice,
                }
            )
    for speaker, text, file in tqdm(waiting, unit="question", disable=not progress):
        _speak(speaker, text, file)
    out = out_dir / "isqa.json"
    out.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    return out


def tts_command(template: str) -> Speaker:
    """A speaker that runs a command, without a shell; {out} is the .wav file to write, {text} the words to say.

    Text stays one argument, whatever it holds. If it begins with "-", a blank is put before it, so that no program
    takes it for an option.

    Raises:
        `ValueError` if a field is missing; on use, if the program is missing or fails.
    """
    arguments = shlex.split(template)
    for name in ("{out}", "{text}"):
        if not any(name in argument for argument in arguments):
            raise ValueError(
                f"The command {template!r} has no {name}; write for example 'espeak-ng -w {{out}} {{text}}'."
            )

    def speak(text: str, out: Path) -> None:
        words = f" {text}" if text.startswith("-") else text
        fields = {"{out}": str(out), "{text}": words}
        command = [_fill(argument, fields) for argument in arguments]
        try:
            done = subprocess.run(command, capture_output=True, timeout=_COMMAND_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ValueError(f"The command {arguments[0]!r} could not speak {text!r}: {error}.") from error
        if done.returncode != 0:
            message = clean(done.stderr.decode(errors="replace"))[-300:]
            raise ValueError(f"The command {arguments[0]!r} failed with {done.returncode} on {text!r}: {message}")

    return speak


def _voice(record: Record) -> dict[str, str]:
    """The name of the voice, which files of other origin may lack."""
    voice = record.get("voice")
    return {"voice": voice} if isinstance(voice, str) else {}


def _fill(argument: str, fields: dict[str, str]) -> str:
    """The argument with its fields filled; a text that holds "{out}" keeps it."""
    before, name, after = min(
        (argument.partition(name) for name in fields if name in argument),
        key=lambda parts: len(parts[0]),
        default=(argument, "", ""),
    )
    return before + fields[name] + _fill(after, fields) if name else before


def _speak(speaker: Speaker, text: str, out: Path) -> None:
    """Speaks to `out`, which exists only when it is complete."""
    if out.exists():
        return
    waiting = out.with_name(f"part-{out.name}")
    waiting.unlink(missing_ok=True)
    speaker(text, waiting)
    if not waiting.is_file() or waiting.stat().st_size == 0:
        raise ValueError(f"Nothing was written to {waiting} for {text!r}; check that the command writes to {{out}}.")
    waiting.replace(out)
