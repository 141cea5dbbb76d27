# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Chats: the rendered prompt, the media of its blocks, and the mask of the answers."""

import base64
import io
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import BaseModel

OPTIONS = {"tokenize": True, "return_dict": True, "return_tensors": "pt"}


def user(*blocks):
    return {"role": "user", "content": [{"type": "text", "text": b} if isinstance(b, str) else b for b in blocks]}


def video(path):
    return {"type": "video", "path": str(path)}


def test_many_turns_are_vicunas(processor, clip_path):
    chat = [
        {"role": "system", "content": "Be brief."},
        user(video(clip_path), "What is seen?"),
        {"role": "assistant", "content": "A flash."},
        {"role": "user", "content": "And heard?"},
        {"role": "assistant", "content": [{"type": "text", "text": "A beep."}]},
    ]
    expected = (
        "<s>Be brief.\nUSER: <Img><video></Img> What is seen?\nASSISTANT: A flash.</s>"
        "USER: And heard?\nASSISTANT: A beep.</s>"
    )
    assert processor.apply_chat_template(chat) == expected
    prompt = processor.apply_chat_template(chat[:-1], add_generation_prompt=True)
    assert prompt == expected.removesuffix(" A beep.</s>")
    assert processor.apply_chat_template(chat[:-1]) == prompt.removesuffix("ASSISTANT:")


@pytest.mark.parametrize(
    "blocks, expected",
    [
        (["video", "audio", "say"], "<Img><video><audio></Img> say"),
        (["say", "audio", "video"], "<Img><video><audio></Img> say"),
        (["image", "video", "audio"], "<Img><image><audio></Img> <Img><video></Img>"),
        (["image", "audio", "audio"], "<Img><image><audio></Img> <Img><audio></Img>"),
        (["a", "b"], "a b"),
    ],
)
def test_media_of_a_message_pair_up_in_order(processor, blocks, expected):
    blocks = [{"type": block} if block in ("video", "audio", "image") else block for block in blocks]
    assert processor.apply_chat_template([user(*blocks)]) == f"<s>USER: {expected}\n"


def test_media_are_read_with_their_sound(processor, clip_path):
    chat = [user(video(clip_path), "What?")]
    inputs = processor.apply_chat_template(chat, add_generation_prompt=True, **OPTIONS)
    assert str(processor.media_summary(inputs)[0]) == "1 item: 10 frames, 5.00 s of sound, 32 query tokens"
    assert processor.decode(inputs["qformer_input_ids"][0]) == "What?"
    direct = processor(text="<s>USER: <Img><video></Img> What?\nASSISTANT:", videos=clip_path, return_tensors="pt")
    for name, tensor in direct.items():
        torch.testing.assert_close(inputs[name], tensor)
    muted = processor.apply_chat_template(chat, load_audio_from_video=False, **OPTIONS)
    assert str(processor.media_summary(muted)[0]) == "1 item: 10 frames, no sound, 32 query tokens"


def test_batch_of_chats_with_every_kind_of_block(processor, clip_path, silent_path, wav_path, tone):
    file = io.BytesIO()
    Image.new("RGB", (9, 9), "red").save(file, "PNG")
    encoded = base64.b64encode(file.getvalue()).decode()
    chats = [
        [user({"type": "video", "url": f"file://{silent_path}"}, {"type": "audio", "path": wav_path}, "one")],
        [user("two")],
        [
            user({"type": "image", "image": Image.new("RGB", (9, 9))}, "three"),
            {"role": "assistant", "content": "!"},
            user({"type": "audio", "array": tone(2.0, 8000), "sampling_rate": 8000}),
        ],
        [user({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}}, "four")],
        [user({"type": "image", "bytes": file.getvalue()}, {"type": "image", "base64": encoded})],
        [user({"type": "video", "video": np.zeros((3, 8, 8, 3), np.uint8)}), {"role": "assistant", "content": "?"}],
    ]
    inputs = processor.apply_chat_template(chats, processor_kwargs={"padding": True}, **OPTIONS)
    summaries = processor.media_summary(inputs)
    assert [(s.items, s.visual_frames, s.audio_seconds) for s in summaries] == [
        (1, 6, 7.0),
        (0, 0, 0.0),
        (2, 1, 2.0),
        (1, 1, 0.0),
        (2, 2, 0.0),
        (1, 3, 0.0),
    ]


