# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The key-value cache goes by `past_key_values` and by `cache`, whichever the installed transformers uses itself.

Every use of an old name that transformers warns of is an error here: see tests/conftest.py.
"""

import logging

import pytest
import torch
from transformers.cache_utils import DynamicCache, StaticCache

from favor.modeling_favor import FavorForConditionalGeneration
from favor.modeling_favor.cache_favor import CACHE_NAME, CACHE_NAMES, cache_of
from favor.modeling_favor.outputs_favor import FavorCausalLMOutputWithPast, FavorModelOutputWithPast

from .tiny_models import PLACEHOLDER, Item, model_inputs, text_inputs, tiny_model

NEW = {"max_new_tokens": 6, "min_new_tokens": 6, "suppress_tokens": [PLACEHOLDER], "do_sample": False}
SAMPLE = [1, 3, Item(pictures=3, mel_frames=[24, 10], instruction=[5, 6], seed=1), 4]
QUESTION = [12, 13]
either_name = pytest.mark.parametrize("name", CACHE_NAMES)


@pytest.fixture(scope="module")
def model() -> FavorForConditionalGeneration:
    return tiny_model()


@either_name
@pytest.mark.parametrize("part", ["backbone", "head"])
def test_forward_continues_a_cache_given_by_either_name(model, part, name):
    read = model.model if part == "backbone" else model
    prompt, longer = (model_inputs(model.config, [sample]) for sample in (SAMPLE, [*SAMPLE, *QUESTION]))
    question = {"input_ids": torch.tensor([QUESTION]), "attention_mask": longer["attention_mask"]}
    with torch.no_grad():
        cache = cache_of(read(**prompt, use_cache=True))
        found, expected = read(**question, **{name: cache}), read(**longer)
    assert cache.get_seq_length() == longer["input_ids"].shape[1]
    assert cache_of(found) is cache
    torch.testing.assert_close(found[0], expected[0][:, -2:], rtol=1e-4, atol=1e-4)


def test_the_cache_keeps_its_place_among_the_arguments(model):
    """Fourth, as in every language model of transformers."""
    cache = DynamicCache(config=model.config.text_config)
    with torch.no_grad():
        for read in (model.model, model):
            assert cache_of(read(torch.tensor([QUESTION]), None, None, cache)) is cache
    assert cache.get_seq_length() == 2 * len(QUESTION)


@pytest.mark.parametrize("output_class", [FavorModelOutputWithPast, FavorCausalLMOutputWithPast])
@either_name
def test_outputs_are_built_with_either_name_and_read_by_either(output_class, name, caplog):
    cache, state = DynamicCache(), torch.ones(1)
    with caplog.at_level(logging.ERROR, "transformers"):  # from 5.24 on the old name is an old one here, too
        output = output_class(state, query_states=state, **{name: cache})
        assert output.past_key_values is cache
    assert output.cache is cache
    assert output[CACHE_NAME] is cache
    assert [type(value) for value in output.to_tuple()] == [torch.Tensor, DynamicCache, torch.Tensor]
    assert output_class(state).cache is None


@either_name
@pytest.mark.parametrize("options", [{}, {"num_beams": 3}, {"num_beams": 2, "num_return_sequences": 2}], ids=str)
def test_generate_takes_an_empty_cache_by_either_name(model, name, options):
    inputs = model_inputs(model.config, [SAMPLE, [1, 5, 6]])
    given = DynamicCache(config=model.config.text_config)
    found = model.generate(**inputs, **NEW, **options, **{name: given}, return_dict_in_generate=True)
    assert torch.equal(found.sequences, model.generate(**inputs, **NEW, **options))
    assert cache_of(found) is given
    assert given.get_seq_length() == found.sequences.shape[1] - 1


@either_name
def test_a_second_turn_continues_the_first_ones_cache(model, name):
    first = model.generate(**model_inputs(model.config, [SAMPLE]), **NEW, return_dict_in_generate=True)
    answer = first.sequences[0, -NEW["max_new_tokens"] :].tolist()
    conversation = [*SAMPLE, *answer, *QUESTION]
    given = {name: cache_of(first)}
    found = model.generate(**text_inputs(model.config, [conversation]), **NEW, **given)
    assert torch.equal(found, model.generate(**model_inputs(model.config, [conversation]), **NEW))


@either_name
def test_a_static_cache_by_either_name_changes_nothing(model, name):
    inputs = model_inputs(model.config, [SAMPLE])
    cache = StaticCache(config=model.config.text_config, max_cache_len=inputs["input_ids"].shape[1] + 6)
    assert torch.equal(model.generate(**inputs, **NEW, **{name: cache}), model.generate(**inputs, **NEW))


def test_assisted_decoding_reads_the_media(model):
    inputs, assistant = model_inputs(model.config, [SAMPLE]), tiny_model()
    seen = []
    assistant.model.language_model.register_forward_pre_hook(
        lambda _module, _args, kwargs: seen.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    assert torch.equal(model.generate(**inputs, **NEW, assistant_model=assistant), model.generate(**inputs, **NEW))
    with torch.no_grad():
        media = assistant.get_video_features(
            **{name: value for name, value in inputs.items() if name not in ("input_ids", "attention_mask")}
        )
        expected = assistant.model.embed_inputs(inputs["input_ids"], None, media)
    torch.testing.assert_close(seen[0][:, : expected.shape[1]], expected, rtol=1e-4, atol=1e-4)


@either_name
def test_an_empty_cache_by_either_name_keeps_the_media_and_a_filled_one_drops_them(model, name):
    inputs = model_inputs(model.config, [SAMPLE])
    ids = inputs.pop("input_ids")
    media = {"video": model.get_video_features(**{k: v for k, v in inputs.items() if k != "attention_mask"})}
    empty, filled = (DynamicCache(config=model.config.text_config) for _ in range(2))
    model(torch.tensor([QUESTION]), **{name: filled})
    for cache, kept in ((empty, media), (filled, None)):
        prepared = model.prepare_inputs_for_generation(ids, mm_encoder_outputs=media, **{name: cache})
        assert prepared[CACHE_NAME] is cache
        assert prepared.get("mm_encoder_outputs") is kept


def test_two_caches_are_refused(model):
    two = {name: DynamicCache() for name in CACHE_NAMES}
    for call in (model, model.model, model.prepare_inputs_for_generation, model.generate):
        with pytest.raises(ValueError, match="`past_key_values` and `cache` are one argument"):
            call(torch.tensor([QUESTION]), **two)


def test_accelerate_leaves_the_cache_on_its_devices(model):
    assert set(model._skip_keys_device_placement) == set(CACHE_NAMES)


def test_continuous_batching_gives_the_answers_of_generate(model):
    """It hands its paged memory to the attention layers as `cache`."""
    prompts = [[1, 5, 6, 7], [1, 9]]
    options = NEW | {"eos_token_id": -1}
    found = model.generate_batch(prompts, generation_config=model.generation_config.__class__(**options))
    for prompt, result in zip(prompts, found.values(), strict=True):
        expected = model.generate(torch.tensor([prompt]), **options)[0, len(prompt) :]
        assert result.generated_tokens == expected.tolist()
