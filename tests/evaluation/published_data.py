# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Small annotation files in the formats in which the data sets are published, with references that the tests know."""

import csv
import json
from pathlib import Path

NAMES = "amber birch cedar delta ember fjord grove heron inlet jetty kayak larch meadow north otter"
WORDS = NAMES.split()
SAVEBENCH = Path(__file__).parent / "fixtures" / "savebench"


def sentence(index: int, length: int = 7) -> str:
    """A sentence of words of its own: no two indices below 200 share more than single words in the same place."""
    return " ".join(f"{WORDS[(index * 7 + place * (index % 5 + 1)) % len(WORDS)]}{index}" for place in range(length))


def write_annotations(task: str, folder: Path, count: int) -> Path:
    """Writes `count` records for `task` and returns the annotation file (or folder)."""
    path = folder / FILES[task]
    path.parent.mkdir(parents=True, exist_ok=True)
    WRITERS[task](path, count)
    return path


def dump(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def write_librispeech(path: Path, count: int) -> None:
    for speaker in range(2):
        chapter = path / f"{speaker}" / "10"
        chapter.mkdir(parents=True)
        lines = [f"{speaker}-10-{index:04d} {sentence(index).upper()}" for index in range(speaker, count, 2)]
        (chapter / f"{speaker}-10.trans.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_table(path: Path, header: list[str], rows: list[list]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def write_audiocaps(path: Path, count: int) -> None:
    rows = [
        [index * 5 + caption, f"yt-{index}", 30, f"{sentence(index)}, again{caption}"]
        for index in range(count)
        for caption in range(5)
    ]
    write_table(path, ["audiocap_id", "youtube_id", "start_time", "caption"], rows)


def write_flickr30k(path: Path, count: int) -> None:
    images = [
        {
            "filename": f"{index}.jpg",
            "split": "test" if index < count else "train",
            "sentences": [{"raw": f"{sentence(index)} take{caption}."} for caption in range(5)],
        }
        for index in range(count + 3)
    ]
    dump(path, {"images": images, "dataset": "flickr30k"})


def write_textvqa(path: Path, count: int) -> None:
    data = [
        {"question": f"what is on sign {index}?", "image_id": f"img{index}", "question_id": index, "answers": answers}
        for index in range(count)
        for answers in [[f"word{index}"] * 8 + ["unanswerable"] * 2]
    ]
    dump(path, {"dataset_type": "val", "data": data})


def write_gqa(path: Path, count: int) -> None:
    records = {
        f"2{index:07d}": {
            "question": f"Is there a thing {index}?",
            "imageId": f"n{index}",
            "answer": f"thing{index}",
            "fullAnswer": f"It is thing{index}.",
            "isBalanced": True,
        }
        for index in range(count)
    }
    dump(path, records)


def write_nextqa(path: Path, count: int) -> None:
    columns = "video frame_count width height question answer qid type a0 a1 a2 a3 a4"
    rows = [
        [4000 + index, 900, 640, 480, f"why, then, did it {index}", index % 5, 3, "CW"]
        + [f"reason {index} option {option}" for option in range(5)]
        for index in range(count)
    ]
    write_table(path, columns.split(), rows)
    dump(path.parent / "map_vid_vidorID.json", {str(4000 + index): f"1101/{4000 + index}" for index in range(count)})


def write_how2(path: Path, count: int) -> None:
    path.write_text("".join(f"clip_{index} {sentence(index)}\n" for index in range(count)), encoding="utf-8")


def write_avsd(path: Path, count: int) -> None:
    dialogs = [
        {
            "image_id": f"V{index}",
            "summary": "none",
            "caption": "none",
            "dialog": [{"question": f"what of {turn}?", "answer": sentence(index * 10 + turn)} for turn in range(3)],
        }
        for index in range(count)
    ]
    dump(path, {"type": "val", "version": "1", "dialogs": dialogs})


def write_isqa(path: Path, count: int) -> None:
    records = [
        {
            "dataset": "gqa" if index % 2 else "textvqa",
            "image": [f"img{index}.jpg", f"isqa_audio/{index}.wav"],
            "question": "Answer the question in the audio about the image.",
            "answer": [f"thing{index}"] * (1 if index % 2 else 10),
            "text": f"what is thing {index}?",
        }
        for index in range(count)
    ]
    dump(path, records)


def write_vggss(path: Path, count: int) -> None:
    dump(
        path,
        [
            {"file": f"clip_{index:06d}", "class": f"playing {sentence(index, 2)}", "bbox": []}
            for index in range(count)
        ],
    )


def write_matching(path: Path, count: int) -> None:
    records = [
        {
            "image": [f"video{index}.mp4", f"video{index if index % 2 else index + 1}x.wav"],
            "question": "Is the audio compatible with the video?",
            "answer": "Yes" if index % 2 else "No",
            "text": "The source of this sound in this scene is a bell.",
        }
        for index in range(count)
    ]
    dump(path, records)


def write_favdbench(path: Path, count: int) -> None:
    captions = [
        {"image_id": f"favd{index}", "id": index * 2 + part, "caption": f"{sentence(index, 12)} part{part}"}
        for index in range(count)
        for part in range(2)
    ]
    dump(path, {"images": [{"id": f"favd{index}"} for index in range(count)], "annotations": captions})


def write_valor(path: Path, count: int) -> None:
    dump(path, [{"video_id": f"valor_{index}", "desc": sentence(index, 9)} for index in range(count)])


def write_video_chatgpt(path: Path, count: int) -> None:
    records = [{"Q": f"What of {index}?", "A": sentence(index), "video_name": f"v_{index}"} for index in range(count)]
    if path.name == "consistency_qa.json":
        records = [
            {"Q1": record["Q"], "Q2": "And " + record["Q"], "A": record["A"], "video_name": record["video_name"]}
            for record in records
        ]
    dump(path, records)


def write_choices(path: Path, count: int) -> None:
    records = [
        {
            "image_name": [f"talk{index}.mp4", f"talk{index}.wav"],
            "question": f"What is said in {index}?",
            "answer": f"Thing 2 of {index}.",
            "answer_candidates": [f"Thing {option} of {index}." for option in range(5)],
        }
        for index in range(count)
    ]
    dump(path, records)


FILES = {
    "asr": "test-clean",
    "ac": "AudioCaps/test.csv",
    "ic": "dataset_flickr30k.json",
    "ocr": "TextVQA_0.5.1_val.json",
    "vqa": "testdev_balanced_questions.json",
    "video_qa": "NExT-QA/test.csv",
    "avsr": "how2/dev5/text",
    "avsd": "avsd_val.json",
    "isqa": "isqa.json",
    "avssd": "vggss.json",
    "avm": "audiovisualmatching_combined.json",
    "favd": "FAVDBench/test.caption_coco_format.json",
    "valor": "VALOR-32K/desc_test.json",
    "vcg_correctness": "generic_qa.json",
    "vcg_detail": "generic_qa.json",
    "vcg_context": "generic_qa.json",
    "vcg_temporal": "temporal_qa.json",
    "vcg_consistency": "consistency_qa.json",
    "ego4d_qa": "ego4d_qa.json",
    "presentation_qa": "presentation_qa.json",
}
WRITERS = {
    "asr": write_librispeech,
    "ac": write_audiocaps,
    "ic": write_flickr30k,
    "ocr": write_textvqa,
    "vqa": write_gqa,
    "video_qa": write_nextqa,
    "avsr": write_how2,
    "avsd": write_avsd,
    "isqa": write_isqa,
    "avssd": write_vggss,
    "avm": write_matching,
    "favd": write_favdbench,
    "valor": write_valor,
    "ego4d_qa": write_choices,
    "presentation_qa": write_choices,
} | {name: write_video_chatgpt for name in FILES if name.startswith("vcg_")}
