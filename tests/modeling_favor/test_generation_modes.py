# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Every mode of transformers' generate() gives what the plain greedy loop gives, or what its seed says."""

import pytest
import torch
from transformers import set_seed

from favor.modeling_favor import FavorForConditionalGeneration

from .tiny_models import PLACEHOLDER, Item, model_inputs, tiny_model

NEW = {"max_new_tokens": 6, "min_new_tokens": 6, "suppress_tokens": [PLACEHOLDER]}
GREEDY = NEW | {"do_sample": False}
SAMPLES = [
    [1, 3, Item(pictures=3, mel_frames=[24, 10], instruction=[5, 6], seed=1), 4],
    [1, Item(mel_frames=[7], seed=3), 4, 9, 11],
    [1, 5, 6],
]


@pytest.fixture(scope="module")
def model() -> FavorForConditionalGeneration:
    return tiny_model()


def answers(model: FavorForConditionalGeneration, *samples: list, **options) -> torch.Tensor:
    """(batch, 6) new tokens."""
    return model.generate(**model_inputs(model.config, list(samples or SAMPLES)), **options)[:, -6:]


@pytest.mark.parametrize(
    "mode",
    [
        {"cache_implementation": "static"},
        {"use_cache": False},
        {"num_beams": 3},
        {"num_beams": 3, "cache_implementation": "static"},
        {"prefill_chunk_size": 3},
    ],
    ids=str,
)
def test_other_caches_give_the_same_tokens(model, mode):
    plain = {"num_beams": mode["num_beams"]} if "num_beams" in mode else {}
    assert torch.equal(answers(model, **GREEDY, **mode), answers(model, **GREEDY, **plain))


@pytest.mark.parametrize("sample", range(3))
def test_assisted_generation_gives_the_greedy_tokens(model, sample):
    """The assistant, another random FAVOR, sees the same media; what it guesses wrongly is rejected."""
    assistant = tiny_model(seed=1)
    expected = answers(model, SAMPLES[sample], **GREEDY)
    assert torch.equal(answers(model, SAMPLES[sample], **GREEDY, assistant_model=assistant), expected)
    assert not torch.equal(answers(assistant, SAMPLES[sample], **GREEDY), expected)


@pytest.mark.parametrize("sample", range(3))
def test_prompt_lookup_gives_the_greedy_tokens(model, sample):
    expected = answers(model, SAMPLES[sample], **GREEDY)
    assert torch.equal(answers(model, SAMPLES[sample], **GREEDY, prompt_lookup_num_tokens=2), expected)


def test_sampling_repeats_with_its_seed(model):
    options = NEW | {"do_sample": True, "temperature": 2.0, "top_p": 0.95}
    drawn = []
    for seed in (0, 0, 1):
        set_seed(seed)
        drawn.append(answers(model, **options))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_sampling_at_no_temperature_is_greedy_for_every_returned_sequence(model):
    """Each sample's media go with each of its sequences."""
    options = NEW | {"do_sample": True, "temperature": 1e-4, "num_return_sequences": 3}
    sequences = answers(model, **options).unflatten(0, (3, 3))
    for sequence in sequences.unbind(1):
        assert torch.equal(sequence, answers(model, **GREEDY))


@pytest.mark.parametrize("options", [{"num_beams": 4, "num_return_sequences": 4}, {"num_beams": 4}], ids=str)
def test_beams_are_as_likely_as_they_say(model, options):
    """Their scores are the mean log-probabilities of their tokens, computed anew from the media."""
    outputs = model.generate(
        **model_inputs(model.config, SAMPLES[:1]),
        **GREEDY,
        **options,
        return_dict_in_generate=True,
        output_scores=True,
    )
    inputs = model_inputs(model.config, SAMPLES[:1])
    prompt = inputs.pop("input_ids").shape[1]
    inputs.pop("attention_mask")
    for sequence, score in zip(outputs.sequences, outputs.sequences_scores, strict=True):
        with torch.no_grad():
            logits = model(input_ids=sequence[None, :-1], **inputs).logits[0, prompt - 1 :]
        chosen = torch.log_softmax(logits, -1).gather(1, sequence[prompt:, None]).mean()
        assert score.item() == pytest.approx(chosen.item(), abs=1e-3)


@pytest.mark.parametrize("mode", [GREEDY, GREEDY | {"num_beams": 2}], ids=["greedy", "beams"])
def test_embeddings_instead_of_ids(model, mode):
    inputs = model_inputs(model.config, SAMPLES)
    expected = answers(model, **mode)
    inputs["inputs_embeds"] = model.get_input_embeddings()(inputs.pop("input_ids"))
    assert torch.equal(model.generate(**inputs, **mode), expected)


@pytest.mark.parametrize("mode", [GREEDY, GREEDY | {"num_beams": 2}], ids=["greedy", "beams"])
@pytest.mark.parametrize("given", ["encoder_states", "mm_encoder_outputs"])
def test_precomputed_features(model, mode, given):
    inputs = model_inputs(model.config, SAMPLES)
    text = {name: inputs.pop(name) for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        media = (
            model.model.encode_media(**inputs)
            if given == "encoder_states"
            else {"video": model.get_video_features(**inputs)}
        )
    assert torch.equal(model.generate(**text, **{given: media}, **mode)[:, -6:], answers(model, **mode))


def test_right_padding_gives_the_logits_of_left_padding_with_the_positions_made_of_the_mask(model):
    logits = {}
    for side in ("left", "right"):
        inputs = model_inputs(model.config, SAMPLES, side)
        mask = inputs["attention_mask"]
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        with torch.no_grad():
            logits[side] = model(**inputs, position_ids=positions).logits[mask.bool()]
    torch.testing.assert_close(logits["left"], logits["right"], rtol=1e-4, atol=1e-4)
