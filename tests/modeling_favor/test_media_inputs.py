# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""forward(): every item's embeddings stand where its placeholders stood, whatever else is in the batch."""

import logging
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from favor.modeling_favor import FavorForConditionalGeneration
from favor.modeling_favor.media_encoding_favor import logger

from .tiny_models import MEL_FRAMES, PLACEHOLDER, Item, count_calls, media_inputs, model_inputs, tiny_model

VIDEO = Item(pictures=3, mel_frames=[24, 10], instruction=[5, 6], seed=1)
IMAGE = Item(pictures=1, shown=[0, 0, 0, 0], mel_frames=[24], instruction=[8, 9, 3, 4], seed=2)
SOUND = Item(mel_frames=[7], seed=3)
SILENT = Item(pictures=5, instruction=[7], seed=4)
SAMPLES = [[1, 3, VIDEO, 4, IMAGE, 8], [1, SOUND, 4, 9, 11], [1, 5, 6], [1, SILENT, 9, 10]]
ITEMS = [VIDEO, IMAGE, SOUND, SILENT]


@pytest.fixture(scope="module")
def model() -> FavorForConditionalGeneration:
    return tiny_model()


def logits_of(model: FavorForConditionalGeneration, inputs: dict[str, torch.Tensor], **options) -> torch.Tensor:
    with torch.no_grad():
        return model(**inputs, **options).logits


def features_of(model: FavorForConditionalGeneration, *items: Item) -> list[torch.Tensor]:
    """(tokens, text width) of each item."""
    with torch.no_grad():
        return model.get_video_features(**media_inputs(list(items))).pooler_output


