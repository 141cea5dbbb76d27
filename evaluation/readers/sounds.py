# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Sound sources and matching of sound and picture: VGGSS, SAVEBench's files of both, and pairs built from lists."""

import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from ..sample import EvalSample
from .annotation import Ids, MediaFinder, Record, clean, media_kind, read_records, stem, take, user
from .speech import take_pair

VIDEO_QUESTION = "Is the audio compatible with the video?"
IMAGE_QUESTION = "Is the audio describing the image?"
_CLASS_SENTENCES = (
    re.compile(r"The source of the audio in this picture can be identified as (.+)\."),
    re.compile(r"The source of this sound in this scene is (.+)\."),
    re.compile(r"From this picture, it can be found that the given sound is produced by (.+)\."),
    re.compile(r"In this image, the given audio might originates from (.+)\."),
)


def sound_sources(prompt: str) -> Callable[[Path, Path | None], list[EvalSample]]:
    """Reads vggss.json (records of "file" and "class"), or SAVEBench's testdata_formatted.json.

    SAVEBench's reference is one of four sentences around the class; extra["class"] is the class alone in either case.
    """

    def read(path: Path, media_root: Path | None) -> list[EvalSample]:
        finder, ids = MediaFinder(path, media_root), Ids()
        samples = []
        for number, record in enumerate(read_records(path)):
            if "file" in record:
                name = stem(take(record, "file", str, path, number))
                media = {"video": finder.video(f"{name}.mp4")}
                reference = class_name = clean(take(record, "class", str, path, number))
            else:
                video, audio = take_pair(record, path, number)
                name = stem(video)
                media = {"video": finder.video(video), "audio": finder.audio(audio)}
                reference = clean(take(record, "answer", str, path, number))
                class_name = class_of_sentence(reference)
            samples.append(EvalSample(ids.make(name), [user(prompt)], media, [reference], extra={"class": class_name}))
        return samples

    return read


def class_of_sentence(sentence: str) -> str:
    """The VGGSS class in one of SAVEBench's four sentences."""
    for pattern in _CLASS_SENTENCES:
        if match := pattern.fullmatch(sentence):
            return match[1]
    raise ValueError(f"{sentence!r} is none of SAVEBench's four sentences, so that its class is unknown; correct it.")


def matching(path: Path, media_root: Path | None) -> list[EvalSample]:
    """Reads SAVEBench's audiovisualmatching_combined.json, or what `build_matching` wrote in its form.

    extra["note"] marks the one published record whose video and sound are of the same clip and whose answer is "No".
    "text", which tells what is heard, stays in extra["heard"].
    """
    finder, ids = MediaFinder(path, media_root), Ids()
    samples = []
    for number, record in enumerate(read_records(path)):
        picture, audio = take_pair(record, path, number)
        answer = take(record, "answer", str, path, number)
        if answer not in ("Yes", "No"):
            raise ValueError(f"{path}, record {number}: the answer is {answer!r}; it must be 'Yes' or 'No'.")
        still = media_kind(picture) == "image"
        extra = {
            "source": "spokencoco" if still else "vggss",
            "heard": clean(take(record, "text", str, path, number)) if record.get("text") else "",
        }
        if not still and stem(picture) == stem(audio) and answer == "No":
            extra["note"] = "video and sound are of the same clip, yet the published answer is No"
        media = {"image": finder.image(picture)} if still else {"video": finder.video(picture)}
        samples.append(
            EvalSample(
                ids.make(f"{stem(picture)}+{stem(audio)}"),
                [user(clean(take(record, "question", str, path, number)))],
                {**media, "audio": finder.audio(audio)},
                [answer],
                extra=extra,
            )
        )
    return samples


def build_matching(spoken_coco: Path, vggss: Path, out: Path, count: int = 500, seed: int = 0) -> list[Record]:
    """Draws matching questions from the lists of SpokenCOCO and VGGSS and writes them in SAVEBench's form.

    Of each list `count` pictures are drawn; half of them keep their sound, the others get the sound of another picture
    of the list, of another class in VGGSS. The same lists, count and seed give the same file.

    Args:
        spoken_coco: SpokenCOCO_val.json: {"data": [{"image", "captions": [{"text", "wav"}]}]}.
        vggss: vggss.json: [{"file", "class"}].
        out: the annotation file to write; media are named as in the lists.
        count: questions a list.
        seed: of the choice.

    Raises:
        `ValueError` if a list is shorter than `count`, or has no other class to draw from.
    """
    images = []
    for number, record in enumerate(read_records(spoken_coco, "data")):
        for caption in take(record, "captions", list, spoken_coco, number)[:1]:
            wav, text = (take(caption, key, str, spoken_coco, number) for key in ("wav", "text"))
            image = take(record, "image", str, spoken_coco, number)
            images.append((image, wav, clean(text), image))
    videos = []
    for number, record in enumerate(read_records(vggss)):
        name, kind = stem(take(record, "file", str, vggss, number)), take(record, "class", str, vggss, number)
        videos.append((f"{name}.mp4", f"{name}.wav", clean(kind), clean(kind)))
    records = _draw_pairs(videos, VIDEO_QUESTION, count, seed, vggss)
    records += _draw_pairs(images, IMAGE_QUESTION, count, seed, spoken_coco)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    return records


def _draw_pairs(
    items: Sequence[tuple[str, str, str, str]], question: str, count: int, seed: int, path: Path
) -> list[Record]:
    """Questions about `count` of the items (picture, sound, text, class), of which half do not match."""
    if not 2 <= count <= len(items):
        raise ValueError(f"{path} lists {len(items)} clips, and {count} are to be drawn; ask for 2 to {len(items)}.")
    rng = random.Random(seed)
    records: list[Record] = []
    for index, (picture, sound, text, kind) in enumerate(rng.sample(items, count)):
        mismatched = index < count // 2
        if mismatched:
            others = [item for item in items if item[3] != kind]
            if not others:
                raise ValueError(
                    f"{path} has no other class than {kind!r}; no sound that does not match can be drawn."
                )
            _, sound, text, _ = rng.choice(others)
        answer = "No" if mismatched else "Yes"
        records.append({"image": [picture, sound], "question": question, "answer": answer, "text": text})
    rng.shuffle(records)
    return records
