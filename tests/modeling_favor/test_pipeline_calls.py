# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Forms of calls that people use: files first, data sets and columns, plurals; and arguments of the caller's."""

import copy

import datasets
import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    BitsAndBytesConfig,
    GenerationConfig,
    StoppingCriteria,
    TextStreamer,
    pipeline,
)
from transformers.dynamic_module_utils import get_class_from_dynamic_module
from transformers.pipelines.pt_utils import KeyDataset

from favor.modeling_favor import VideoTextToTextPipeline

QUESTION = "Which sound is heard first?"


@pytest.fixture(scope="module")
def pipe(tiny_parts) -> VideoTextToTextPipeline:
    model, processor = tiny_parts
    return VideoTextToTextPipeline(model=model, processor=processor, device="cpu", max_new_tokens=3)


@pytest.fixture(scope="module")
def clip(media_dir) -> str:
    return str(media_dir / "clip.mp4")


@pytest.fixture(scope="module")
def answer(pipe, clip) -> list[dict]:
    return pipe(video=clip, text=QUESTION)


def test_a_file_first(pipe, media_dir, clip, answer):
    assert pipe(clip, text=QUESTION) == answer
    assert pipe(media_dir / "clip.mp4", text=QUESTION) == answer
    assert pipe((media_dir / "clip.mp4").read_bytes(), text=QUESTION) == answer
    with open(clip, "rb") as file:
        assert pipe(file, text=QUESTION) == answer
    sound, photo = str(media_dir / "sound.wav"), str(media_dir / "photo.png")
    assert pipe(sound, text=QUESTION) == pipe(audio=sound, text=QUESTION)
    assert pipe(photo, text=QUESTION) == pipe(image=photo, text=QUESTION)
    assert pipe(Image.open(photo), text=QUESTION) == pipe(image=photo, text=QUESTION)
    assert pipe(photo, audio=sound, text=QUESTION) == pipe(image=photo, audio=sound, text=QUESTION)
    assert pipe([clip, sound], text=QUESTION) == [answer, pipe(audio=sound, text=QUESTION)]
    assert pipe([clip, clip], text=[QUESTION, QUESTION]) == [answer, answer]


def test_plurals_and_options_of_files(pipe, clip, answer):
    assert pipe(videos=clip, text=QUESTION) == answer
    assert pipe(clip, text=QUESTION, fps=2) == answer
    part = pipe(clip, text=QUESTION, start=1, end=np.float32(2.5))
    assert part[0]["media"]["visual_frames"] == 3
    assert pipe(clip, text=QUESTION, processor_kwargs={"start": 1, "end": 2.5}) == part
    assert pipe(clip, text=QUESTION, processor_kwargs={"videos_kwargs": {"start": 1, "end": 2.5}}) == part


def test_data_sets_columns_and_iterators(pipe, clip, answer):
    rows = [{"video": clip, "text": QUESTION}] * 2
    table = datasets.Dataset.from_list(rows)
    for inputs in (table, table.to_iterable_dataset(), iter(rows), map(dict, rows)):
        assert list(pipe(inputs)) == [answer, answer]
    column = table["video"]
    for inputs in (column, iter([clip, clip]), KeyDataset(rows, "video"), (file for file in column)):
        assert list(pipe(inputs, text=QUESTION)) == [answer, answer]
    assert list(pipe(column, text=table["text"])) == [answer, answer]
    assert list(pipe(video=column, text=table["text"])) == [answer, answer]
    assert list(pipe(video=iter([clip]), text=QUESTION)) == [answer]
    assert list(pipe(table.select_columns("video"), text=QUESTION)) == [answer, answer]


