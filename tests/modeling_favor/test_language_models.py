# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Any causal language model: its own logits for text, its embeddings tied or not, resized, saved once."""

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModelForCausalLM

from favor.modeling_favor import FavorForConditionalGeneration

from .tiny_models import VOCABULARY, Item, model_inputs, randomized, tiny_config, tiny_model

TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPED = {"num_key_value_heads": 2, "head_dim": 8}
# Beside the common values: what makes each of them special.
LANGUAGE_MODELS = {
    "llama": {"num_key_value_heads": 2},
    "qwen3": GROUPED,
    "gpt_neox": {"rotary_pct": 0.5},  # embed_in
    "gpt2": {"n_inner": 64},  # wte, learned positions, another name for every size
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},  # decoder.embed_tokens
    "phi": {"partial_rotary_factor": 0.5},  # a bias in its head
    "gemma2": GROUPED | {"final_logit_softcapping": 3.0, "query_pre_attn_scalar": 8},
    "cohere": {"num_key_value_heads": 2, "logit_scale": 0.25},
    "granite": {"num_key_value_heads": 2, "logits_scaling": 3.0, "embedding_multiplier": 2.0},
}
TEXT_INPUTS = {
    "input_ids": torch.tensor([[1, 5, 9, 33, 20, 7], [0, 0, 1, 8, 40, 3]]),
    "attention_mask": torch.tensor([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]]),
}
SAMPLES = [[1, 3, Item(pictures=3, mel_frames=[24, 10], seed=1), 4], [1, Item(pictures=1, seed=2), 9, 5]]


def model_with(text: str, **values) -> FavorForConditionalGeneration:
    """`values`: also of the language model, as its own checkpoints have `tie_word_embeddings` in both places."""
    text_config = TEXT | {"model_type": text, "tie_word_embeddings": values.get("tie_word_embeddings", False)}
    return tiny_model(text_config=text_config | LANGUAGE_MODELS[text], lm_head_bias=text == "phi", **values)


def causal_language_model(model: FavorForConditionalGeneration) -> nn.Module:
    """The language model's own class with other random weights; these are then those of `model`, too."""
    torch.manual_seed(1)
    causal = randomized(AutoModelForCausalLM.from_config(model.config.text_config)).eval()
    body = getattr(causal, causal.base_model_prefix)
    model.model.language_model.load_state_dict(body.state_dict())
    model.lm_head.load_state_dict(causal.get_output_embeddings().state_dict())
    return causal


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("text", LANGUAGE_MODELS)
def test_logits_for_text_are_the_language_models_own(text, tied):
    """Scaled, capped and with a bias as its causal class does it."""
    model = model_with(text, tie_word_embeddings=tied)
    causal = causal_language_model(model)
    with torch.no_grad():
        expected = causal(**TEXT_INPUTS).logits
        actual = model(**TEXT_INPUTS).logits
    real = TEXT_INPUTS["attention_mask"].bool()
    torch.testing.assert_close(actual[real], expected[real])
    assert expected[real].std() > 0.01


@pytest.mark.parametrize("text", LANGUAGE_MODELS)
def test_answers_to_text_are_the_language_models_own(text):
    model = model_with(text)
    causal = causal_language_model(model)
    options = {"max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False, "suppress_tokens": [63]}
    assert torch.equal(model.generate(**TEXT_INPUTS, **options), causal.generate(**TEXT_INPUTS, **options))


@pytest.mark.parametrize("text", LANGUAGE_MODELS)
def test_tied_embeddings_share_memory_always_and_are_saved_once(text, tmp_path):
    model = model_with(text, tie_word_embeddings=True)
    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors")
    embedding = next(
        f"model.language_model.{name}"
        for name, parameter in model.model.language_model.named_parameters()
        if parameter is model.get_input_embeddings().weight
    )
    assert ("lm_head.weight" in saved) + (embedding in saved) == 1
    loaded, report = FavorForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"]
    for tied in (model, loaded):
        assert tied.lm_head.weight.data_ptr() == tied.get_input_embeddings().weight.data_ptr()
        assert "lm_head.weight" not in dict(tied.named_parameters())
    torch.testing.assert_close(loaded.lm_head.weight, model.lm_head.weight, rtol=0, atol=0)


@pytest.mark.parametrize("text", LANGUAGE_MODELS)
def test_untied_embeddings_are_two_tensors_always(text, tmp_path):
    model = model_with(text)
    model.save_pretrained(tmp_path)
    loaded = FavorForConditionalGeneration.from_pretrained(tmp_path)
    for untied in (model, loaded):
        assert not torch.equal(untied.lm_head.weight, untied.get_input_embeddings().weight)
    assert torch.equal(loaded.lm_head.weight, model.lm_head.weight)


@pytest.mark.parametrize("size", [72, 48])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("text", ["llama", "gpt_neox", "phi"])
def test_embeddings_are_resized_up_and_down(text, tied, size, tmp_path):
    """The placeholder, 63, then lies inside the vocabulary or beyond it: never looked up, it may."""
    model = model_with(text, tie_word_embeddings=tied)
    with torch.no_grad():
        expected = model(**model_inputs(model.config, SAMPLES)).logits
    model.resize_token_embeddings(size, mean_resizing=False)
    assert model.get_input_embeddings().weight.shape[0] == model.lm_head.out_features == size
    assert model.config.text_config.vocab_size == size
    assert (model.lm_head.weight is model.get_input_embeddings().weight) == tied
    model.save_pretrained(tmp_path)
    loaded = FavorForConditionalGeneration.from_pretrained(tmp_path)
    inputs = model_inputs(model.config, SAMPLES)
    kept = min(size, VOCABULARY)
    for resized in (model, loaded):
        with torch.no_grad():
            logits = resized(**inputs).logits
        assert logits.shape[-1] == size
        torch.testing.assert_close(logits[..., :kept], expected[..., :kept])
    labels = inputs["input_ids"].where(inputs["input_ids"] < kept, -100)
    model(**inputs, labels=labels).loss.backward()
    assert model.get_input_embeddings().weight.grad[1].any()


def test_tying_is_a_matter_of_the_whole_models_configuration():
    """As in transformers: `tie_word_embeddings` of the language model alone ties nothing."""
    config = tiny_config()
    config.text_config.tie_word_embeddings = True
    model = FavorForConditionalGeneration(config)
    assert model.lm_head.weight is not model.get_input_embeddings().weight
