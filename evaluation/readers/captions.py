# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Captions: AudioCaps, Flickr30k (Karpathy's split and SAVEBench), COCO's format (FAVDBench) and VALOR-32k."""

from collections.abc import Callable
from pathlib import Path

from ..sample import EvalSample
from .annotation import Ids, MediaFinder, clean, read_json, read_records, read_table, stem, take, user, with_type

Reader = Callable[[Path, Path | None], list[EvalSample]]


def audiocaps(prompt: str) -> Reader:
    """Reads AudioCaps' csv, one row per caption; the captions of a clip (five in the test set) become one sample.

    The sound is sought under the names in use: YOUTUBEID_START, YOUTUBEID, YYOUTUBEID and the caption's number.
    """

    def read(path: Path, media_root: Path | None) -> list[EvalSample]:
        finder = MediaFinder(path, media_root)
        clips: dict[str, list[dict[str, str]]] = {}
        for row in read_table(path, ("audiocap_id", "youtube_id", "start_time", "caption")):
            clips.setdefault(f"{row['youtube_id']}_{row['start_time']}", []).append(row)
        samples = []
        for clip, rows in clips.items():
            video = rows[0]["youtube_id"]
            names = [clip, video, f"Y{video}", *(row["audiocap_id"] for row in rows)]
            audio = finder.audio(*(f"{name}.wav" for name in names))
            references = [clean(row["caption"]) for row in rows]
            samples.append(EvalSample(clip, [user(prompt)], {"audio": audio}, references))
        return samples

    return read


def flickr30k(prompt: str) -> Reader:
    """Reads the test part of Karpathy's dataset_flickr30k.json, or SAVEBench's flickr30k_captions.json.

    SAVEBench's prompt is passed over. Its captions are tokenised ("McDonald 's"), without the final full stop.
    """

    def read(path: Path, media_root: Path | None) -> list[EvalSample]:
        finder, ids = MediaFinder(path, media_root), Ids()
        content = read_json(path)
        captions: list[tuple[str, list[str]]] = []
        if isinstance(content, dict):
            for number, record in enumerate(read_records(path, "images")):
                if record.get("split") == "test":
                    sentences = take(record, "sentences", list, path, number)
                    texts = [take(sentence, "raw", str, path, number) for sentence in sentences]
                    captions.append((take(record, "filename", str, path, number), texts))
        else:
            for number, record in enumerate(read_records(path)):
                texts = take(record, "answer", list, path, number)
                captions.append((take(record, "image", str, path, number), texts))
        return [
            EvalSample(
                ids.make(stem(image)), [user(prompt)], {"image": finder.image(image)}, [clean(text) for text in texts]
            )
            for image, texts in captions
        ]

    return read


def video_captions(prompt: str) -> Reader:
    """Reads captions of videos in COCO's format ("images", "annotations": FAVDBench) or as a list (VALOR-32k).

    A list has one caption a record under "caption", "desc" or "description"; records of the same video become one
    sample.
    """

    def read(path: Path, media_root: Path | None) -> list[EvalSample]:
        finder = MediaFinder(path, media_root)
        captions: dict[str, list[str]] = {}
        for number, record in enumerate(read_records(path, "annotations")):
            video = str(take(record, ("video_id", "image_id", "video", "id"), (str, int), path, number))
            texts = take(record, ("caption", "desc", "description"), (str, list), path, number)
            captions.setdefault(video, []).extend([texts] if isinstance(texts, str) else texts)
        return [
            EvalSample(
                stem(video),
                [user(prompt)],
                {"video": finder.video(with_type(video, ".mp4"))},
                [clean(text) for text in texts],
            )
            for video, texts in captions.items()
        ]

    return read
