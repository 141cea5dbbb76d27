# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The video-text-to-text pipeline: forms of input, batches, streaming, saving, errors."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import TextStreamer

from favor.modeling_favor import VideoTextToTextPipeline

QUESTION = "Which sound is heard first?"


@pytest.fixture(scope="module")
def pipe(tiny_parts) -> VideoTextToTextPipeline:
    model, processor = tiny_parts
    return VideoTextToTextPipeline(model=model, processor=processor, device="cpu")


@pytest.fixture(scope="module")
def clip(media_dir) -> str:
    return str(media_dir / "clip.mp4")


@pytest.fixture(scope="module")
def answer(pipe, clip) -> list[dict]:
    return pipe(video=clip, text=QUESTION)


def test_an_answer_is_new_text_and_what_was_seen_and_heard(answer):
    assert [set(record) for record in answer] == [{"generated_text", "media"}]
    assert answer[0]["generated_text"] == answer[0]["generated_text"].strip() != ""
    assert QUESTION not in answer[0]["generated_text"]
    assert answer[0]["media"]["visual_frames"] == 6
    assert answer[0]["media"]["audio_seconds"] == pytest.approx(3.0, abs=0.05)


def test_chat_dict_and_keywords_give_the_same_answer(pipe, clip, answer):
    chat = [{"role": "user", "content": [{"type": "video", "path": clip}, {"type": "text", "text": QUESTION}]}]
    assert pipe(chat) == answer
    assert pipe(text=chat) == answer
    assert pipe({"video": clip, "text": QUESTION}) == answer
    assert pipe([chat, chat]) == [answer, answer]
    assert pipe([{"video": clip, "text": QUESTION}]) == [answer]


def test_path_bytes_and_file_object_give_the_same_answer(pipe, clip, media_dir, answer):
    path = media_dir / "clip.mp4"
    assert pipe(video=path, text=QUESTION) == answer
    assert pipe(video=path.read_bytes(), text=QUESTION) == answer
    with path.open("rb") as file:
        assert pipe(video=file, text=QUESTION) == answer


@pytest.mark.filterwarnings("error:The given NumPy array is not writable")
def test_pictures_and_sounds_in_memory(pipe, media_dir):
    photo = media_dir / "photo.png"
    by_path = pipe(image=str(photo), text=QUESTION)
    assert pipe(image=Image.open(photo), text=QUESTION) == by_path
    assert pipe(image=np.asarray(Image.open(photo)), text=QUESTION) == by_path
    samples = np.sin(np.arange(16000) / 8).astype(np.float32)
    heard = pipe(audio={"array": samples, "sampling_rate": 16000}, text=QUESTION)
    assert heard[0]["media"]["audio_seconds"] == pytest.approx(1.0, abs=0.05)
    assert pipe(audio=samples, text=QUESTION) == heard


def test_a_list_of_pictures_is_one_clip(pipe):
    pictures = [Image.new("RGB", (32, 32), colour) for colour in ("red", "green", "blue")]
    record = pipe(video=pictures, text=QUESTION)[0]
    assert record["media"]["items"] == 1
    assert record["media"]["visual_frames"] == 3
    assert pipe(video=np.stack([np.asarray(p) for p in pictures]), text=QUESTION)[0] == record


def test_sound_beside_an_image_is_one_item_with_it(pipe, media_dir):
    record = pipe(image=str(media_dir / "photo.png"), audio=str(media_dir / "sound.wav"), text=QUESTION)[0]
    assert record["media"]["items"] == 1
    assert record["media"]["visual_frames"] == 5
    assert record["media"]["audio_seconds"] == pytest.approx(2.5, abs=0.05)


def test_muting_a_video_takes_its_sound_away(pipe, clip, answer):
    muted = pipe(video=clip, text=QUESTION, load_audio_from_video=False)
    assert muted[0]["media"] == {**answer[0]["media"], "audio_seconds": 0.0}
    assert muted[0]["generated_text"] != answer[0]["generated_text"]


def test_text_alone_is_answered(pipe):
    assert pipe(text=QUESTION)[0]["media"]["items"] == 0


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_batches_give_the_answers_of_single_inputs(pipe, media_dir, batch_size):
    inputs = [
        {"video": str(media_dir / "long_clip.mp4"), "text": QUESTION},
        {"image": str(media_dir / "photo.png"), "text": "What colour is the shape?"},
        {"video": str(media_dir / "silent.mp4"), "text": "Hello"},
        {"text": "Hello"},
        {"audio": str(media_dir / "sound.wav"), "text": QUESTION},
    ]
    assert pipe(inputs, batch_size=batch_size) == [pipe(one) for one in inputs]


def test_one_clip_and_several_questions(pipe, clip, answer):
    answers = pipe(video=clip, text=[QUESTION, "What colour is the shape?"], batch_size=2)
    assert answers[0] == answer
    assert len(answers) == 2


