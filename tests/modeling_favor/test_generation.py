# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""generate(): cache, batches, beams and reuse of encoded media give what a plain loop over single samples gives."""

import pytest
import torch

from favor.modeling_favor import FavorForConditionalGeneration
from favor.modeling_favor.cache_favor import cache_of

from .tiny_models import PLACEHOLDER, Item, count_calls, model_inputs, text_inputs, tiny_model

EOS = 2
NEW = {"max_new_tokens": 6, "min_new_tokens": 6, "suppress_tokens": [PLACEHOLDER], "do_sample": False}
VIDEO = Item(pictures=3, mel_frames=[24, 10], instruction=[5, 6], seed=1)
IMAGE = Item(pictures=1, shown=[0, 0, 0, 0], mel_frames=[24], instruction=[8, 9, 3, 4], seed=2)
SOUND = Item(mel_frames=[7], seed=3)
SILENT = Item(pictures=5, instruction=[7], seed=4)
SAMPLES = {
    "video and image": [1, 3, VIDEO, 4, IMAGE, 8],
    "sound": [1, SOUND, 4, 9, 11],
    "text": [1, 5, 6],
    "silent video": [1, SILENT, 9, 10],
}


@pytest.fixture(scope="module")
def model() -> FavorForConditionalGeneration:
    return tiny_model()


def generate(model: FavorForConditionalGeneration, *samples: list, **options) -> tuple[torch.Tensor, torch.Tensor]:
    """(batch, new tokens) ids and (batch, new tokens, vocabulary) raw logits of a greedy run."""
    inputs = model_inputs(model.config, list(samples))
    outputs = model.generate(**inputs, **NEW, **options, return_dict_in_generate=True, output_logits=True)
    return outputs.sequences[:, inputs["input_ids"].shape[1] :], torch.stack(outputs.logits, 1)


def last_logits(model: FavorForConditionalGeneration, sample: list, continuation: list[int]) -> torch.Tensor:
    """(vocabulary,) logits after `sample` and `continuation`: one sample, no cache, no padding, all media again."""
    with torch.no_grad():
        return model(**model_inputs(model.config, [[*sample, *continuation]]), use_cache=False).logits[0, -1]


def plain_greedy(model: FavorForConditionalGeneration, sample: list) -> tuple[list[int], torch.Tensor]:
    tokens, steps = [], []
    for _ in range(NEW["max_new_tokens"]):
        logits = last_logits(model, sample, tokens)
        steps.append(logits)
        allowed = logits.clone()
        allowed[[EOS, PLACEHOLDER]] = -torch.inf
        tokens.append(int(allowed.argmax()))
    return tokens, torch.stack(steps)


def plain_beams(model: FavorForConditionalGeneration, sample: list, width: int) -> list[list[int]]:
    """The `width` best continuations by beam search, best first; all of the same length, so none is penalised."""
    beams = [(0.0, [])]
    for _ in range(NEW["max_new_tokens"]):
        candidates = []
        for score, tokens in beams:
            scores = torch.log_softmax(last_logits(model, sample, tokens), -1)
            scores[[EOS, PLACEHOLDER]] = -torch.inf
            top = scores.topk(width)
            candidates += [
                (score + value, [*tokens, token])
                for value, token in zip(top.values.tolist(), top.indices.tolist(), strict=True)
            ]
        beams = sorted(candidates, reverse=True)[:width]
    return [tokens for _, tokens in beams]


@pytest.mark.parametrize("name", SAMPLES)
def test_greedy_with_cache_is_the_plain_loop(model, name):
    tokens, logits = generate(model, SAMPLES[name])
    expected_tokens, expected_logits = plain_greedy(model, SAMPLES[name])
    assert tokens[0].tolist() == expected_tokens
    torch.testing.assert_close(logits[0], expected_logits, rtol=1e-4, atol=1e-4)


def test_the_samples_of_a_mixed_left_padded_batch_come_out_as_alone(model):
    tokens, logits = generate(model, *SAMPLES.values())
    for row, sample in enumerate(SAMPLES.values()):
        expected_tokens, expected_logits = generate(model, sample)
        torch.testing.assert_close(logits[row], expected_logits[0], rtol=1e-4, atol=1e-4)
        assert torch.equal(tokens[row], expected_tokens[0])


def test_the_order_of_a_batch_is_the_order_of_its_answers(model):
    samples = list(SAMPLES.values())
    tokens, logits = generate(model, *samples)
    assert len({tuple(row) for row in tokens.tolist()}) == len(samples)
    turned_tokens, turned_logits = generate(model, *samples[::-1])
    assert torch.equal(turned_tokens.flip(0), tokens)
    torch.testing.assert_close(turned_logits.flip(0), logits, rtol=1e-4, atol=1e-4)


def test_after_the_prompt_the_language_model_reads_one_token_a_step(model):
    lengths = []
    hook = model.model.language_model.register_forward_pre_hook(
        lambda _module, _args, kwargs: lengths.append(kwargs["inputs_embeds"].shape[1]), with_kwargs=True
    )
    generate(model, SAMPLES["video and image"])
    hook.remove()
    prompt = model_inputs(model.config, [SAMPLES["video and image"]])["input_ids"].shape[1]
    assert lengths == [prompt] + [1] * 5


