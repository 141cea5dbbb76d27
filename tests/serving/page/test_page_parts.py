# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor app` without a browser: the timeline, who owns which file, what the model is asked, the command."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from favor.cli import main
from favor.commands.app_examples import SCENES, SEED, SPLIT, render_examples
from favor.processing import load_media
from favor.serving.page import conversation, sessions
from favor.serving.page.conversation import ask
from favor.serving.page.perception import perceive
from favor.serving.page.sessions import Sessions
from favor.serving.page.timeline import draw_timeline, summary
from favor.worlds.mini.moments import MomentsScene
from favor.worlds.mini.world import COLOURS, SHAPES, SOUNDS

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def processor(tiny_parts):
    return tiny_parts[1]


class Answer:
    """An answer of the engine, whose pieces are known."""

    def __init__(self, pieces, finish_reason="stop"):
        self.pieces, self.finish_reason, self.text = pieces, finish_reason, ""

    def __iter__(self):
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            self.text += piece
            yield piece

    def cancel(self):
        pass


class Engine:
    """Gives the answers that it was made with, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers, self.chats, self.heard = list(answers), [], []

    def ask(self, chat, settings, load_audio_from_video):
        self.chats.append(chat)
        self.heard.append(load_audio_from_video)
        return self.answers.pop(0)


def boxes(timeline: str) -> list[str]:
    return re.findall(r'<div class="(box|box unused)"', timeline)


# The timeline


def test_it_draws_the_pictures_that_the_model_sees(processor, media_dir):
    seen = perceive(processor, media_dir / "clip.mp4")
    size = processor.video_processor.frame_size
    frames = load_media(media_dir / "clip.mp4", fps=processor.frame_rate, size=size).frames
    assert seen.kind == "video"
    assert len(seen.shown) == len(frames) == 6
    drawn = seen.pictures[seen.shown].astype(int)
    assert np.abs(drawn - frames.astype(int)).max() <= 1  # rounding


def test_it_draws_the_sound_where_it_is_heard(processor, media_dir):
    seen = perceive(processor, media_dir / "clip.mp4")  # 3 s, a tone from second 1 on
    times = np.arange(len(seen.loudness)) / seen.loudness_rate
    assert seen.loudness[times < 0.9].max() < 0.02
    assert seen.loudness[(times > 1.1) & (times < 2.9)].min() > 0.8
    assert seen.loudness.max() == 1.0


@pytest.mark.parametrize("name", ["clip.mp4", "long_clip.mp4", "silent.mp4", "photo.png", "sound.wav"])
def test_every_window_that_has_tokens_has_a_box(name, processor, media_dir):
    seen = perceive(processor, media_dir / name)
    assert len(boxes(draw_timeline(seen))) == seen.tokens / processor.num_query_tokens


def test_what_is_muted_is_shown_as_not_heard(processor, media_dir, tmp_path):
    from favor.worlds.video_file import write_video
    from tests.conftest import FRAME_RATE, SAMPLING_RATE, frames, tone

    write_video(tmp_path / "late.mp4", frames(2.0), FRAME_RATE, tone(6.0), SAMPLING_RATE)
    store = Sessions(tmp_path / "clips", processor)
    clip = store.take("a", tmp_path / "late.mp4", "late.mp4")  # 2 s of pictures, 6 s of sound: windows of 2 s
    assert boxes(draw_timeline(clip.perception)) == ["box", "box", "box"]
    assert summary(clip.perception) == "12 pictures · 6.0 s of sound · 3 windows"
    muted = store.perception(clip, with_sound=False)
    assert boxes(draw_timeline(muted, with_sound=False)) == ["box", "box unused", "box unused"]
    assert "not-heard" in draw_timeline(muted, with_sound=False)
    assert summary(muted, with_sound=False) == "4 pictures · sound not heard · 1 window"
    assert "no sound" in summary(perceive(processor, media_dir / "silent.mp4"))


def test_long_clips_are_drawn_with_fewer_pictures(processor, media_dir, monkeypatch):
    monkeypatch.setattr("favor.serving.page.perception.MAX_THUMBNAILS", 5)
    seen = perceive(processor, media_dir / "long_clip.mp4")
    assert seen.drawn_every == 3
    assert len(seen.pictures) <= 5
    assert seen.shown[:6] == [0, 0, 0, 1, 1, 1]
    assert "one in 3" in draw_timeline(seen)


# Files


def test_a_file_belongs_to_one_tab_and_goes_with_it(processor, media_dir, tmp_path):
    store = Sessions(tmp_path / "clips", processor)
    first = store.take("a", copied(media_dir / "clip.mp4", tmp_path / "one.mp4"), "one.mp4")
    other = store.take("b", copied(media_dir / "clip.mp4", tmp_path / "two.mp4"), "two.mp4")
    assert store.of("c").clip is None
    assert (store.of("a").clip, store.of("b").clip) == (first, other)
    second = store.take("a", media_dir / "sound.wav", "sound.wav", uploaded=False)
    assert not first.path.exists()
    assert not (tmp_path / "one.mp4").exists()
    store.end("a")
    store.of("b").discard_upload()
    assert not second.path.exists()
    assert (media_dir / "sound.wav").exists()
    assert other.path.exists()
    assert not (tmp_path / "two.mp4").exists()
    store.end("b")
    assert list((tmp_path / "clips").iterdir()) == []


def test_an_unusable_file_leaves_nothing_and_the_message_names_it(processor, tmp_path):
    store = Sessions(tmp_path / "clips", processor)
    upload = tmp_path / "secret-place.html"
    upload.write_text("<script>alert(1)</script>")
    with pytest.raises(ValueError, match="my clip.html cannot be read as media") as error:
        store.take("a", upload, "my clip.html")
    assert str(tmp_path) not in str(error.value)
    assert list((tmp_path / "clips").iterdir()) == []
    store.of("a").discard_upload()
    assert not upload.exists()
    with pytest.raises(OSError, match="gone.mp4 is no longer here"):
        store.take("a", tmp_path / "gone.mp4", "gone.mp4")


def test_the_browser_is_told_no_type_but_of_media(processor, media_dir, tmp_path):
    upload = copied(media_dir / "photo.png", tmp_path / "photo.html")
    assert Sessions(tmp_path / "clips", processor).take("a", upload, "photo.html").path.suffix == ""


def test_a_tab_that_is_closed_while_its_file_is_read_leaves_nothing(processor, media_dir, tmp_path, monkeypatch):
    store = Sessions(tmp_path / "clips", processor)

    def close_meanwhile(*arguments):
        store.end("a")
        return perceive(*arguments)

    monkeypatch.setattr(sessions, "perceive", close_meanwhile)
    store.take("a", media_dir / "photo.png", "photo.png", uploaded=False)
    assert list((tmp_path / "clips").iterdir()) == []


def test_the_number_of_clips_on_disk_is_bounded(processor, media_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "MAX_SESSIONS", 2)
    store = Sessions(tmp_path / "clips", processor)
    clips = [store.take(tab, media_dir / "photo.png", tab, uploaded=False) for tab in "abc"]
    assert [clip.path.exists() for clip in clips] == [False, True, True]
    assert store.of("a").clip is None


# Conversations


@pytest.fixture
def tab(processor, media_dir, tmp_path):
    store = Sessions(tmp_path / "clips", processor)
    store.take("a", media_dir / "clip.mp4", "clip.mp4", uploaded=False)
    return store.of("a")


def asked(engine, tab, question, with_sound=True, remember=True):
    return [list(messages) for messages in ask(engine, tab, question, None, with_sound, remember)]


def test_the_answer_grows_and_the_model_is_told_the_conversation(tab):
    engine = Engine(Answer(["re", "d"]), Answer(["bell"]))
    grown = asked(engine, tab, " What colour? ")
    assert [messages[1:] for messages in grown[:3]] == [[message("…")], [message("re")], [message("red")]]
    asked(engine, tab, "Which sound?")
    assert tab.shown == [
        message("What colour?", "user"),
        message("red"),
        message("Which sound?", "user"),
        message("bell"),
    ]
    media = {"type": "video", "path": str(tab.clip.path)}
    assert engine.chats[1] == [
        message([media, {"type": "text", "text": "What colour?"}], "user"),
        message("red"),
        message([{"type": "text", "text": "Which sound?"}], "user"),
    ]


def test_without_memory_every_question_is_asked_alone(tab):
    engine = Engine(Answer(["red"]), Answer(["bell"]))
    for question in ("What colour?", "Which sound?"):
        asked(engine, tab, question, remember=False)
    assert [len(chat) for chat in engine.chats] == [1, 1]
    assert engine.chats[1][0]["content"][0]["type"] == "video"
    assert len(tab.shown) == 4


def test_muting_begins_a_new_conversation(tab):
    engine = Engine(Answer(["red"]), Answer(["blue"]), Answer(["green"]))
    for with_sound in (True, False, False):
        asked(engine, tab, "What colour?", with_sound)
    assert [len(chat) for chat in engine.chats] == [1, 1, 3]
    assert engine.heard == [True, False, False]
    assert tab.shown[2]["content"] == "What colour? (muted)"


def test_what_cannot_be_asked_is_said(tab):
    with pytest.raises(ValueError, match="question is empty"):
        asked(Engine(), tab, "  ")
    engine = Engine(Answer(["re", ValueError(f"{tab.clip.path} is damaged.")]), Answer(["red"]))
    with pytest.raises(ValueError, match=r"^clip\.mp4 is damaged"):
        asked(engine, tab, "What colour?")
    assert tab.shown == []
    asked(engine, tab, "What colour?")
    assert len(engine.chats[1]) == 1
    tab.forget()
    with pytest.raises(ValueError, match=re.escape(conversation.NOTHING_TO_ASK_ABOUT)):
        asked(engine, tab, "What colour?")


def test_an_answer_that_was_cut_says_so(tab):
    assert asked(Engine(Answer(["re"], "cancelled")), tab, "What?")[-1][-1] == message("re … (stopped)")
    assert asked(Engine(Answer(["re"], "length")), tab, "What?")[-1][-1] == message("re … (at the longest length)")


def message(content, role="assistant"):
    return {"role": role, "content": content}


def copied(source: Path, target: Path) -> Path:
    target.write_bytes(source.read_bytes())
    return target


# The command


def test_examples_ask_about_what_is_there_and_need_no_speech(tmp_path, monkeypatch):
    for index, question in SCENES:
        clip = MomentsScene.sample(SPLIT, SEED, index).clip
        there = {part for segment in clip.segments for part in (segment.colour, segment.shape)}
        there |= {event.kind for event in clip.events}
        assert {word for word in (*COLOURS, *SHAPES, *SOUNDS) if word in question.split()} <= there
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    examples = render_examples(tmp_path)
    assert {example.kind for example in examples} == {"video", "image", "audio"}
    assert all(example.path.is_file() for example in examples)


@pytest.mark.parametrize("option", [("--port", "0"), ("--port", "70000"), ("--max-upload-mb", "0")])
def test_bad_options_end_with_one_line(option, capsys):
    assert main(["app", *option]) == 2
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 1
    assert printed[0].startswith(f"favor: error: {option[0]} must be")


def test_help_imports_no_framework():
    check = "import sys, favor.cli\ntry: favor.cli.main(['app', '--help'])\nexcept SystemExit: pass\n"
    check += "print([name for name in ('torch', 'transformers', 'numpy', 'av', 'gradio') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_it_serves_this_machine_only_and_leaves_nothing_behind(tiny_model_dir, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "favor", "app", "--port", str(port), "--model", str(tiny_model_dir)]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert f"http://127.0.0.1:{port}/" in process.stdout.readline()
        assert "FAVOR" in urllib.request.urlopen(f"http://127.0.0.1:{port}/").read().decode()
        listening = Path("/proc/net/tcp").read_text().splitlines()
        assert [line.split()[1] for line in listening if line.split()[1].endswith(f":{port:04X}")][0] == (
            f"0100007F:{port:04X}"
        )
        for route in ("file=http://127.0.0.1:1/x", "file=HTTPS://example.org/", "proxy=https://example.org/"):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/gradio_api/{route}")
        again = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
        assert again.returncode == 2
        assert again.stderr.startswith(f"favor: error: 127.0.0.1:{port} cannot be listened at")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("favor-app-")] == []