def test_questions_of_a_data_set(pipe, clip, answer):
    rows = datasets.Dataset.from_dict({"video": [clip, clip], "text": [QUESTION, QUESTION]})
    clips, questions = KeyDataset(rows, "video"), KeyDataset(rows, "text")
    assert pipe(videos=clips, text=questions) == [answer, answer]
    assert list(pipe(clips, text=questions)) == [answer, answer]
    assert list(pipe((path for path in rows["video"]), text=iter(rows["text"]), batch_size=np.int64(2))) == [
        answer,
        answer,
    ]
    for texts, message in (
        ([QUESTION], "text ended after 1, the inputs go on"),
        ([QUESTION] * 3, "inputs ended after 2"),
    ):
        with pytest.raises(ValueError, match=message):
            list(pipe(clips, text=texts))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_ids": torch.ones(1, 3, dtype=torch.long)}, "input_ids is not possible here"),
        ({"attention_mask": torch.ones(1, 3)}, "attention_mask is not possible here"),
        ({"inputs_embeds": torch.zeros(1, 3, 8)}, "inputs_embeds is not possible here"),
        ({"pixel_values_videos": torch.zeros(1, 1, 3, 8, 8)}, "pixel_values_videos is not possible here"),
        ({"generate_kwargs": {"encoder_states": {}}}, "encoder_states is not possible here"),
        ({"streamer": print}, "streamer is a builtin_function_or_method, which has no put and end"),
        ({"streamer": True, "stream": True}, "streamer is a bool, which has no put and end"),
        ({"stopping_criteria": lambda ids, scores: True}, "stopping_criteria is a function; it must be a list"),
        ({"stopping_criteria": [5]}, "stopping_criteria is a list; it must be a list of functions"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1; got 0"),
        ({"batch_size": "2"}, "batch_size must be a whole number of at least 1; got '2'"),
        ({"batch_size": 2.0}, "batch_size must be a whole number of at least 1; got 2.0"),
    ],
)
def test_arguments_that_the_pipeline_makes_itself_or_cannot_use_are_refused(pipe, clip, options, message):
    with pytest.raises(ValueError, match=message):
        pipe(clip, text=QUESTION, **options)


def test_inputs_of_no_known_form_are_named(pipe, clip):
    message = {"role": "user", "content": [{"type": "video", "path": clip}, {"type": "text", "text": QUESTION}]}
    with pytest.raises(ValueError, match="A message by itself is given; give the chat"):
        pipe(message)
    with pytest.raises(ValueError, match="An input of type ndarray is neither a chat nor a dict; give text="):
        pipe(np.zeros((4, 4, 3), np.uint8), text=QUESTION)


def test_a_sound_and_its_rate_are_one_input(pipe):
    samples = np.sin(np.arange(44100) / 20).astype(np.float32)
    expected = pipe(audio={"array": samples, "sampling_rate": 44100}, text=QUESTION)
    assert expected[0]["media"]["audio_seconds"] == pytest.approx(1.0, abs=0.05)
    assert pipe(audio=(samples, 44100), text=QUESTION) == expected
    assert pipe(audio=(44100, samples), text=QUESTION) == expected  # Gradio's
    assert pipe(audio=(samples, np.int64(44100)), text=QUESTION) == expected
    assert pipe(audio=(torch.from_numpy(samples).requires_grad_(), 44100.0), text=QUESTION) == expected
    assert pipe(audio=[(samples, 44100)] * 2, text=QUESTION) == [expected, expected]
    block = {"type": "audio", "audio": (samples, 44100)}
    assert pipe([{"role": "user", "content": [block, {"type": "text", "text": QUESTION}]}]) == expected
    short = samples[:16000]
    assert pipe(audio=short.tolist(), text=QUESTION) == pipe(audio=short, text=QUESTION)


class Stop(StoppingCriteria):
    """Ends every answer after its first token."""

    def __call__(self, input_ids, scores, **kwargs):
        return torch.ones(len(input_ids), dtype=torch.bool)


class Listener(TextStreamer):
    """Keeps what it hears."""

    def __init__(self, tokenizer):
        super().__init__(tokenizer, skip_prompt=True, skip_special_tokens=True)
        self.heard = ""

    def on_finalized_text(self, text, stream_end=False):
        self.heard += text


