# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Transcripts: LibriSpeech's tree, How2 as a transcript file, and SAVEBench's how2_test.json."""

from collections.abc import Callable
from pathlib import Path

from ..sample import EvalSample
from .annotation import Ids, MediaFinder, Record, clean, read_lines, read_records, stem, take, user

Reader = Callable[[Path, Path | None], list[EvalSample]]


def librispeech(prompt: str) -> Reader:
    """Reads a folder of LibriSpeech, or one of its *.trans.txt files, whose sounds lie beside the transcripts."""

    def read(path: Path, media_root: Path | None) -> list[EvalSample]:
        transcripts = sorted(path.rglob("*.trans.txt")) if path.is_dir() else [path]
        if not transcripts:
            raise ValueError(f"{path} holds no *.trans.txt; pass the folder test-clean of LibriSpeech.")
        samples = []
        for transcript in transcripts:
            finder = MediaFinder(transcript, media_root)
            folder = f"LibriSpeech/{path.name}/{transcript.parent.relative_to(path)}" if path.is_dir() else "."
            for utterance, text in read_lines(transcript):
                audio = finder.find(f"{folder}/{utterance}.flac", suffixes=(".flac", ".wav", ".mp3", ".opus"))
                samples.append(EvalSample(utterance, [user(prompt)], {"audio": audio}, [text]))
        return samples

    return read


def how2(prompt: str) -> Reader:
    """Reads SAVEBench's how2_test.json (its own prompt is passed over), or lines of segment id and transcript."""

    def read(path: Path, media_root: Path | None) -> list[EvalSample]:
        finder, ids = MediaFinder(path, media_root), Ids()
        if path.suffix != ".json":
            return [
                EvalSample(ids.make(segment), [user(prompt)], {"video": finder.video(f"{segment}.mp4")}, [text])
                for segment, text in read_lines(path)
            ]
        samples = []
        for number, record in enumerate(read_records(path)):
            video, audio = take_pair(record, path, number)
            media = {"video": finder.video(video), "audio": finder.audio(audio)}
            text = clean(take(record, "answer", str, path, number))
            samples.append(EvalSample(ids.make(stem(video)), [user(prompt)], media, [text]))
        return samples

    return read


def take_pair(record: Record, path: Path, number: int) -> tuple[str, str]:
    """The picture and the sound of a SAVEBench record, which lists them under "image" or "image_name"."""
    names = take(record, ("image", "image_name"), list, path, number)
    if len(names) != 2 or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{path}, record {number}, names {len(names)} media; a picture and its sound are needed.")
    return names[0], names[1]
