# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""AVEB in small: rendered clips of AVEB-mini under annotation files in the published formats, one for every task.

`python -m tests.evaluation.rendered_benchmark OUT_DIR COUNT` writes them to play with.
"""

import csv
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path

from favor.worlds.mini.moments import MomentsScene
from favor.worlds.mini.questions import ask_all
from favor.worlds.mini.world import COLOURS
from favor.worlds.scene import SAMPLING_RATE
from favor.worlds.video_file import write_sound

SEED = 77  # no training run uses it
CLASS_SENTENCE = "The source of this sound in this scene is {}."


def write_benchmark(folder: Path, count: int) -> Path:
    """Renders `count` videos (with their sounds as files), stills and sounds to `folder`/media, and writes all
    annotation files to `folder`."""
    videos = _render(folder, count, lambda scene: scene.media == ("video",) and _names(scene))
    stills = _render(folder, count, lambda scene: scene.media == ("image",) and scene.clip.screen_word)
    sounds = _render(folder, count, lambda scene: scene.media == ("audio",) and _words(scene))
    for scene in videos:
        write_sound(folder / _sound_file(scene), scene.sound(), SAMPLING_RATE)
    _write_speech(folder, videos, sounds)
    _write_stills(folder, stills, sounds)
    _write_video_questions(folder, videos)
    _write_sound_sources(folder, videos)
    _write_descriptions(folder, videos, sounds)
    return folder


def _render(folder: Path, count: int, wanted: Callable[[MomentsScene], object]) -> list[MomentsScene]:
    (folder / "media").mkdir(parents=True, exist_ok=True)
    scenes: list[MomentsScene] = []
    index = 0
    while len(scenes) < count:
        scene = MomentsScene.sample("test", SEED, index)
        index += 1
        if wanted(scene):
            scenes.append(scene)
            scene.render(folder)
    return scenes


def _write_speech(folder: Path, videos: list[MomentsScene], sounds: list[MomentsScene]) -> None:
    """ASR in LibriSpeech's tree, AVSR in SAVEBench's format; what is said are the words of the scene."""
    chapter = folder / "test-clean" / "7" / "70"
    chapter.mkdir(parents=True)
    lines = []
    for number, scene in enumerate(sounds):
        (folder / _media(scene)).rename(chapter / f"7-70-{number:04d}.wav")
        write_sound(folder / _media(scene), scene.sound(), SAMPLING_RATE)
        lines.append(f"7-70-{number:04d} {' '.join(_words(scene)).upper()}\n")
    (chapter / "7-70.trans.txt").write_text("".join(lines))
    _write_pairs(
        folder / "how2_test.json", [(scene, "?", ", ".join(_words(scene) or ["silence"])) for scene in videos]
    )


def _write_stills(folder: Path, stills: list[MomentsScene], sounds: list[MomentsScene]) -> None:
    """IC, OCR, VQA and ISQA."""
    captions, text_questions, questions, spoken = [], [], [], []
    for scene, voice in zip(stills, sounds, strict=True):
        look, word, image = scene.clip.segments[0], scene.clip.screen_word.word, Path(_media(scene)).name
        texts = [f"a {look.colour} {look.shape} and the word {word}", f"{look.colour} {look.shape}, {word}"]
        captions.append({"image": f"authors/{image}", "question": "Describe.", "answer": texts})
        question = {"dataset": "textvqa", "image": image, "question": "What word can be read?", "answer": [word] * 10}
        text_questions.append(question)
        answers = {"answer": look.colour, "fullanswer": f"It is {look.colour}."}
        questions.append({"image": image, "question": "What is the colour of the shape?", **answers})
        heard = {"image": [image, _media(voice)], "text": "What is the colour?", "dataset": "gqa"}
        spoken.append({**heard, "answer": [look.colour], "question": "Answer the question in the audio."})
    _dump(folder / "flickr30k_captions.json", captions)
    _dump(folder / "textvqa.json", text_questions)
    _dump(folder / "testdev_balanced_questions_with_images.json", questions)
    _dump(folder / "isqa.json", spoken)


def _write_video_questions(folder: Path, videos: list[MomentsScene]) -> None:
    """Video QA, AVSD, presentation and Ego4D questions, Video-ChatGPT."""
    choices, dialogues, generic, pairs = [], [], [], []
    for scene in videos:
        question, answer = "What is the first colour?", scene.clip.segments[0].colour
        options = random.Random(scene.index).sample([colour for colour in COLOURS if colour != answer], 4)
        options.insert(scene.index % 5, answer)
        asked = {"question": question, "answer": answer, "answer_candidates": options}
        choices.append(asked)
        turns = [
            [turn.question, turn.answer]
            for family in ask_all(scene.clip, random.Random(0)).values()
            for turn in family[0].turns
        ]
        dialogues.append({"image_name": [_media(scene), _sound_file(scene)], "conversation": turns[:3]})
        name = Path(_media(scene)).stem
        generic.append({"Q": question, "A": answer, "video_name": name})
        pairs.append({"Q1": question, "Q2": "Which colour is seen first?", "A": answer, "video_name": name})
    names = [turn["image_name"] for turn in dialogues]
    with_video = [{**choice, "image": f"authors/{name[0]}"} for choice, name in zip(choices, names, strict=True)]
    _dump(folder / "nextqa_test.json", with_video)
    _dump(folder / "avsd_textformat_subset.json", dialogues)
    for file in ("presentation_qa.json", "ego4d_qa.json"):
        _dump(folder / file, [{**choice, "image_name": name} for choice, name in zip(choices, names, strict=True)])
    _dump(folder / "generic_qa.json", generic)
    _dump(folder / "temporal_qa.json", generic)
    _dump(folder / "consistency_qa.json", pairs)


def _write_sound_sources(folder: Path, videos: list[MomentsScene]) -> None:
    """AVSSD and AVM: the sound of every second video is the next one's."""
    sources = [
        (scene, "What is the source of the sound?", CLASS_SENTENCE.format(_names(scene)[0])) for scene in videos
    ]
    _write_pairs(folder / "testdata_formatted.json", sources)
    matching = []
    for number, scene in enumerate(videos):
        heard = scene if number % 2 else videos[(number + 1) % len(videos)]
        entry = {"question": "Is the audio compatible with the video?", "answer": "Yes" if number % 2 else "No"}
        media = [f"authors/{_media(scene)}", f"authors/{_sound_file(heard)}"]
        matching.append({**entry, "image": media, "text": CLASS_SENTENCE.format(_names(heard)[0])})
    _dump(folder / "audiovisualmatching_combined.json", matching)