def test_a_callers_stopping_rule_and_streamer_work_beside_streaming(pipe, clip, answer):
    first = pipe(video=clip, text=QUESTION, stopping_criteria=[Stop()])[0]["generated_text"]
    assert first != answer[0]["generated_text"]
    assert "".join(pipe(video=clip, text=QUESTION, stopping_criteria=[Stop()], stream=True)) == first
    listener = Listener(pipe.tokenizer)
    assert "".join(pipe(video=clip, text=QUESTION, streamer=listener, stream=True)) == answer[0]["generated_text"]
    assert listener.heard.strip() == answer[0]["generated_text"]
    stream = pipe(video=clip, text=QUESTION, generate_kwargs={"stopping_criteria": [Stop()]}, stream=True)
    assert "".join(stream) == first


def test_tokens_that_the_caller_leaves_out_are_left_out_beside_the_placeholders(pipe, clip, monkeypatch):
    never = {pipe.processor.video_token_id, pipe.processor.image_token_id, pipe.processor.audio_token_id}
    seen = []

    def generate(**kwargs):
        config = kwargs.get("generation_config")
        seen.append(set(kwargs.get("suppress_tokens") or config.suppress_tokens))
        return kwargs["input_ids"]

    monkeypatch.setattr(pipe.model, "generate", generate)
    pipe(text=QUESTION)
    pipe(text=QUESTION, suppress_tokens=[5])
    pipe(text=QUESTION, generation_config=GenerationConfig(suppress_tokens=[6], max_new_tokens=2))
    pipe(text=QUESTION, generate_kwargs={"suppress_tokens": [7]})
    assert seen == [never, never | {5}, never | {6}, never | {7}]


def test_a_callers_config_replaces_what_the_pipeline_was_given(tiny_parts, clip):
    model, processor = tiny_parts
    pipe = VideoTextToTextPipeline(
        model=model, processor=processor, device="cpu", generate_kwargs={"max_new_tokens": 1, "min_new_tokens": 1}
    )
    one = pipe(video=clip, text=QUESTION)[0]["generated_text"]
    more = pipe(video=clip, text=QUESTION, generation_config=GenerationConfig(max_new_tokens=4))[0]["generated_text"]
    assert more.startswith(one.rstrip("\ufffd")) and len(more) > len(one)


def test_a_model_in_hand_is_enough(tiny_parts, clip, answer):
    from peft import LoraConfig, get_peft_model

    model, processor = tiny_parts
    made = pipeline("video-text-to-text", model=model, processor=processor, device="cpu")
    assert made(video=clip, text=QUESTION, max_new_tokens=3) == answer
    same = type(model).from_pretrained(None, config=model.config, state_dict=model.state_dict())
    adapted = get_peft_model(same, LoraConfig(target_modules=["q_proj"]))
    made = pipeline("video-text-to-text", model=adapted.eval(), processor=processor, device="cpu")
    assert made(video=clip, text=QUESTION, max_new_tokens=3) == answer  # a fresh adapter changes nothing


def test_a_model_in_hand_of_remote_code_with_adapter_or_few_bits_is_enough(tiny_model_dir, clip):
    from peft import LoraConfig, get_peft_model

    # What `AutoModel` takes in a process that has not imported `favor`.
    names = ("modeling_favor.FavorForConditionalGeneration", "processing_favor.FavorProcessor")
    model_class, processor_class = (get_class_from_dynamic_module(name, str(tiny_model_dir)) for name in names)
    processor = processor_class.from_pretrained(tiny_model_dir)

    def loaded(**options):
        return model_class.from_pretrained(tiny_model_dir, **options).eval()

    def answered(model):
        made = pipeline("video-text-to-text", model=model, processor=processor)
        return made(video=clip, text=QUESTION, max_new_tokens=3)

    plain = answered(loaded())
    assert plain[0]["media"]["visual_frames"] == 6
    lora = LoraConfig(target_modules=["q_proj"])
    assert answered(get_peft_model(loaded(), lora).eval()) == plain
    eight_bits = {"quantization_config": BitsAndBytesConfig(load_in_8bit=True), "dtype": torch.bfloat16}
    few = answered(loaded(**eight_bits))
    assert few[0]["media"] == plain[0]["media"]
    assert answered(get_peft_model(loaded(**eight_bits), lora).eval()) == few