def test_generators_and_datasets_are_answered_as_they_are_read(pipe, clip, answer):
    read = []

    def inputs():
        for number in range(3):
            read.append(number)
            yield {"video": clip, "text": QUESTION}

    answers = pipe(inputs(), batch_size=1)
    assert next(answers) == answer
    assert len(read) < 3

    class Clips(torch.utils.data.Dataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            if index >= len(self):
                raise IndexError
            return {"video": clip, "text": QUESTION}

    assert list(pipe(Clips())) == [answer]


def test_streaming_gives_the_same_text(pipe, clip, answer):
    stream = pipe(video=clip, text=QUESTION, stream=True)
    assert stream.media == answer[0]["media"]
    assert "".join(stream) == answer[0]["generated_text"]


def test_a_stream_can_be_left_early(pipe, clip):
    stream = pipe(video=clip, text=QUESTION, stream=True, max_new_tokens=400)
    next(stream)
    stream.close()
    assert list(stream) == []


def test_an_error_while_streaming_reaches_the_reader(pipe, clip):
    with pytest.raises(ValueError, match="not_an_option"):
        list(pipe(video=clip, text=QUESTION, stream=True, not_an_option=1))


def test_a_streamer_of_the_callers_is_used(pipe, clip, answer):
    heard = []

    class Listener(TextStreamer):
        def on_finalized_text(self, text, stream_end=False):
            heard.append(text)

    pipe(video=clip, text=QUESTION, streamer=Listener(pipe.tokenizer, skip_prompt=True, skip_special_tokens=True))
    assert "".join(heard).strip() == answer[0]["generated_text"]


def test_generate_options_of_call_and_constructor(tiny_parts, clip):
    model, processor = tiny_parts
    pipe = VideoTextToTextPipeline(model=model, processor=processor, device="cpu", max_new_tokens=2)
    two = pipe(video=clip, text=QUESTION)[0]["generated_text"]
    five = pipe(video=clip, text=QUESTION, max_new_tokens=5)[0]["generated_text"]
    assert five.startswith(two.rstrip("\ufffd"))
    assert len(five) > len(two)
    assert pipe(video=clip, text=QUESTION, generate_kwargs={"max_new_tokens": 5})[0]["generated_text"] == five
    beams = pipe(video=clip, text=QUESTION, num_beams=3, num_return_sequences=2)
    assert len(beams) == 2


def test_full_text_is_the_chat_with_the_answer(pipe, clip, answer):
    chat = [{"role": "user", "content": [{"type": "video", "path": clip}, {"type": "text", "text": QUESTION}]}]
    full = pipe(chat, return_full_text=True)[0]["generated_text"]
    assert full == [*chat, {"role": "assistant", "content": answer[0]["generated_text"]}]


def test_a_chat_that_breaks_off_in_an_answer_is_continued(pipe, clip):
    chat = [
        {"role": "user", "content": [{"type": "video", "path": clip}, {"type": "text", "text": QUESTION}]},
        {"role": "assistant", "content": "a bell"},
    ]
    answered, continued = pipe([chat[:1], chat], batch_size=2)
    assert answered == pipe(chat[:1])
    assert continued == pipe(chat)
    full = pipe(chat, return_full_text=True)[0]["generated_text"]
    assert full[-1] == {"role": "assistant", "content": "a bell" + continued[0]["generated_text"]}


def test_errors_say_what_to_do(pipe, clip):
    def fails(error, match, *args, **kwargs):
        with pytest.raises(error, match=match):
            pipe(*args, **kwargs)

    fails(ValueError, "Nothing to answer; give text=")
    fails(ValueError, "text is missing", video=clip)
    fails(ValueError, "text is empty", video=clip, text="  ")
    fails(FileNotFoundError, "missing.mp4", video="missing.mp4", text=QUESTION)
    fails(ValueError, "text has 3, video has 2", video=[clip] * 2, text=[QUESTION] * 3)
    fails(ValueError, "at least 1", video=[], text=[])
    fails(ValueError, "empty", [])
    fails(ValueError, "text is missing; give the question as text=", clip)
    fails(ValueError, "neither a chat nor a dict", 5)
    fails(ValueError, "Unknown key 'question'", {"video": clip, "question": QUESTION})
    fails(ValueError, "Put the media and the text inside", [{"role": "user", "content": "hi"}], video=clip)
    fails(ValueError, "max_new_token", video=clip, text=QUESTION, max_new_token=3)
    fails(ValueError, "given twice", text=QUESTION, max_new_tokens=3, generate_kwargs={"max_new_tokens": 3})
    fails(ValueError, "batch_size must be a whole number of at least 1; got -1", text=[QUESTION], batch_size=-1)
    fails(ValueError, "one input at a time", text=[QUESTION, QUESTION], stream=True)


def test_a_pipeline_needs_a_processor(tiny_parts):
    with pytest.raises(ValueError, match="processor="):
        VideoTextToTextPipeline(model=tiny_parts[0], device="cpu")
