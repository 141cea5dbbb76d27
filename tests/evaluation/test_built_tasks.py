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

from favor.evaluation.build import main as build_command
from favor.evaluation.metrics import METRICS
from favor.evaluation.readers.sounds import build_matching
from favor.evaluation.readers.spoken_questions import build_isqa, tts_command
from favor.evaluation.sample import missing_media
from favor.evaluation.tasks import TASKS
from favor.processing import load_media
from favor.worlds.mini.speech import speak
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
    path = build_isqa(TEXTVQA, GQA, tmp_path, {"seven": write_wave}, count=4)
    task = TASKS["isqa"]
    assert path == task.annotation_path(tmp_path)
    samples = task.data.read(path, None)
    assert [sample.extra["source"] for sample in samples] == ["textvqa"] * 4 + ["gqa"] * 4
    for sample in samples:
        assert sample.question == "Answer the question in the audio about the image."
        assert sample.extra["voice"] == "seven"
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
    path = build_isqa(TEXTVQA, GQA, tmp_path / "isqa", {"seven": write_wave}, images, images, count=6)
    assert not missing_media(TASKS["isqa"].data.read(path, None))
    images.rename(tmp_path / "moved")
    assert not missing_media(TASKS["isqa"].data.read(path, tmp_path / "moved"))


def test_the_same_seed_draws_the_same_and_goes_on_where_it_stopped(tmp_path):
    write_textvqa(tmp_path / "textvqa.json", 20)
    write_gqa(tmp_path / "gqa.json", 20)

    def build(folder, seed, *speakers):
        voices = {f"voice {number}": speaker for number, speaker in enumerate(speakers)}
        return build_isqa(tmp_path / "textvqa.json", tmp_path / "gqa.json", folder, voices, count=5, seed=seed)

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
    assert build(tmp_path / "b", 0, say).read_text() == first
    two = json.loads(build(tmp_path / "d", 0, say, say).read_text())
    assert {record["voice"] for record in two} == {"voice 0", "voice 1"}
    said.clear()
    other = build(tmp_path / "a", 1, say).read_text()  # in the same folder: nothing of the first questions is taken
    assert other != first and len(said) >= 8
    names = [Path(record["image"][1]).name for record in json.loads(first) + json.loads(other)]
    texts = [record["text"] for record in json.loads(first) + json.loads(other)]
    assert len({*zip(names, texts, strict=True)}) == len(set(names))


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
    from favor.evaluation.readers.spoken_questions import _fill

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
        build_isqa(TEXTVQA, GQA, tmp_path, {"mute": lambda text, out: None}, count=1)
    with pytest.raises(ValueError, match="has 6 questions, and 7 are to be drawn"):
        build_isqa(TEXTVQA, GQA, tmp_path, {"seven": write_wave}, count=7)


# A text-to-speech command: eSpeak NG of the package espeakng-loader, called as VOICE OUT TEXT.
TEXT_TO_SPEECH = """
import ctypes, sys, wave
import espeakng_loader
voice, out, text = (argument.encode() for argument in sys.argv[1:])
library = ctypes.CDLL(espeakng_loader.get_library_path())
rate = library.espeak_Initialize(2, 0, espeakng_loader.get_data_path().encode(), 0)
chunks = []
callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
def collect(samples, count, events):
    chunks.append(ctypes.string_at(samples, 2 * count) if samples else b"")
    return 0
collect = callback(collect)
library.espeak_SetSynthCallback(collect)
library.espeak_SetVoiceByName(voice)
library.espeak_Synth(text + b"\\0", len(text) + 1, 0, 0, 0, 1, None, None)
with wave.open(out.decode(), "wb") as file:
    file.setparams((1, 2, rate, 0, "NONE", ""))
    file.writeframes(b"".join(chunks))
"""


def test_the_command_builds_spoken_questions_with_espeak(tmp_path, capsys):
    (tmp_path / "speak.py").write_text(TEXT_TO_SPEECH)
    voices = [
        f"--voice={name}={sys.executable} {tmp_path / 'speak.py'} {name} {{out}} {{text}}" for name in ("en", "en-us")
    ]
    arguments = ["isqa", str(TEXTVQA), str(GQA), str(tmp_path / "out"), *voices, "--count", "2", "--seed", "3"]
    assert build_command(arguments) == 0
    printed = capsys.readouterr()
    path = Path(printed.out.strip())
    assert path == TASKS["isqa"].annotation_path(tmp_path / "out") and "4/4" in printed.err
    samples = TASKS["isqa"].read_samples(path, None)
    assert len(samples) == 4 and {sample.extra["voice"] for sample in samples} <= {"en", "en-us"}
    times = [Path(sample.media["audio"]).stat().st_mtime_ns for sample in samples]
    for sample in samples:
        clip = load_media(sample.media["audio"])
        assert np.abs(clip.audio).max() > 0.1 and clip.duration > 0.1 * len(sample.extra["spoken"].split())
    assert build_command(arguments) == 0  # nothing is spoken again
    assert [Path(sample.media["audio"]).stat().st_mtime_ns for sample in samples] == times


def test_the_command_draws_pairs_and_names_bad_input(tmp_path, capsys):
    lists = [str(path) for path in write_lists(tmp_path, 10)]
    assert build_command(["avm", *lists, str(tmp_path / "out"), "--count", "6", "--seed", "2"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert json.loads(path.read_text()) == build_matching(*map(Path, lists), tmp_path / "again.json", 6, 2)
    assert len(TASKS["avm"].read_samples(path, None)) == 12
    for arguments, message in (
        (["avm", *lists, str(tmp_path / "out")], "lists 10 clips, and 500 are to be drawn"),
        (["isqa", str(TEXTVQA), str(GQA), str(tmp_path), "--voice", "espeak-ng"], "is not NAME=COMMAND"),
        (["isqa", str(TEXTVQA), str(GQA), str(tmp_path), "--voice", "a=espeak-ng {text}"], "has no {out}"),
        (["isqa", str(tmp_path / "no.json"), str(GQA), str(tmp_path), "--voice", "a=x {out} {text}"], "no.json"),
    ):
        assert build_command(arguments) == 2
        errors = capsys.readouterr().err
        assert message in errors and errors.count("\n") == 1


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
    samples = TASKS["avm"].data.read(TASKS["avm"].annotation_path(tmp_path), None)
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