def test_a_processor_of_another_frame_rate_is_refused(tiny_parts, clip):
    model, processor = tiny_parts
    processor = copy.deepcopy(processor)
    pipe = VideoTextToTextPipeline(model=model, processor=processor, device="cpu", max_new_tokens=1)
    for rate in (4.0, 1.0):
        processor.frame_rate = rate
        for media in ({"video": clip}, {"video": clip, "end": 0.9}):
            with pytest.raises(ValueError, match=f"The processor's frame_rate is {rate:g} Hz, the model's 2 Hz"):
                pipe(**media, text=QUESTION)


@pytest.mark.parametrize("kind", ["video", "image"])
def test_pictures_of_another_size_than_the_towers_are_refused(pipe, media_dir, kind):
    file = {"video": "clip.mp4", "image": "photo.png"}[kind]
    tower = pipe.model.config.vision_config.image_size
    for options in ({"size": {"height": tower, "width": tower // 2}}, {"size": {"height": 2 * tower, "width": tower}}):
        with pytest.raises(ValueError, match=f"the vision tower reads {tower} x {tower}: let the processor resize"):
            pipe(**{kind: str(media_dir / file)}, text=QUESTION, processor_kwargs=options)
    small = np.zeros((tower // 2, tower, 3), np.uint8)
    value = small if kind == "image" else small[None].repeat(3, 0)
    with pytest.raises(ValueError, match="the vision tower reads"):
        pipe(**{kind: value}, text=QUESTION, processor_kwargs={"do_resize": False})
    for size in ({"shortest_edge": tower}, "large", {"height": 0, "width": tower}, (tower, tower, 3)):
        with pytest.raises(ValueError, match="size must hold height and width|Field 'size'"):
            pipe(**{kind: str(media_dir / file)}, text=QUESTION, processor_kwargs={"images_kwargs": {"size": size}})


def test_what_cannot_be_is_refused_by_name(pipe, clip):
    def fails(match, *args, **kwargs):
        with pytest.raises(ValueError, match=match):
            pipe(*args, **kwargs)

    fails("text is missing; give the question as text=", clip)
    fails("video is given twice", clip, video=clip, text=QUESTION)
    fails("video and videos are the same", video=clip, videos=clip, text=QUESTION)
    fails("start is given twice", clip, text=QUESTION, start=1, processor_kwargs={"start": 2})
    fails("fps=4 was asked for", clip, text=QUESTION, fps=4)
    fails("num_frames=8 was asked for", clip, text=QUESTION, num_frames=8)
    fails("padding_side='right' is not possible", clip, text=QUESTION, processor_kwargs={"padding_side": "right"})
    fails("output_scores is not possible", text=QUESTION, output_scores=True)
    fails("colour is no option", clip, text=QUESTION, processor_kwargs={"colour": 1})
    fails("lists must have the same length; 2 inputs, text has 1", [clip, clip], text=[QUESTION])
    fails("type ndarray is neither a chat nor a dict; give text=", [np.zeros((2, 8, 8, 3), np.uint8)], text=QUESTION)
    fails("must be a number of samples per second, but '44100'", audio=(np.zeros(9), "44100"), text=QUESTION)
    fails("must be positive", audio=(np.zeros(9), 0), text=QUESTION)
    fails("cannot be a int|holds a int", audio=5, text=QUESTION)
    fails("one input at a time; got a data set or iterator", iter([clip]), text=QUESTION, stream=True)
    fails("select_columns", datasets.Dataset.from_list([{"video": clip, "text": "a", "label": 1}]).select([0])[0])