def _write_descriptions(folder: Path, videos: list[MomentsScene], sounds: list[MomentsScene]) -> None:
    """AC, FAVD and VALOR."""
    with (folder / "audiocaps_test.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["audiocap_id", "youtube_id", "start_time", "caption"])
        for scene in sounds:
            for number, text in enumerate((f"a {' and a '.join(_names(scene))}", ", ".join(_names(scene)))):
                writer.writerow([scene.index * 10 + number, Path(_media(scene)).stem, 0, text])
    texts = {Path(_media(scene)).stem: _description(scene) for scene in videos}
    annotations = [
        {"image_id": name, "id": number, "caption": text} for number, (name, text) in enumerate(texts.items())
    ]
    _dump(folder / "test.caption_coco_format.json", {"images": [], "annotations": annotations})
    _dump(folder / "desc_test.json", [{"video_id": name, "desc": text} for name, text in texts.items()])


def _description(scene: MomentsScene) -> str:
    looks = ", then ".join(f"a {segment.name}" for segment in scene.clip.segments)
    return f"{looks}; {' and '.join(_names(scene))} can be heard"


def _write_pairs(path: Path, entries: list[tuple[MomentsScene, str, str]]) -> None:
    _dump(
        path,
        [
            {"image": [_media(scene), _sound_file(scene)], "question": question, "answer": answer}
            for scene, question, answer in entries
        ],
    )


def _media(scene: MomentsScene) -> str:
    (path,) = scene.media_paths.values()
    return path


def _sound_file(scene: MomentsScene) -> str:
    return f"media/{scene.name}.wav"


def _names(scene: MomentsScene) -> list[str]:
    return [event.name for event in scene.clip.events]


def _words(scene: MomentsScene) -> list[str]:
    return [event.word for event in scene.clip.events if event.word]


def _dump(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    print(write_benchmark(Path(sys.argv[1]), int(sys.argv[2])))
