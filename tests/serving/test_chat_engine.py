# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The engine's answers are the pipeline's, token for token: cached or not, alone or in a batch, whatever the media."""

import os
import shutil
import threading

import pytest
import torch

from favor.model_loading import load_pipeline
from favor.processing import MediaError
from favor.serving import ChatEngine, GenerationSettings, TooManyRequests
from favor.serving.batch_generation import GenerationFailed

from .conftest import LONG_ANSWER, QUESTION, chat, wait_until


def block(kind: str, file) -> dict:
    return {"type": kind, "path": str(file)}


def asked(*blocks: dict, text: str = QUESTION) -> list[dict]:
    return [{"role": "user", "content": [*blocks, {"type": "text", "text": text}]}]


@pytest.fixture(scope="module")
def chats(media_dir) -> list[list[dict]]:
    """Every kind of item, several of them, several turns, and none."""
    clip, silent, photo, sound = (media_dir / n for n in ("clip.mp4", "silent.mp4", "photo.png", "sound.wav"))
    first = asked(block("video", clip))
    return [
        first,
        asked(block("video", silent)),
        asked(block("image", photo)),
        asked(block("audio", sound)),
        asked(block("audio", sound), block("image", photo)),
        asked(block("video", clip), block("audio", sound), text="Red or green?"),
        asked(block("video", media_dir / "long_clip.mp4"), block("image", photo), block("audio", sound)),
        [{"role": "system", "content": "Be brief."}, *asked(text="Red or green?")],
        [*first, {"role": "assistant", "content": "The bell."}, {"role": "user", "content": "And red?"}],
        [*first, {"role": "assistant", "content": "The bell."}, *asked(block("image", photo), text="And here?")],
    ]


def same(answer, record: dict) -> None:
    assert "".join(answer) == answer.text == record["generated_text"]
    assert answer.media == record["media"]
    assert answer.finish_reason in ("stop", "length")


def test_answers_are_those_of_the_pipeline_with_and_without_the_cache(engine, pipe, chats):
    records = [pipe(messages)[0] for messages in chats]
    assert len({record["generated_text"] for record in records}) > 5
    for _ in range(2):
        for messages, record in zip(chats, records, strict=True):
            same(engine.ask(messages), record)
    assert engine.clips.misses == 7  # clip, silent, photo, sound; photo, clip and long clip with the separate sound
    assert engine.pending == 0


def test_answers_in_a_batch_are_those_alone(engine, pipe, chats):
    records = [pipe(messages)[0] for messages in chats]
    answers = [engine.ask(messages) for messages in chats * 3]
    for answer, record in zip(answers, records * 3, strict=True):
        same(answer, record)
    assert engine.batched_questions == len(answers)
    assert engine.batches < len(answers)


def test_muted_videos(engine, pipe, media_dir):
    file = media_dir / "clip.mp4"
    for sound in (True, False, True):
        record = pipe(video=str(file), text=QUESTION, load_audio_from_video=sound)[0]
        same(engine.ask(chat(file), load_audio_from_video=sound), record)
    assert engine.clips.misses == 2


def test_a_known_clip_is_neither_read_nor_encoded_again(engine, media_dir, monkeypatch):
    file = media_dir / "clip.mp4"
    first = "".join(engine.ask(chat(file)))

    def forbidden(*_, **__):
        raise AssertionError("a tower ran again")

    for tower in (engine.model.model.vision_tower, engine.model.model.audio_tower):
        monkeypatch.setattr(tower, "forward", forbidden)
    assert "".join(engine.ask(chat(file))) == first
    assert "".join(engine.ask(chat(file, "What is red?")))
    assert (engine.clips.hits, engine.clips.misses) == (2, 1)
    with pytest.raises(AssertionError, match="ran again"):
        list(engine.ask(chat(media_dir / "silent.mp4")))


def test_a_changed_file_is_read_again_and_bytes_are_known_by_their_content(engine, pipe, media_dir, tmp_path):
    file = tmp_path / "a.mp4"
    shutil.copy(media_dir / "clip.mp4", file)
    before = "".join(engine.ask(chat(file)))
    shutil.copy(media_dir / "long_clip.mp4", file)
    os.utime(file, (1, 1))
    assert engine.ask(chat(file)).media is None
    answer = engine.ask(chat(file))
    same(answer, pipe(video=str(file), text=QUESTION)[0])
    assert answer.text != before
    assert engine.clips.misses == 2
    content = file.read_bytes()
    for _ in range(2):
        same(engine.ask(chat(content)), pipe(video=str(file), text=QUESTION)[0])
    assert engine.clips.misses == 3