@pytest.mark.parametrize("key", ["video", "path", "url"])
def test_a_video_may_be_a_list_of_picture_files(processor, tmp_path, key):
    pictures = np.random.default_rng(0).integers(0, 256, (4, 24, 24, 3), dtype=np.uint8)
    files = [str(tmp_path / f"{number}.png") for number in range(4)]
    for file, picture in zip(files, pictures, strict=True):
        Image.fromarray(picture).save(file)
    for rate in ({}, {"fps": 1.0}):
        found = processor.apply_chat_template([user({"type": "video", key: files, **rate}, "What?")], **OPTIONS)
        expected = processor.apply_chat_template(
            [user({"type": "video", "video": pictures, **rate}, "What?")], **OPTIONS
        )
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        assert processor.media_summary(found)[0].visual_frames == 4 * (2 if rate else 1)


def test_an_empty_audio_block_means_the_own_sound(processor, clip_path):
    inputs = processor.apply_chat_template([user(video(clip_path), {"type": "audio"}, "What?")], **OPTIONS)
    assert processor.media_summary(inputs)[0].audio_seconds == 5.0


def test_assistant_mask_covers_the_answers_only(processor, clip_path, wav_path):
    chat = [
        {"role": "system", "content": "System."},
        user(video(clip_path), "Question?"),
        {"role": "assistant", "content": "First answer."},
        user({"type": "audio", "path": wav_path}, "Again?"),
        {"role": "assistant", "content": "Second."},
    ]
    inputs = processor.apply_chat_template(
        [chat, chat[:3]], return_assistant_tokens_mask=True, processor_kwargs={"padding": True}, **OPTIONS
    )
    masks = torch.as_tensor(inputs["assistant_masks"]).bool()
    answers = [processor.decode(ids[mask]) for ids, mask in zip(inputs["input_ids"], masks, strict=True)]
    assert answers == [" First answer.</s> Second.</s>", " First answer.</s>"]


def test_lists_without_return_tensors(processor, clip_path):
    inputs = processor.apply_chat_template([user(video(clip_path), "Hi")], tokenize=True, return_dict=True)
    assert isinstance(inputs["input_ids"], list) and isinstance(inputs["input_ids"][0][0], int)


def test_sanitized_user_text_names_no_media(processor, clip_path):
    chat = [user(video(clip_path), "Is <video> a token?")]
    with pytest.raises(ValueError, match="names 2 <video> but .* holds 1"):
        processor.apply_chat_template(chat, **OPTIONS)
    inputs = processor.apply_chat_template(chat, sanitize_control_tokens=True, **OPTIONS)
    assert int((inputs["input_ids"] == processor.video_token_id).sum()) == 32
    assert "Is <video> a token?" in processor.decode(inputs["input_ids"][0])
    assert processor.decode(inputs["qformer_input_ids"][0]) == "Is a token?"


def test_the_callers_chat_is_left_alone(processor, clip_path):
    chat = [user(video(clip_path), {"type": "audio"}, "What?")]
    processor.apply_chat_template(chat, **OPTIONS)
    assert chat == [user(video(clip_path), {"type": "audio"}, "What?")]


@dataclass
class Message:
    role: str
    content: list
    tool_calls: list | None = None


class Block(BaseModel):
    type: str
    text: str | None = None
    path: str | None = None


class Chat:
    def __init__(self, messages):
        self.messages = messages