@pytest.mark.parametrize("name", ["video and image", "sound", "text"])
def test_beams_are_the_plain_beam_search(model, name):
    inputs = model_inputs(model.config, [SAMPLES[name]])
    sequences = model.generate(**inputs, **NEW, num_beams=3, num_return_sequences=3)
    assert sequences[:, inputs["input_ids"].shape[1] :].tolist() == plain_beams(model, SAMPLES[name], 3)


def test_beams_of_a_mixed_batch_are_those_of_the_single_samples(model):
    inputs = model_inputs(model.config, list(SAMPLES.values()))
    together = model.generate(**inputs, **NEW, num_beams=3)[:, inputs["input_ids"].shape[1] :]
    for row, sample in enumerate(SAMPLES.values()):
        assert together[row].tolist() == plain_beams(model, sample, 3)[0]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_beams": 3},
        {"do_sample": True, "num_return_sequences": 2},
        {"num_beams": 2, "num_return_sequences": 2},
    ],
    ids=str,
)
def test_media_are_encoded_once_a_call_of_generate(options):
    model = tiny_model()
    parts = [model.model.vision_tower, model.model.visual_qformer, model.model.audio_tower, model.model.connector]
    calls = [count_calls(part) for part in parts]
    inputs = model_inputs(model.config, list(SAMPLES.values()))
    model.generate(**inputs, **(NEW | options))
    assert [len(of_part) for of_part in calls] == [1, 1, 1, 1]


@pytest.mark.parametrize("beams", [1, 3])
def test_encoded_media_can_be_given_instead_of_media(model, beams):
    inputs = model_inputs(model.config, list(SAMPLES.values()))
    text = {name: inputs.pop(name) for name in ("input_ids", "attention_mask")}
    expected = model.generate(**text, **inputs, **NEW, num_beams=beams)
    with torch.no_grad():
        encoder_states = model.model.encode_media(**inputs)
        features = model.get_video_features(**inputs)
    by_states = model.generate(**text, encoder_states=encoder_states, **NEW, num_beams=beams)
    assert torch.equal(by_states, expected)
    for _ in range(2):  # what was given is left as it was
        by_features = model.generate(**text, mm_encoder_outputs={"video": features}, **NEW, num_beams=beams)
        assert torch.equal(by_features, expected)


def test_media_and_encoded_media_together_are_refused(model):
    inputs = model_inputs(model.config, [SAMPLES["sound"]])
    features = model.get_audio_features(inputs["input_features"], inputs["input_features_mask"])
    with pytest.raises(ValueError, match="not both"):
        model.generate(**inputs, mm_encoder_outputs={"video": features}, **NEW)


def test_a_second_turn_on_the_first_ones_cache_needs_no_media(model):
    sample, question = SAMPLES["video and image"], [13, 14, 15]
    first = model.generate(**model_inputs(model.config, [sample]), **NEW, return_dict_in_generate=True)
    answer = first.sequences[0, -NEW["max_new_tokens"] :].tolist()
    conversation = [*sample, *answer, *question]
    second = model.generate(**text_inputs(model.config, [conversation]), **NEW, cache=cache_of(first))
    assert second[0, -NEW["max_new_tokens"] :].tolist() == plain_greedy(model, conversation)[0]


@pytest.mark.parametrize("chunk", [2, 5])
def test_prefill_in_chunks_changes_nothing(model, chunk):
    samples = [SAMPLES["video and image"], SAMPLES["sound"]]
    tokens, logits = generate(model, *samples)
    chunked_tokens, chunked_logits = generate(model, *samples, prefill_chunk_size=chunk)
    assert torch.equal(chunked_tokens, tokens)
    torch.testing.assert_close(chunked_logits, logits, rtol=1e-4, atol=1e-4)


def test_a_static_cache_changes_nothing(model):
    tokens, _ = generate(model, *SAMPLES.values())
    assert torch.equal(generate(model, *SAMPLES.values(), cache_implementation="static")[0], tokens)


@pytest.mark.parametrize("beams", [1, 3])
def test_a_prompt_that_lost_its_placeholders_is_refused(model, beams):
    inputs = model_inputs(model.config, [SAMPLES["sound"], SAMPLES["silent video"]])
    inputs["input_ids"][0][inputs["input_ids"][0] == PLACEHOLDER] = 5
    with pytest.raises(ValueError, match="9 placeholder tokens in the text, 12 encoded"):
        model.generate(**inputs, **NEW, num_beams=beams)


@pytest.mark.parametrize("beams", [1, 3])
def test_media_rows_in_another_order_than_the_prompts_are_refused(model, beams):
    """The totals agree, so only a look at each sample notices."""
    inputs = model_inputs(model.config, [SAMPLES["sound"], SAMPLES["silent video"]])
    turned = model_inputs(model.config, [SAMPLES["silent video"], SAMPLES["sound"]])
    text = {name: turned[name] for name in ("input_ids", "attention_mask")}
    with pytest.raises(ValueError, match=r"\[9, 3\] placeholder tokens, the items \[3, 9\].*order"):
        model.generate(**(inputs | text), **NEW, num_beams=beams)