def test_the_cache_stays_within_its_bytes(pipe, media_dir):
    files = [media_dir / name for name in ("clip.mp4", "long_clip.mp4", "silent.mp4")]
    with ChatEngine(pipe, cache_bytes=60_000) as engine:
        for file in files * 2:
            same(engine.ask(chat(file)), pipe(video=str(file), text=QUESTION)[0])
            assert 0 < engine.clips.bytes <= engine.clips.max_bytes
    with ChatEngine(pipe, cache_bytes=0) as engine:
        for _ in range(2):
            same(engine.ask(chat(files[0])), pipe(video=str(files[0]), text=QUESTION)[0])
        assert (engine.clips.misses, engine.clips.bytes, len(engine.clips)) == (2, 0, 0)


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "favor_projector", "visual_pooling": "space_and_time", "audio_pool_size": 4},
        {"model_type": "favor_projector", "modalities": "visual"},
        {"model_type": "favor_projector", "modalities": "audio"},
        {"window_frames": None},
        {"synchronize": False},
        {"modalities": "audio"},
    ],
)
def test_other_connectors(config, tmp_path, media_dir):
    from favor.trainers.from_scratch.scratch_model import build_from_scratch
    from favor.trainers.recipe_sections import ScratchModel
    from tests.conftest import tiny_settings

    settings = tiny_settings()
    settings["config"]["connector_config"] = {
        **({} if "model_type" in config else settings["config"]["connector_config"]),
        **config,
    }
    model, processor = build_from_scratch(ScratchModel(**settings), ["Which sound is heard first? red"], seed=0)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    pipe = load_pipeline(str(tmp_path))
    with ChatEngine(pipe) as engine:
        for name in ("clip.mp4", "silent.mp4") * 2:
            same(engine.ask(chat(media_dir / name)), pipe(video=str(media_dir / name), text=QUESTION)[0])


def test_control_tokens_in_a_users_text_are_text(engine, media_dir):
    answer = engine.ask(chat(media_dir / "clip.mp4", "Is <video> a token? <audio></s>"))
    assert isinstance("".join(answer), str)
    assert answer.media["items"] == 1


@pytest.mark.parametrize(
    "messages, message",
    [
        ([], "conversation is empty"),
        ("hello", "list of messages"),
        ([{"role": "user", "content": " "}], "is empty"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "last message must be the user's"),
        (chat(b"nonsense"), "cannot be read as media"),
        (chat("missing.mp4"), "missing.mp4"),
        ([{"role": "user", "content": [{"type": "video"}]}], "must hold"),
        (
            [{"role": "system", "content": [{"type": "video", "path": "a"}]}, {"role": "user", "content": "b"}],
            "Only user",
        ),
    ],
)
def test_bad_questions_are_errors_of_their_own_answer(engine, messages, message):
    answer = engine.ask(messages)
    with pytest.raises((ValueError, OSError), match=message):
        list(answer)
    assert answer.finish_reason == "error"
    assert engine.pending == 0
    assert list(engine.ask([{"role": "user", "content": "Red?"}])) is not None


def test_a_text_that_cannot_fit_is_refused_at_once(engine):
    with pytest.raises(ValueError, match="has 20000000 characters; the language model takes 512 tokens"):
        list(engine.ask([{"role": "user", "content": "red " * 5_000_000}]))
    with pytest.raises(ValueError, match="takes 512 together"):
        list(engine.ask([{"role": "user", "content": "red " * 5_000}]))


def test_media_limits(pipe, media_dir):
    limits = {"max_duration": 1.0}
    with ChatEngine(pipe, media_limits=limits) as engine, pytest.raises(ValueError, match="max_duration=1"):
        list(engine.ask(chat(media_dir / "clip.mp4")))


def test_length(talkative_pipe, media_dir):
    text = [{"role": "user", "content": "Red?"}]
    with ChatEngine(talkative_pipe) as engine:
        answers = [engine.ask(text, GenerationSettings(max_new_tokens=count)) for count in (1, 7, 20)]
        assert [len("".join(answer)) > 0 for answer in answers] == [True] * 3
        assert [answer.completion_tokens for answer in answers] == [1, 7, 20]
        assert {answer.finish_reason for answer in answers} == {"length"}
        assert answers[2].text.startswith(answers[1].text.strip())
        with pytest.raises(ValueError, match="takes 6000 together"):
            list(engine.ask(text, GenerationSettings(max_new_tokens=2 * LONG_ANSWER)))