def test_messages_may_be_objects(processor, clip_path):
    plain = [user(video(clip_path), "What?")]
    blocks = [Block(type="video", path=str(clip_path)), Block(type="text", text="What?")]
    expected = processor.apply_chat_template([plain], **OPTIONS)
    for chats in (
        [[Message("user", blocks)]],
        [Message("user", blocks)],
        Chat(plain),
        [Chat([Message("user", plain[0]["content"])])],
    ):
        found = processor.apply_chat_template(chats, **OPTIONS)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    "chat, message",
    [
        ([], "conversation is empty"),
        (["What?"], "holds 'What.'. Messages and blocks must be dicts"),
        ([{"role": "user", "content": "  "}], "Message 0 .role user. is empty"),
        ([{"role": "user", "content": []}], "Message 0 .role user. is empty"),
        ([user("hi"), {"role": "assistant", "content": "x"}, user(" ")], "Message 2 .role user. is empty"),
        ([user({"type": "video"})], '"video" must hold'),
        ([user({"type": "video", "url": "http://example.org/a.mp4"})], "nothing is downloaded"),
    ],
)
def test_chats_that_cannot_be_used(processor, chat, message):
    with pytest.raises(ValueError, match=message):
        processor.apply_chat_template(chat, **OPTIONS)


def test_unknown_roles_and_blocks(processor):
    with pytest.raises(Exception, match="Roles must be system, user or assistant, not tool"):
        processor.apply_chat_template([{"role": "tool", "content": "x"}])
    with pytest.raises(Exception, match="must be of type text, video, image or audio, not smell"):
        processor.apply_chat_template([user({"type": "smell"})])


def test_an_array_keeps_the_rate_of_its_block_in_every_spelling(processor, tone):
    sound = tone(6.0, 8000)
    spellings = (
        {"audio": sound, "sampling_rate": 8000},
        {"array": sound, "sampling_rate": 8000},
        {"audio": {"array": sound, "sampling_rate": 8000}},
        {"audio": {"array": sound}, "sampling_rate": 8000},
        {"audio": (sound, 8000)},
    )
    for spelling in spellings:
        inputs = processor.apply_chat_template([user({"type": "audio", **spelling}, "What?")], **OPTIONS)
        assert processor.media_summary(inputs)[0].audio_seconds == 6.0
    pictures = np.arange(8, dtype=np.uint8)[:, None, None, None].repeat(9, 1).repeat(9, 2).repeat(3, 3)
    for key in ("video", "array"):  # 8 pictures at 4 Hz last 2 s
        inputs = processor.apply_chat_template(
            [user({"type": "video", key: pictures, "fps": 4.0}, "What?")], **OPTIONS
        )
        assert processor.media_summary(inputs)[0].visual_frames == 4


@pytest.mark.parametrize(
    "option",
    [
        *({"start": 1.0}, {"end": 2.0}, {"video_start": 1.0}, {"video_end": 2.0}, {"num_frames": 3}, {"fps": 1.0}),
        *({"max_frames": 2}, {"load_audio_from_video": False}, {"media_limits": {}}),
    ],
)
def test_options_of_a_call_are_refused_by_name_in_a_block(processor, clip_path, option):
    chat = [user({**video(clip_path), **option}, "What?")]
    with pytest.raises(ValueError, match=f'"video" holds {next(iter(option))}, which is read for a whole call only'):
        processor.apply_chat_template(chat, **OPTIONS)
    unset = [user({**video(clip_path), **dict.fromkeys(option)}, "What?")]  # as tables with columns for all have it
    assert processor.media_summary(processor.apply_chat_template(unset, **OPTIONS))[0].visual_frames == 10


@pytest.mark.parametrize("role", ["system", "assistant"])
def test_media_of_others_than_users_are_refused_by_name(processor, clip_path, role):
    chat = [user("What?"), {"role": role, "content": [video(clip_path)]}]
    for options in ({}, OPTIONS):
        with pytest.raises(ValueError, match=rf"Message 1 \(role {role}\) holds media \(video\)"):
            processor.apply_chat_template(chat, **options)


