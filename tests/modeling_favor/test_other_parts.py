# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Other vision towers, no visual Q-Former, other language models: what the configuration promises to take."""

import pytest
import torch

from favor.modeling_favor import FavorForConditionalGeneration

from .tiny_models import PLACEHOLDER, VALUES, VOCABULARY, Item, media_inputs, model_inputs, tiny_model

SAMPLES = [[1, 3, Item(pictures=3, mel_frames=[24, 10], seed=1), 4], [1, Item(pictures=1, seed=2), 9, 5]]
SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
PICTURES = {"image_size": 8, "patch_size": 4}
TEXT = SIZES | {"hidden_size": 32, "vocab_size": VOCABULARY, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
# Model type, and the vectors it gives for a picture of 2 x 2 patches.
VISION_TOWERS = {"instructblip_vision_model": 5, "clip_vision_model": 5, "siglip_vision_model": 4}
LANGUAGE_MODELS = {
    "qwen2": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2, "head_dim": 8},
    "gpt_neox": {"rotary_pct": 0.5},
    "phi": {},
}


def model_with(vision: str | None = None, text: str | None = None, **values) -> FavorForConditionalGeneration:
    if vision is not None:
        values["vision_config"] = SIZES | PICTURES | {"model_type": vision}
        if vision == "instructblip_vision_model":
            values["vision_config"] = VALUES["vision_config"]
    if text is not None:
        values["text_config"] = TEXT | {"model_type": text} | LANGUAGE_MODELS[text]
    return tiny_model(**values)


def logits_of(model: FavorForConditionalGeneration, samples: list) -> torch.Tensor:
    with torch.no_grad():
        return model(**model_inputs(model.config, samples)).logits


def assert_media_matter_and_survive_saving(model: FavorForConditionalGeneration, folder) -> None:
    """Logits depend on the pictures, are those of the saved and loaded model, and are finite."""
    expected = logits_of(model, SAMPLES)
    assert torch.isfinite(expected).all()
    inputs = model_inputs(model.config, SAMPLES)
    inputs["pixel_values_videos"] = inputs["pixel_values_videos"].flip(-1)
    with torch.no_grad():
        changed = model(**inputs).logits
    assert (changed - expected).abs().amax((1, 2)).min() > 0.01
    model.save_pretrained(folder)
    loaded = FavorForConditionalGeneration.from_pretrained(folder)
    torch.testing.assert_close(logits_of(loaded, SAMPLES), expected)


@pytest.mark.parametrize("vision", VISION_TOWERS)
def test_any_vision_tower_under_the_visual_qformer(vision, tmp_path):
    assert_media_matter_and_survive_saving(model_with(vision), tmp_path)


@pytest.mark.parametrize(("vision", "vectors"), VISION_TOWERS.items())
def test_without_visual_qformer_the_towers_states_are_the_pictures_vectors(vision, vectors, tmp_path):
    model = model_with(vision, qformer_config=None, num_visual_query_tokens=vectors)
    assert model.model.visual_qformer is None
    item = Item(pictures=2, shown=[1, 0, 1], seed=4)
    with torch.no_grad():
        encoded = model.model.encode_media(media_inputs([item])["pixel_values_videos"], torch.tensor([item.shown]))
        states = model.model.vision_tower(pixel_values=item.pixels()).last_hidden_state
    torch.testing.assert_close(encoded["visual"][0], states[item.shown])
    assert_media_matter_and_survive_saving(model, tmp_path)


def test_a_tower_with_another_number_of_vectors_says_what_to_set():
    model = model_with("siglip_vision_model", qformer_config=None, num_visual_query_tokens=5)
    with pytest.raises(
        ValueError, match="has 4 vectors per frame.*visual_vectors_per_frame is 5.*num_visual_query_tokens"
    ):
        logits_of(model, SAMPLES)


@pytest.mark.parametrize("text", LANGUAGE_MODELS)
def test_any_causal_language_model(text, tmp_path):
    model = model_with(text=text)
    assert_media_matter_and_survive_saving(model, tmp_path)
    options = {"max_new_tokens": 5, "min_new_tokens": 5, "suppress_tokens": [PLACEHOLDER], "do_sample": False}
    for num_beams in (1, 2):
        together = model.generate(**model_inputs(model.config, SAMPLES), **options, num_beams=num_beams)[:, -5:]
        for answer, sample in zip(together, SAMPLES, strict=True):
            alone = model.generate(
                **model_inputs(model.config, [sample]), **options, num_beams=num_beams, use_cache=False
            )
            assert torch.equal(answer, alone[0, -5:])


@pytest.mark.parametrize("text", ["qwen2", "phi"])
def test_tied_embeddings_of_another_language_model(text, tmp_path):
    model = model_with(text=text, tie_word_embeddings=True)
    assert model.lm_head.weight is model.get_input_embeddings().weight
    assert_media_matter_and_survive_saving(model, tmp_path)


def test_transformers_finds_the_parts():
    model = tiny_model()
    for whole in (model, model.model):
        assert whole.get_encoder(modality="video") is model.model.vision_tower
        assert whole.get_encoder(modality="audio") is model.model.audio_tower
        assert whole.get_decoder() is model.model.language_model
        assert whole.get_input_embeddings() is model.model.language_model.embed_tokens
    assert model.get_output_embeddings() is model.lm_head