def embeddings_read(model: FavorForConditionalGeneration, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """What the language model gets to read."""
    calls = []
    hook = model.model.language_model.register_forward_pre_hook(
        lambda _module, _args, kwargs: calls.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    logits_of(model, inputs)
    hook.remove()
    return calls[0]


@pytest.mark.parametrize("padding_side", ["left", "right"])
def test_the_language_model_reads_words_and_each_items_own_embeddings(model, padding_side):
    inputs = model_inputs(model.config, SAMPLES, padding_side)
    read = embeddings_read(model, inputs)
    words = model.get_input_embeddings()
    for row, sample in enumerate(SAMPLES):
        parts = [
            features_of(model, part)[0] if isinstance(part, Item) else words(torch.tensor([part])) for part in sample
        ]
        torch.testing.assert_close(read[row][inputs["attention_mask"][row].bool()], torch.cat(parts))


item_strategy = st.builds(
    Item,
    pictures=st.integers(0, 5),
    mel_frames=st.lists(st.integers(1, MEL_FRAMES), max_size=2).map(
        lambda last: [MEL_FRAMES] * len(last[1:]) + last[:1]
    ),
    instruction=st.lists(st.integers(3, 39), max_size=3),
    seed=st.integers(0, 50),
).filter(lambda item: item.pictures or item.mel_frames)


@settings(max_examples=25, deadline=None)
@given(items=st.lists(item_strategy, min_size=2, max_size=4))
def test_an_item_is_encoded_in_any_company_as_alone(model, items):
    for item, together in zip(items, features_of(model, *items), strict=True):
        assert len(together) == item.query_tokens(model.config)
        torch.testing.assert_close(together, features_of(model, item)[0], rtol=1e-4, atol=1e-4)


def test_media_of_two_samples_exchanged_exchange_their_outputs(model):
    first, second = Item(pictures=2, mel_frames=[16], seed=5), Item(pictures=2, mel_frames=[16], seed=6)
    one_way = logits_of(model, model_inputs(model.config, [[1, first, 4], [1, second, 4]]))
    other_way = logits_of(model, model_inputs(model.config, [[1, second, 4], [1, first, 4]]))
    torch.testing.assert_close(one_way.flip(0), other_way)
    assert (one_way[0] - one_way[1]).abs().max() > 0.1


def test_media_exchanged_within_a_sample_stand_in_the_other_places(model):
    first, second = Item(pictures=2, mel_frames=[16], seed=5), Item(pictures=2, mel_frames=[16], seed=6)
    one_way = embeddings_read(model, model_inputs(model.config, [[1, first, 4, second, 9]]))[0]
    other_way = embeddings_read(model, model_inputs(model.config, [[1, second, 4, first, 9]]))[0]
    torch.testing.assert_close(one_way[1:4], other_way[5:8])
    torch.testing.assert_close(one_way[5:8], other_way[1:4])
    assert (one_way[1:4] - other_way[1:4]).abs().max() > 0.1


def test_the_instruction_and_the_order_of_the_pictures_change_what_is_seen(model):
    expected = features_of(model, VIDEO)[0]
    for changed in (replace(VIDEO, instruction=[5, 7]), replace(VIDEO, shown=[0, 2, 1])):
        assert (features_of(model, changed)[0] - expected).abs().max() > 0.01


@pytest.mark.parametrize("stream", ["pixel_values_videos", "input_features"])
def test_both_streams_reach_the_logits(model, stream):
    inputs = model_inputs(model.config, [[1, VIDEO, 4]])
    other = inputs | {stream: inputs[stream].flip(1) + 1}
    assert (logits_of(model, inputs)[0, -1] - logits_of(model, other)[0, -1]).abs().max() > 0.1


def test_a_still_image_shown_for_a_while_is_a_video_of_that_picture(model):
    inputs = media_inputs([IMAGE])
    as_video = dict(inputs)
    as_video["pixel_values_videos"] = inputs["pixel_values_videos"].expand(-1, 4, -1, -1, -1)
    as_video["video_frame_indices"] = torch.arange(4)[None]
    with torch.no_grad():
        still, video = (model.get_video_features(**given).pooler_output[0] for given in (inputs, as_video))
    torch.testing.assert_close(still, video)


def test_encoders_see_only_real_pictures_and_sounds_and_each_once():
    model = tiny_model()
    pictures, chunks = count_calls(model.model.vision_tower), count_calls(model.model.audio_tower)
    inputs = media_inputs(ITEMS)
    model.get_video_features(**inputs)
    ((_, given),), ((sounds, _),) = pictures, chunks
    own = [item.pixels() for item in ITEMS if item.pictures]
    torch.testing.assert_close(given["pixel_values"], torch.cat(own))
    torch.testing.assert_close(sounds[0], torch.cat([item.mel() for item in ITEMS if item.mel_frames]))


def test_audio_vectors_that_count_are_those_the_encoder_makes_of_the_real_frames(model):
    """As if its convolutions had run over the real mel frames alone."""
    tower = model.model.audio_tower
    for frames in range(1, MEL_FRAMES + 1):
        inputs = media_inputs([Item(mel_frames=[MEL_FRAMES, frames])])
        _, num_vectors = model.model.encode_audio(**inputs)
        convolved = tower.conv2(tower.conv1(inputs["input_features"][0, 1:, :, :frames]))
        assert num_vectors.tolist() == [MEL_FRAMES // 2 + convolved.shape[-1]]


def test_without_indices_and_masks_everything_is_real(model):
    inputs = media_inputs([Item(pictures=4, mel_frames=[24, 24])])
    bare = {name: inputs[name] for name in ("pixel_values_videos", "input_features", "qformer_input_ids")}
    with torch.no_grad():
        full, given = (model.get_video_features(**which).pooler_output[0] for which in (inputs, bare))
    torch.testing.assert_close(given, full)


def test_one_chunk_of_sound_needs_no_chunk_axis(model):
    inputs = media_inputs([SOUND, Item(mel_frames=[20], seed=9)])
    with torch.no_grad():
        expected = model.get_audio_features(**inputs).pooler_output
        flat = {name: tensor[:, 0] for name, tensor in inputs.items()}
        actual = model.get_audio_features(**flat).pooler_output
    for one, other in zip(expected, actual, strict=True):
        torch.testing.assert_close(one, other)


def test_encoded_media_give_the_same_logits(model):
    inputs = model_inputs(model.config, SAMPLES)
    text = {name: inputs.pop(name) for name in ("input_ids", "attention_mask")}
    expected = logits_of(model, text | inputs)
    with torch.no_grad():
        states = model.model.encode_media(**inputs)
        features = model.get_video_features(**inputs)
    torch.testing.assert_close(logits_of(model, text, encoder_states=states), expected)
    torch.testing.assert_close(logits_of(model, text, mm_encoder_outputs={"video": features}), expected)


def test_embeddings_instead_of_ids_give_the_same_logits(model):
    inputs = model_inputs(model.config, SAMPLES)
    expected = logits_of(model, inputs)
    inputs["inputs_embeds"] = model.get_input_embeddings()(inputs.pop("input_ids"))
    torch.testing.assert_close(logits_of(model, inputs), expected)


def test_ids_and_embeddings_exclude_each_other(model):
    ids = torch.tensor([[1, 5]])
    for words in ({}, {"input_ids": ids, "inputs_embeds": model.get_input_embeddings()(ids)}):
        with pytest.raises(ValueError, match="exactly one"):
            model(**words)


@pytest.mark.parametrize(
    ("placeholders", "message"), [(14, "14 placeholder"), (16, "16 placeholder"), (0, "0 placeholder")]
)
def test_another_number_of_placeholders_is_refused_with_both_numbers(model, placeholders, message):
    inputs = media_inputs([VIDEO, IMAGE])
    with pytest.raises(ValueError, match=f"{message} tokens in the text, 15 encoded audio-visual tokens"):
        model(input_ids=torch.tensor([[1] + [PLACEHOLDER] * placeholders + [5]]), **inputs)


def test_placeholders_without_media_are_refused(model):
    with pytest.raises(ValueError, match="2 placeholder tokens in the text, 0 encoded"):
        model(input_ids=torch.tensor([[1, PLACEHOLDER, PLACEHOLDER, 5]]))


def test_position_ids_reach_the_language_model(model):
    inputs = model_inputs(model.config, SAMPLES[:1])
    stretched = 2 * torch.arange(inputs["input_ids"].shape[1])[None]
    read = embeddings_read(model, inputs)
    with torch.no_grad():
        states = model.model.language_model(inputs_embeds=read, position_ids=stretched).last_hidden_state
    actual = logits_of(model, inputs, position_ids=stretched)
    torch.testing.assert_close(actual, model.lm_head(states))
    assert (actual - logits_of(model, inputs)).abs().max() > 0.1


def test_a_padded_sample_has_the_logits_of_the_unpadded_one(model):
    for padding_side in ("left", "right"):
        inputs = model_inputs(model.config, SAMPLES, padding_side)
        logits = logits_of(model, inputs)
        for row, sample in enumerate(SAMPLES):
            alone = logits_of(model, model_inputs(model.config, [sample]))[0]
            own = logits[row][inputs["attention_mask"][row].bool()]
            torch.testing.assert_close(own, alone, rtol=1e-4, atol=1e-4)


def test_logits_to_keep(model):
    inputs = model_inputs(model.config, SAMPLES)
    logits = logits_of(model, inputs)
    torch.testing.assert_close(logits_of(model, inputs, logits_to_keep=2), logits[:, -2:])
    places = torch.tensor([1, 4])
    torch.testing.assert_close(logits_of(model, inputs, logits_to_keep=places), logits[:, places])


def test_forward_returns_a_cache_that_continues_the_sequence(model):
    inputs = model_inputs(model.config, SAMPLES[:1])
    longer = model_inputs(model.config, [[*SAMPLES[0], 12, 13]])
    with torch.no_grad():
        outputs = model(**inputs, use_cache=True)
        following = model(
            input_ids=torch.tensor([[12, 13]]),
            attention_mask=longer["attention_mask"],
            cache=outputs.cache,
        )
    assert outputs.cache.get_seq_length() == longer["input_ids"].shape[1]
    torch.testing.assert_close(following.logits, logits_of(model, longer)[:, -2:], rtol=1e-4, atol=1e-4)


def test_encoders_take_a_bounded_number_of_pictures_and_chunks_at_a_time(monkeypatch):
    model = tiny_model()
    inputs, media = model_inputs(model.config, SAMPLES), media_inputs(ITEMS)
    with torch.no_grad():
        expected = model(**inputs).logits
        at_once = model.get_video_features(**media, output_hidden_states=True)
    monkeypatch.setattr("favor.modeling_favor.media_encoding_favor.PICTURES_A_PASS", 4)
    monkeypatch.setattr("favor.modeling_favor.audio_towers_favor.CHUNKS_A_PASS", 3)
    pictures, chunks = count_calls(model.model.vision_tower), count_calls(model.model.audio_tower)
    with torch.no_grad():
        torch.testing.assert_close(model(**inputs).logits, expected)
        in_passes = model.get_video_features(**media, output_hidden_states=True)
    assert [len(kwargs["pixel_values"]) for _, kwargs in pictures[:3]] == [4, 4, 1]
    assert [len(args[0]) for args, _ in chunks[:2]] == [3, 1]
    for name in ("hidden_states", "qformer_hidden_states", "audio_hidden_states"):
        for before, after in zip(at_once[name], in_passes[name], strict=True):
            torch.testing.assert_close(after, before)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("video_frame_indices", lambda t: t[:1], "pixel_values_videos has 2 items, but video_frame_indices has 1"),
        ("input_features", lambda t: t[:1], "pixel_values_videos has 2 items, but input_features has 1"),
        ("input_features_mask", lambda t: t[:1], "pixel_values_videos has 2 items, but input_features_mask has 1"),
        (
            "qformer_input_ids",
            lambda t: t.repeat(2, 1),
            "pixel_values_videos has 2 items, but qformer_input_ids has 4",
        ),
        ("video_frame_indices", lambda t: t + 7, r"names picture 9, but pixel_values_videos has 3 an item, 0 to 2"),
        ("video_frame_indices", lambda t: t - 3, r"names picture -\d+; -1 is no picture, and the first one is 0"),
        ("video_frame_indices", lambda t: t.float(), "must be whole numbers, but its dtype is torch.float32"),
        ("pixel_values_videos", lambda t: None, "video_frame_indices is given without pixel_values_videos"),
        ("input_features_mask", lambda t: t.repeat(1, 2, 1), r"has the shape .*, but input_features asks for"),
        ("input_features_mask", lambda t: t[..., :-1], r"has the shape .*, but input_features asks for"),
        ("qformer_attention_mask", lambda t: t[:, :-1], r"has the shape .*, but qformer_input_ids asks for"),
        ("pixel_values_videos", lambda t: t[0], r"has the shape \(3, 3, 8, 8\), 4 axes; give \(items, pictures, 3, "),
        ("pixel_values_videos", lambda t: t[:, :, :1], "pictures have 1 channels, but the vision tower reads 3"),
        ("pixel_values_videos", lambda t: t.repeat(1, 1, 2, 1, 1), "pictures have 6 channels, but the vision tower"),
        ("video_frame_indices", lambda t: t[..., None], r"3 axes; give \(items, frames\)"),
        ("video_frame_indices", lambda t: torch.tensor([[0, -1, 2], [0, 0, 0]]), "1 pictures that follow a -1"),
        ("video_frame_indices", lambda t: torch.tensor([[-1, 0], [-1, 0]]), "2 pictures that follow a -1"),
        ("input_features", lambda t: t[..., 0, 0], r"2 axes; give \(items, chunks, mel bins, mel frames\) or"),
        ("input_features", lambda t: t.repeat(1, 1, 2, 1), "16 mel bins and 24 mel frames a chunk, .* 8 and 24"),
        ("input_features", lambda t: None, "input_features_mask is given without input_features"),
        ("input_features_mask", lambda t: t.flip(-1), r"\d+ places where real mel frames follow others that are not"),
        ("input_features_mask", lambda t: t.flip(1), r"\d+ places where real mel frames follow others that are not"),
        ("qformer_input_ids", lambda t: None, "qformer_attention_mask is given without qformer_input_ids"),
    ],
)
def test_media_that_do_not_belong_together_are_refused_with_both_numbers(model, name, change, message):
    inputs = media_inputs([VIDEO, IMAGE])
    with pytest.raises(ValueError, match=message):
        model.get_video_features(**inputs | {name: change(inputs[name])})


@pytest.mark.parametrize("connector", ["favor_causal_qformer", "favor_projector"])
def test_streams_of_which_nothing_is_real_are_as_if_left_out(connector):
    projector = connector == "favor_projector"
    model = tiny_model(connector_config={"model_type": connector}) if projector else tiny_model()
    inputs = media_inputs([Item(pictures=2, mel_frames=[24, 10]), Item(pictures=2, mel_frames=[9])])
    sound = {name: inputs[name] for name in ("input_features", "input_features_mask")}
    pictures = {name: value for name, value in inputs.items() if name not in sound}
    mute = inputs | {"input_features_mask": torch.zeros_like(inputs["input_features_mask"])}
    blind = inputs | {"video_frame_indices": torch.full_like(inputs["video_frame_indices"], -1)}
    without_frames = inputs | {"video_frame_indices": inputs["video_frame_indices"][:, :0]}
    with torch.no_grad():
        for given, same in ((mute, pictures), (blind, sound), (without_frames, sound)):
            found, expected = (model.get_video_features(**which).pooler_output for which in (given, same))
            for one, other in zip(found, expected, strict=True):
                torch.testing.assert_close(one, other)
        nothing = mute | {"video_frame_indices": blind["video_frame_indices"]}
        if projector:
            assert [len(item) for item in model.get_video_features(**nothing).pooler_output] == [0, 0]
        else:
            with pytest.raises(ValueError, match="None of the 2 items has a picture or a sound"):
                model.get_video_features(**nothing)
        nothing["video_frame_indices"][1, :2] = torch.tensor([0, 1])
        first, second = model.get_video_features(**nothing).pooler_output
        assert (len(first), len(second)) == (0, len(model.get_video_features(**pictures).pooler_output[1]))


def test_pictures_without_the_question_that_their_qformer_reads_are_said_once(model, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    logger.warning_once.cache_clear()
    inputs = media_inputs([VIDEO])
    for name in ("qformer_input_ids", "qformer_attention_mask"):
        del inputs[name]
    for _ in range(2):
        features_alone = model.get_video_features(**inputs).pooler_output[0]
    asked = features_of(model, VIDEO)[0]
    assert caplog.text.count("qformer_input_ids is missing") == 1
    assert (features_alone - asked).abs().max() > 0.01


def test_pictures_of_another_size_are_refused_with_the_towers(model):
    inputs = media_inputs([VIDEO])
    inputs["pixel_values_videos"] = torch.zeros(1, 3, 3, 12, 16)
    with pytest.raises(ValueError, match="pictures are 12 x 16 pixels, but the vision tower reads 8 x 8"):
        model.get_video_features(**inputs)
