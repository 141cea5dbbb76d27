# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Tasks that are built here: spoken questions by any command, and matching pairs drawn from lists."""

import json
import re
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.aveb_mini.speech import speak
from evaluation.metrics import METRICS
from evaluation.readers.sounds import build_matching
from evaluation.readers.spoken_questions import build_isqa, tts_command
from evaluation.sample import missing_media
from evaluation.tasks import TASKS
from processing import load_media
from tests.evaluation.published_data import SAVEBENCH, dump, write_gqa, write_textvqa

TEXTVQA = SAVEBENCH / "textvqa.json"
GQA = SAVEBENCH / "testdev_balanced_questions_with_images.json"


def write_wave(text: str, out: Path, word: str = "seven") -> None:
    """Speaks one word of AVEB-mini for the text, twice as often as it has words."""
    samples = np.tile(speak(word, "en", 50, 4000, 16000), len(text.split()))
    with wave.open(str(out), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes((samples * 20000).astype(np.int16).tobytes())


def test_spoken_questions_are_built_read_and_scored(tmp_path):
    path = build_isqa(TEXTVQA, GQA, tmp_path, write_wave, count=4)
    task = TASKS["isqa"]
    assert path == task.annotation_path(tmp_path)
    samples = task.read(path, None)
    assert [sample.extra["source"] for sample in samples] == ["textvqa"] * 4 + ["gqa"] * 4
    for sample in samples:
        assert sample.question == "Answer the question in the audio about the image."
        clip = load_media(sample.media["audio"])
        assert clip.audio is not None and clip.duration == pytest.approx(
            len(sample.extra["spoken"].split()) / 4, abs=0.1
        )
    assert {Path(file).suffix for files in missing_media(samples).values() for file in files} == {".jpg"}
    metric = METRICS["aveb_isqa"]
    answers = [max(set(sample.references), key=sample.references.count) for sample in samples]
    assert metric.aggregate(metric.sample_statistics(samples, answers)) == 1.0


def test_images_are_found_wherever_the_media_root_is(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for record in json.loads(TEXTVQA.read_text()) + json.loads(GQA.read_text()):
        (images / record["image"]).touch()
    path = build_isqa(TEXTVQA, GQA, tmp_path / "isqa", write_wave, images, images, count=6)
    assert not missing_media(TASKS["isqa"].read(path, None))
    images.rename(tmp_path / "moved")
    assert not missing_media(TASKS["isqa"].read(path, tmp_path / "moved"))


def test_the_same_seed_draws_the_same_and_goes_on_where_it_stopped(tmp_path):
    write_textvqa(tmp_path / "textvqa.json", 20)
    write_gqa(tmp_path / "gqa.json", 20)

    def build(folder, seed, speaker):
        return build_isqa(tmp_path / "textvqa.json", tmp_path / "gqa.json", folder, speaker, count=5, seed=seed)

    said: list[str] = []

    def stop_after_three(text: str, out: Path) -> None:
        if len(said) == 3:
            raise KeyboardInterrupt
        said.append(text)
        out.write_bytes(b"sound")

    def say(text: str, out: Path) -> None:
        said.append(text)
        out.write_bytes(b"sound")

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "a", 0, stop_after_three)
    first = build(tmp_path / "a", 0, say).read_text()
    assert len(said) == len(set(said)) == 10
    assert build(tmp_path / "b", 0, [say, say]).read_text() == first
    assert build(tmp_path / "c", 1, say).read_text() != first


def test_any_command_speaks_and_no_shell_reads_the_text(tmp_path):
    program = tmp_path / "say it.py"
    program.write_text("import sys\nopen(sys.argv[sys.argv.index('-w') + 1], 'w').write(repr(sys.argv[3:]))\n")
    speaker = tts_command(f"{sys.executable} '{program}' -w {{out}} {{text}}")
    for text in ("what is it?", "$(rm x); `id` 'quoted\" {out} {text} \\", "it's 5 > 4 & more"):
        speaker(text, tmp_path / "out.wav")
        assert (tmp_path / "out.wav").read_text() == repr([text])
    speaker("--help me", tmp_path / "out.wav")
    assert (tmp_path / "out.wav").read_text() == "[' --help me']"


@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_the_text_is_one_argument(text):
    from evaluation.readers.spoken_questions import _fill

    fields = {"{out}": "a.wav", "{text}": text}
    assert [_fill(argument, fields) for argument in ("-w{out}", "{text}", "x")] == ["-wa.wav", text, "x"]


def test_commands_that_cannot_speak_are_named(tmp_path):
    with pytest.raises(ValueError, match=re.escape("has no {text}; write for example 'espeak-ng -w {out} {text}'")):
        tts_command("espeak-ng -w {out}")
    with pytest.raises(ValueError, match="'no-such-program' could not speak 'what'"):
        tts_command("no-such-program {out} {text}")("what", tmp_path / "a.wav")
    with pytest.raises(ValueError, match="failed with 3 on 'what': no voice"):
        code = "import sys; sys.stderr.write('no voice'); sys.exit(3)"
        tts_command(f'{sys.executable} -c "{code}" {{out}} {{text}}')("what", tmp_path / "a.wav")
    with pytest.raises(ValueError, match="Nothing was written to"):
        build_isqa(TEXTVQA, GQA, tmp_path, lambda text, out: None, count=1)
    with pytest.raises(ValueError, match="has 6 questions, and 7 are to be drawn"):
        build_isqa(TEXTVQA, GQA, tmp_path, write_wave, count=7)


def write_lists(folder: Path, count: int) -> tuple[Path, Path]:
    images = [
        {
            "image": f"val2014/COCO_val2014_{index:012d}.jpg",
            "captions": [
                {"text": f"Caption {index}", "wav": f"wavs/val/{index % 7}/m-{index}_{part}.wav"} for part in (0, 1)
            ],
        }
        for index in range(count)
    ]
    dump(folder / "SpokenCOCO_val.json", {"data": images})
    dump(
        folder / "vggss.json",
        [{"file": f"v_{index:06d}", "class": f"bell {index % 4}", "bbox": []} for index in range(count)],
    )
    return folder / "SpokenCOCO_val.json", folder / "vggss.json"


def test_matching_pairs_are_half_and_half_and_always_the_same(tmp_path):
    lists = write_lists(tmp_path, 50)
    first = build_matching(*lists, tmp_path / "audiovisualmatching_combined.json", count=40, seed=3)
    again = build_matching(*lists, tmp_path / "again.json", count=40, seed=3)
    other = build_matching(*lists, tmp_path / "other.json", count=40, seed=4)
    assert first == again != other
    samples = TASKS["avm"].read(TASKS["avm"].annotation_path(tmp_path), None)
    assert [sample.extra["source"] for sample in samples] == ["vggss"] * 40 + ["spokencoco"] * 40
    for source, kind in (("vggss", "video"), ("spokencoco", "image")):
        chosen = [sample for sample in samples if sample.extra["source"] == source]
        assert [sample.references for sample in chosen].count(["Yes"]) == 20
        assert len({sample.media[kind] for sample in chosen}) == 40
        assert all(set(sample.media) == {kind, "audio"} for sample in chosen)
    for sample in samples:
        media = [Path(sample.media[kind]).stem for kind in ("video", "image", "audio") if kind in sample.media]
        picture, sound = (int(re.search(r"(\d+)(_0)?$", name)[1]) for name in media)
        if sample.references == ["Yes"]:
            assert picture == sound
        elif sample.extra["source"] == "vggss":
            assert picture % 4 != sound % 4  # another class, not only another clip
        else:
            assert picture != sound
    constant = METRICS["yes_no"]
    assert constant.aggregate(constant.sample_statistics(samples, ["Yes"] * 80)) == 0.5


def test_lists_that_are_too_short_are_named(tmp_path):
    lists = write_lists(tmp_path, 5)
    with pytest.raises(ValueError, match="lists 5 clips, and 6 are to be drawn; ask for 2 to 5"):
        build_matching(*lists, tmp_path / "out.json", count=6)
    dump(lists[1], [{"file": f"v_{index:06d}", "class": "bell"} for index in range(5)])
    with pytest.raises(ValueError, match="no other class than 'bell'"):
        build_matching(*lists, tmp_path / "out.json", count=4)