def test_stop_strings_and_chance(talkative_pipe):
    text = [{"role": "user", "content": "Red?"}]
    state = torch.get_rng_state()
    with ChatEngine(talkative_pipe) as engine:
        plain = "".join(engine.ask(text, GenerationSettings(max_new_tokens=30)))
        stop = plain[len(plain) // 2 :][:3]
        answer = engine.ask(text, GenerationSettings(max_new_tokens=30, stop=(stop,)))
        assert "".join(answer) == plain[: plain.index(stop)].rstrip()
        assert answer.finish_reason == "stop"
        settings = [GenerationSettings(20, True, 5.0, seed=seed) for seed in (1, 2, 1, None)]
        drawn = ["".join(answer) for answer in [engine.ask(text, one) for one in settings]]
    assert torch.equal(torch.get_rng_state(), state)
    assert drawn[0] == drawn[2]
    assert len(set(drawn)) == 3


def test_a_cancelled_answer_ends_and_frees_its_place(talkative_pipe, media_dir):
    with ChatEngine(talkative_pipe) as engine:
        answer = engine.ask(chat(media_dir / "clip.mp4"))
        pieces = [next(answer), next(answer)]
        answer.cancel()
        assert list(answer) == []
        assert answer.finish_reason == "cancelled"
        assert answer.text.startswith("".join(pieces))
        assert engine.pending == 0
        wait_until(lambda: engine.generating == 0)
        assert answer.completion_tokens < LONG_ANSWER / 2


def test_a_cancelled_row_leaves_the_others_alone(talkative_pipe):
    text = [{"role": "user", "content": "Red?"}]
    settings = GenerationSettings(max_new_tokens=200)
    with ChatEngine(talkative_pipe) as engine:
        alone = "".join(engine.ask(text, settings))
        answers = [engine.ask(text, settings) for _ in range(3)]
        next(answers[1])
        answers[1].cancel()
        assert ["".join(answers[place]) for place in (0, 2)] == [alone] * 2


def test_newcomers_join_a_running_answer_and_change_nothing(talkative_pipe, media_dir):
    long, short = GenerationSettings(max_new_tokens=600), GenerationSettings(max_new_tokens=5)
    clip = chat(media_dir / "clip.mp4")
    newcomers = [[{"role": "user", "content": f"Red {number}?"}] for number in range(4)]
    with ChatEngine(talkative_pipe) as engine:
        expected = ["".join(engine.ask(clip, long)), *("".join(engine.ask(one, short)) for one in newcomers)]
        running = engine.ask(clip, long)
        next(running)
        joined = []
        for one in newcomers:
            joined.append("".join(engine.ask(one, short)))
            assert not running.ended
        list(running)
        assert [running.text, *joined] == expected
        assert running.completion_tokens == 600
        assert engine.pending == engine.generating == 0


def test_who_cannot_join_takes_turns(talkative_pipe):
    text = [{"role": "user", "content": "Red?"}]
    with ChatEngine(talkative_pipe) as engine:
        running = engine.ask(text, GenerationSettings(max_new_tokens=600))
        next(running)
        assert "".join(engine.ask(text, GenerationSettings(5, True, 2.0)))
        assert not running.ended
        assert "".join(engine.ask(text, GenerationSettings(5, True, 2.0, seed=1)))
        assert not running.ended
        running.cancel()


def test_only_so_many_are_taken(talkative_pipe):
    text = [{"role": "user", "content": "Red?"}]
    with ChatEngine(talkative_pipe, max_pending=2) as engine:
        answers = [engine.ask(text), engine.ask(text, GenerationSettings(seed=1))]
        with pytest.raises(TooManyRequests, match="2 answers are being made; the bound is 2"):
            engine.ask(text)
        answers[1].cancel()
        wait_until(lambda: engine.waiting <= 1)
        answers[0].cancel()
        wait_until(lambda: engine.pending == 0)
        engine.ask(text).cancel()


def test_batches_stay_within_their_bounds(pipe):
    text = [{"role": "user", "content": "Red?"}]
    for bounds, batches in (({"max_batch_size": 2}, 3), ({"max_batch_tokens": 1}, 6)):
        with ChatEngine(pipe, batch_wait=10.0, **bounds) as engine:
            answers = [engine.ask(text) for _ in range(6)]
            assert len({"".join(answer) for answer in answers}) == 1
            assert engine.batches >= batches


def test_a_failing_model_fails_the_answer_and_not_the_engine(engine, monkeypatch):
    text = [{"role": "user", "content": "Red?"}]
    with monkeypatch.context() as patch:
        patch.setattr(engine.model, "generate", lambda **_: 1 // 0)
        with pytest.raises(GenerationFailed, match="division"):
            list(engine.ask(text))
    assert engine.alive and engine.pending == 0
    list(engine.ask(text))


def test_a_reader_that_fails_ends_its_own_answer_only(engine):
    text = [{"role": "user", "content": "Red?"}]

    def broken(_):
        raise OSError("gone")

    ended = [engine.ask(text, sink=broken), engine.ask(text)]
    expected = "".join(ended[1])
    wait_until(lambda: engine.pending == 0)
    assert ended[0].finish_reason == "cancelled"
    assert "".join(engine.ask(text)) == expected


def test_closing_ends_everything(talkative_pipe, media_dir):
    engine = ChatEngine(talkative_pipe)
    answers = [engine.ask(chat(media_dir / "clip.mp4")) for _ in range(5)]
    threads = threading.active_count()
    engine.close()
    assert all(list(answer) is not None and answer.finish_reason == "cancelled" for answer in answers)
    assert threading.active_count() < threads
    assert not engine.alive
    with pytest.raises(RuntimeError, match="closed"):
        engine.ask([{"role": "user", "content": "Red?"}])


@pytest.mark.parametrize("wrong", [{"max_new_tokens": 0}, {"temperature": 0.0}, {"top_p": 1.5}])
def test_settings_out_of_range(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GenerationSettings(**wrong)


def test_bad_media_are_media_errors(engine):
    with pytest.raises(ValueError) as refused:
        list(engine.ask(chat(b"x" * 100)))
    assert any(kind.__name__ == MediaError.__name__ for kind in type(refused.value).__mro__)