def test_the_instruction_is_the_text_of_the_items_message(make_processor, clip_path, wav_path):
    """Whatever the template, and whatever marks or special tokens the question holds."""
    chatml = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
        "{% if m['content'] is string %}{{ m['content'] }}{% else %}"
        "{% for b in m['content'] %}{{ b['text'] if b['type'] == 'text' else '<' + b['type'] + '>' }}{% endfor %}"
        "{% endif %}<|im_end|>\n{% endfor %}"
    )
    chat = [
        {"role": "system", "content": "Be brief."},
        user(video(clip_path), "Does she say USER: or ASSISTANT: first?</s>"),
        {"role": "assistant", "content": "The answer."},
        user({"type": "audio", "path": wav_path}, "And", "here?"),
        {"role": "user", "content": "No medium."},
    ]
    expected = ["Does she say USER: or ASSISTANT: first?", "And here?"]
    for template in (None, chatml):
        processor = make_processor(chat_template=template)
        assert [item.instruction for item in processor.chat_items(chat)] == expected
        inputs = processor.apply_chat_template([chat], **OPTIONS)
        asked = [
            processor.qformer_tokenizer.decode(ids[mask.bool()])
            for ids, mask in zip(inputs["qformer_input_ids"], inputs["qformer_attention_mask"], strict=True)
        ]
        assert asked == expected
        own = processor.apply_chat_template([chat], processor_kwargs={"instructions": "Mine."}, **OPTIONS)
        assert processor.qformer_tokenizer.decode(own["qformer_input_ids"][0]) == "Mine."
    direct = processor(text=processor.apply_chat_template(chat[:2]), videos=clip_path)  # ChatML: the whole text
    assert processor.qformer_tokenizer.decode(direct["qformer_input_ids"][0]).startswith(
        "<|im_start|>system Be brief."
    )


CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for block in message['content'] %}"
    "{% if block['type'] == 'text' %}{{ block['text'] }}{% elif block['type'] in ('video', 'image', 'audio') %}"
    "<{{ block['type'] }}>{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
)


@pytest.mark.parametrize("template", [None, CHATML])
@pytest.mark.parametrize("kind", ["video_url", "audio_url", "input_audio", "Video", None, "smell"])
def test_blocks_that_a_template_would_drop_are_refused(processor, clip_path, template, kind):
    block = {"type": kind, "video_url": {"url": clip_path}}
    for tokenize in (False, True):
        with pytest.raises(ValueError, match=f"must be of type text, video, image or audio, not {kind}"):
            processor.apply_chat_template([user(block, "What?")], template, tokenize=tokenize)
    with pytest.raises(ValueError, match="must be of type|holds media"):
        chat = [user("hi"), {"role": "assistant", "content": [{"type": "image_file" if kind == "smell" else "image"}]}]
        processor.apply_chat_template(chat, template)


@pytest.mark.parametrize("role", ["assistant", "system"])
def test_the_template_itself_drops_no_media(processor, role):
    chat = [user("hi"), {"role": role, "content": [{"type": "image"}, {"type": "text", "text": "x"}]}]
    with pytest.raises(Exception, match=f"Only user messages can hold media, not one of role {role}"):
        processor.tokenizer.apply_chat_template(chat, chat_template=processor.chat_template, tokenize=False)


def test_of_two_sources_or_rates_none_is_dropped(processor, clip_path, silent_path, wav_path, tone):
    x = tone(1.0)
    for block in (
        {"type": "video", "path": clip_path, "url": silent_path},
        {"type": "video", "video": clip_path, "path": silent_path},
        {"type": "audio", "audio": x, "array": x},
        {"type": "audio", "base64": "AAAA", "path": wav_path},
        {"type": "audio", "audio": {"array": x, "url": wav_path}},
    ):
        with pytest.raises(ValueError, match="Several sources are named for one"):
            processor.apply_chat_template([user(block, "What?")], tokenize=True)
    for media in ({"array": x, "sampling_rate": 8000}, (x, 8000)):
        block = {"type": "audio", "audio": media, "sampling_rate": 16000}
        with pytest.raises(ValueError, match="holds sampling_rate beside media that tell theirs"):
            processor.apply_chat_template([user(block, "What?")], tokenize=True)
    known = {"type": "audio", "array": x, "path": "where/it/came/from.wav", "sampling_rate": 16000}
    assert processor.apply_chat_template([user(known, "What?")], tokenize=True)
