# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""One way from a file to the model's inputs: processor, training, encoder cache, decoded clips and serving agree.

Bit by bit, for random items, options, connectors, texts and chat templates; and what one of them refuses, all do.
"""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from favor.processing import FavorProcessor
from favor.processing.prompts_favor import clean_instruction
from favor.serving.chat_items import checked_chat, prompt_ids
from favor.serving.encoded_clips import EncodedClips
from favor.trainers import FavorDataCollator
from favor.trainers.decoded_clips import decode_clips
from favor.trainers.encoder_cache import encode_dataset
from favor.trainers.from_scratch.scratch_model import build_from_scratch
from favor.trainers.recipe_sections import ScratchModel
from favor.trainers.sample_tokens import media_messages
from tests.conftest import tiny_settings

TEXT_INPUTS = ("input_ids", "attention_mask", "labels")
BLOCKS = "{%- if b['type'] == 'text' -%}{{ b['text'] }}{%- else -%}{{ '<' + b['type'] + '>' }}{%- endif -%}"
CONTENT = (
    "{%- if m['content'] is string -%}{{ m['content'] }}"
    "{%- else -%}{%- for b in m['content'] -%}" + BLOCKS + "{%- endfor -%}{%- endif -%}"
)
ANSWER = (
    "{%- if m['role'] == 'assistant' -%}{%- generation -%}{{ m['content'] + END }}{%- endgeneration -%}{%- else -%}"
)
CHATML = (
    "{%- set END = '<|im_end|>' -%}{%- for m in messages -%}{{ '<|im_start|>' + m['role'] + '\n' }}"
    + ANSWER
    + CONTENT
    + "{{ END }}{%- endif -%}{{ '\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)
LLAMA_3 = (
    "{%- set END = '<|eot_id|>' -%}{{ bos_token }}{%- for m in messages -%}"
    "{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' }}"
    + ANSWER
    # The text first, then the media.
    + "{%- if m['content'] is string -%}{{ m['content'] }}{%- else -%}"
    "{%- for b in m['content'] if b['type'] == 'text' -%}{{ b['text'] + ' ' }}{%- endfor -%}"
    "{%- for b in m['content'] if b['type'] != 'text' -%}{{ '<' + b['type'] + '>' }}{%- endfor -%}"
    "{%- endif -%}{{ END }}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif -%}"
)
TEMPLATES = {"vicuna": None, "chatml": CHATML, "llama-3": LLAMA_3}
CONNECTORS: dict[str, dict[str, Any]] = {
    "synchronised": {},
    "separate": {"synchronize": False},
    "projector": {"model_type": "favor_projector", "visual_pooling": "space_and_time", "audio_pool_size": 3},
}
ITEMS: list[dict[str, Any]] = [
    {"video": "clip.mp4"},
    {"video": "clip.mp4", "use_own_audio": False},
    {"video": "clip.mp4", "audio": "sound.wav"},
    {"video": "silent.mp4"},
    {"video": "silent.mp4", "audio": "sound.wav"},
    {"video": "photo.png", "audio": "sound.wav"},
    {"image": "photo.png"},
    {"image": "photo.png", "audio": "sound.wav"},
    {"audio": "sound.wav"},
    {"audio": "clip.mp4"},
]
TEXTS = st.text(st.sampled_from("ab ?."), min_size=1, max_size=8).filter(str.strip)
QUESTIONS = st.lists(
    st.sampled_from(["What colour?", "USER:", "ASSISTANT: a", "</s>", "<Img>", "<|im_end|>", "red  green", "\n"]),
    min_size=1,
    max_size=4,
).map(lambda parts: " ".join(["Who", *parts]))
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "start": st.sampled_from([0.0, 0.6]),
        "end": st.sampled_from([1.4, 2.2]),
        "num_frames": st.sampled_from([1, 3]),
        "max_frames": st.sampled_from([2, 4, 9]),
        "long_video": st.sampled_from(["error", "thin"]),
    },
)


@dataclass(frozen=True)
class Sample:
    """A drawn sample: which item, what is said about it."""

    item: dict[str, Any]
    question: str
    answer: str
    system: str | None
    second: str | None

    def row(self, folder: Path) -> dict[str, Any]:
        messages = [] if self.system is None else [{"role": "system", "content": self.system}]
        messages += [{"role": "user", "content": self.question}, {"role": "assistant", "content": self.answer}]
        if self.second is not None:
            messages += [{"role": "user", "content": self.second}, {"role": "assistant", "content": self.answer}]
        media = {kind: str(folder / self.item[kind]) if kind in self.item else None for kind in KINDS}
        own = self.item.get("use_own_audio", True)
        return {"messages": messages, **media, "use_own_audio": own, "origin": "the sample"}


KINDS = ("video", "image", "audio")
SAMPLES = st.builds(Sample, st.sampled_from(ITEMS), QUESTIONS, TEXTS, st.none() | TEXTS, st.none() | TEXTS)
THINNED = Sample({"video": "clip.mp4", "audio": "sound.wav"}, "USER: is </s> it? ASSISTANT: no", "b", "a", None)


@pytest.fixture(scope="module")
def models():
    """For each connector a random model and its processor, whose tokenizer writes a BOS of its own."""
    built = {}
    for name, connector in CONNECTORS.items():
        values = tiny_settings()
        plain = connector if "model_type" in connector else values["config"]["connector_config"] | connector
        values["config"]["connector_config"] = plain
        model, processor = build_from_scratch(ScratchModel(**values), ["What colour is it? red green"], seed=0)
        built[name] = model.eval(), processor
    return built


def with_options(processor: FavorProcessor, template: str, options: dict[str, Any]) -> FavorProcessor:
    other = copy.deepcopy(processor)
    other.media_options = dict(options)
    if TEMPLATES[template] is not None:
        other.chat_template = TEMPLATES[template]
    return other


def same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype and torch.equal(found[name], tensor), name


@settings(max_examples=45, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(SAMPLES, OPTIONS, st.sampled_from(sorted(CONNECTORS)), st.sampled_from(sorted(TEMPLATES)))
@example(THINNED, {"max_frames": 3, "long_video": "thin"}, "synchronised", "vicuna")
@example(THINNED, {}, "synchronised", "chatml")
@example(THINNED, {"start": 0.6, "end": 1.4}, "projector", "llama-3")
def test_everybody_gives_the_model_the_same(models, media_dir, sample, options, connector, template):
    model, processor = models[connector][0], with_options(models[connector][1], template, options)
    row = sample.row(media_dir)
    try:
        batch = FavorDataCollator(processor)([row])
    except ValueError:
        refused_by_all(model, processor, row)
        return
    media = {name: value for name, value in batch.items() if name not in TEXT_INPUTS}
    with torch.no_grad():
        states = model.model.encode_media(**media)
        embeddings = model.get_video_features(**media).pooler_output
    instruction = clean_instruction(sample.question, processor.special_tokens)
    assert media["qformer_input_ids"][0].tolist() == processor.instruction_ids(instruction)
    rows = Dataset.from_list([row])
    for clips in (None, decode_clips(rows, processor, workers=0)):
        encoded, collate = encode_dataset(model, processor, rows, clips, dtype="float32", workers=0, progress=False)
        cached = collate(list(encoded))
        same({name: cached[name] for name in TEXT_INPUTS}, {name: batch[name] for name in TEXT_INPUTS})
        same(cached["encoder_states"], states)
    same_when_served(model, processor, row, media, embeddings)


def same_when_served(model, processor, row, media, embeddings) -> None:
    chat = checked_chat(media_messages(row)[: 2 if row["messages"][0]["role"] == "system" else 1])
    asked = processor.apply_chat_template(
        [chat],
        load_audio_from_video=row["use_own_audio"],
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        add_generation_prompt=True,
        sanitize_control_tokens=True,
    )
    same({name: asked[name] for name in media}, media)
    (item,) = processor.chat_items(chat, row["use_own_audio"])
    inputs, counts = processor.media_inputs([processor.load_item(item)])
    same({**inputs, **processor.instruction_inputs([item.instruction])}, media)
    assert prompt_ids(chat, processor, counts) == asked["input_ids"][0].tolist()
    clips = EncodedClips(model, 1 << 24)
    clip = clips.clip(item, processor)
    assert clip.summary == processor.media_summary(asked)[0] and [clip.summary.query_tokens] == counts
    assert torch.equal(clips.embeddings(item, clip, processor), embeddings[0])


def refused_by_all(model, processor, row) -> None:
    rows = Dataset.from_list([row])
    with pytest.raises(ValueError):
        decode_clips(rows, processor, workers=0)
    with pytest.raises(ValueError):
        encode_dataset(model, processor, rows, dtype="float32", workers=0, progress=False)
    messages = media_messages(row)
    (item,) = processor.chat_items(messages, row["use_own_audio"])
    with pytest.raises(ValueError):
        EncodedClips(model, 1 << 24).clip(item, processor)


def test_two_files_that_would_be_thinned_differently_are_refused_by_all(models, media_dir):
    model, processor = models["synchronised"]
    processor = with_options(processor, "vicuna", {"max_frames": 3, "long_video": "thin"})
    alone = Sample({"video": "clip.mp4"}, "a", "b", None, None).row(media_dir)
    FavorDataCollator(processor)([alone])
    both = THINNED.row(media_dir)
    with pytest.raises(ValueError, match="max_frames"):
        FavorDataCollator(processor)([both])
    refused_by_all(model, processor, both)


PAIRED = [("video",), ("image",), ("audio",), ("video", "audio"), ("image", "audio")]
ARRAYS = {
    "video": np.repeat(np.arange(0, 240, 40, dtype=np.uint8), 40 * 40 * 3).reshape(6, 40, 40, 3),
    "image": np.full((40, 30, 3), 90, np.uint8),
    "audio": (np.sin(np.arange(12000) / 9).astype(np.float32), 8000),
}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from([("video",), ("image",), ("audio",), ("video", "audio"), ("image", "audio")]), max_size=3
    ),
    st.lists(QUESTIONS, min_size=3, max_size=3),
    st.fixed_dictionaries({}, optional={"num_frames": st.sampled_from([1, 4])}),
    st.sampled_from(sorted(CONNECTORS)),
    st.sampled_from(sorted(TEMPLATES)),
)
def test_items_of_arrays_and_of_many_turns(models, kinds, questions, options, connector, template):
    """Each item has the instruction of its own message, and what is read alone equals what is read in a chat."""
    options = {} if models[connector][1].shares_steps else options  # there pictures follow the clock
    processor = with_options(models[connector][1], template, options)
    chat: list[dict] = []
    for own, question in zip(kinds, questions, strict=False):
        blocks = [{"type": kind, kind: ARRAYS[kind]} for kind in own]
        chat += [{"role": "user", "content": [*blocks, {"type": "text", "text": question}]}]
        chat += [{"role": "assistant", "content": "an answer"}]
    chat += [{"role": "user", "content": questions[-1]}]
    inputs = processor.apply_chat_template(
        [chat], tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True
    )
    items = processor.chat_items(chat)
    assert [item.kind for item in items] == [own[0] for own in kinds]
    asked = [clean_instruction(question, processor.special_tokens) for question in questions]
    assert [item.instruction for item in items] == asked[: len(kinds)]
    media, counts = processor.media_inputs([processor.load_item(item) for item in items])
    media |= processor.instruction_inputs([item.instruction for item in items])
    same({name: inputs[name] for name in inputs if name not in TEXT_INPUTS}, media)
    tokens = processor.prompt_tokens(chat, counts, add_generation_prompt=True)
    assert tokens.input_ids == inputs["input_ids"][0].tolist()


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(SAMPLES, min_size=2, max_size=3), st.sampled_from(sorted(CONNECTORS)), st.sampled_from(sorted(TEMPLATES))
)
def test_batches_equal_singles(models, media_dir, samples, connector, template):
    model, processor = models[connector][0], with_options(models[connector][1], template, {})
    collate = FavorDataCollator(processor)
    rows = [sample.row(media_dir) for sample in samples]
    batch = collate(rows)
    media = {name: value for name, value in batch.items() if name not in TEXT_INPUTS}
    with torch.no_grad():
        together = model.get_video_features(**media).pooler_output
        for number, row in enumerate(rows):
            alone = collate([row])
            own = batch["attention_mask"][number].bool()
            assert torch.equal(batch["input_ids"][number][own], alone["input_ids"][0])
            single = {name: value for name, value in alone.items() if name not in TEXT_INPUTS}
            torch.testing.assert_close(
                together[number], model.get_video_features(**single).pooler_output[0], rtol=1e-4, atol=1e-4
            )
