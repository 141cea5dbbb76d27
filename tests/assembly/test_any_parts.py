# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`assemble_folder` with towers of any width and kind, and with encoders of samples: folders that load and answer."""

import json
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    HubertModel,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    WavLMModel,
)

from favor.model_folder import assemble_folder
from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor
from tests.modeling_favor.test_any_tower import STAGES, WAVE
from tests.modeling_favor.tiny_models import randomized

from .source_checkpoints import PREPROCESSOR, make_language_model, make_vision, make_whisper

SMALL = {"hidden_size": 24, "intermediate_size": 48, "num_query_tokens": 5, "window_frames": 3}
# Model type, values, what preprocessor_config.json adds, vectors of a picture, width, heads of the Q-Former.
TOWERS = {
    "resnet": ({**STAGES, "embedding_size": 8}, {"size": {"shortest_edge": 64}}, 4, 40, 8),
    "regnet": (
        {**STAGES, "embedding_size": 8, "groups_width": 8},
        {"size": {"shortest_edge": 80}, "do_center_crop": True, "crop_size": {"height": 64, "width": 64}},
        4,
        40,
        8,
    ),
    "convnext": ({**STAGES, "image_size": 64}, {}, 4, 40, 8),
    "mobilenet_v2": ({"image_size": 64, "depth_multiplier": 0.35}, {}, 4, 1280, 8),
    "vit": (
        {
            "hidden_size": 20,
            "num_attention_heads": 4,
            "num_hidden_layers": 1,
            "intermediate_size": 16,
            "image_size": 32,
            "patch_size": 16,
        },
        {},
        5,
        20,
        8,
    ),
}


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("parts")
    make_language_model(folder / "llm", hidden_size=40)
    make_whisper(folder / "whisper")
    make_vision(folder / "vision", "siglip")
    return {path.name: path for path in folder.iterdir()}


def tower_folder(folder: Path, kind: str) -> Path:
    values, preprocessor, *_ = TOWERS[kind]
    torch.manual_seed(3)
    randomized(AutoModel.from_config(AutoConfig.for_model(kind, **values))).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({**PREPROCESSOR, **preprocessor}))
    return folder


def answer(folder: Path, media_dir: Path) -> tuple[FavorForConditionalGeneration, str]:
    model = FavorForConditionalGeneration.from_pretrained(folder).eval()
    processor = FavorProcessor.from_pretrained(folder)
    content = [{"type": "video", "path": str(media_dir / "clip.mp4")}, {"type": "text", "text": "What?"}]
    chat = [{"role": "user", "content": content}]
    inputs = processor.apply_chat_template(
        chat, tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True
    )
    audio_config = model.get_encoder(modality="audio").config
    assert inputs["input_features"].shape[2] == getattr(audio_config, "num_mel_bins", 1)
    tokens = model.generate(**inputs, max_new_tokens=3, min_new_tokens=3, do_sample=False)
    return model, processor.batch_decode(tokens[:, inputs["input_ids"].shape[1] :])[0]


@pytest.mark.parametrize("kind", TOWERS)
def test_a_tower_of_any_kind_makes_a_folder_that_answers(kind, parts, media_dir, tmp_path):
    _, _, count, width, heads = TOWERS[kind]
    source = tower_folder(tmp_path / kind, kind)
    out = tmp_path / "out"
    assemble_folder(parts["llm"], parts["whisper"], source, out, connector_config=SMALL)
    model, text = answer(out, media_dir)
    config = model.config
    assert config.num_visual_query_tokens == count
    assert config.connector_config.visual_hidden_size == width
    assert config.connector_config.num_attention_heads == heads
    assert text
    published = AutoModel.from_pretrained(source).state_dict()
    for name, tensor in model.model.vision_tower.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(tensor, published[name], rtol=0, atol=0)


def test_a_stage_of_a_tower_is_chosen_and_pooled_at_assembly(parts, media_dir, tmp_path):
    source = tower_folder(tmp_path / "convnext", "convnext")
    values = {"vision_feature_layer": -2, "vision_pool_size": 2, "connector_config": SMALL}
    assemble_folder(parts["llm"], parts["whisper"], source, tmp_path / "out", **values)
    model, _ = answer(tmp_path / "out", media_dir)
    assert model.config.num_visual_query_tokens == 4
    assert model.config.connector_config.visual_hidden_size == STAGES["hidden_sizes"][-2]


def test_what_does_not_fit_is_refused_before_anything_is_written(parts, tmp_path):
    source = tower_folder(tmp_path / "vit", "vit")
    (tmp_path / "resnet").mkdir()
    tower_folder(tmp_path / "resnet", "resnet")
    (tmp_path / "resnet" / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    for vision, values, message in (
        (source, {"connector_config": {**SMALL, "num_attention_heads": 12}}, "feature_size 40 .* 12: set .*heads=8"),
        (source, {"vision_pool_size": 2}, "vision_pool_size=2 pools a map, but ViTModel gives 5 vectors"),
        (source, {"vision_feature_layer": 7}, "vision_feature_layer=7 is none of the 2 hidden states"),
        (tmp_path / "resnet", {}, "neither its config.json .* says how large pictures are"),
        (parts["llm"], {}, "which has no vision tower"),
    ):
        with pytest.raises(ValueError, match=message):
            assemble_folder(parts["llm"], parts["whisper"], vision, tmp_path / "out", **values)
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm"])
def test_an_encoder_of_samples_makes_a_folder_that_hears(kind, parts, media_dir, tmp_path):
    values = {**WAVE, "conv_kernel": [10, 3, 20], "conv_stride": [5, 4, 16]}  # 320 samples a vector, as published
    torch.manual_seed(4)
    model_class = {"wav2vec2": Wav2Vec2ForCTC, "hubert": HubertModel, "wavlm": WavLMModel}[kind]
    published = randomized(model_class(AutoConfig.for_model(kind, **values))).eval()
    published.save_pretrained(tmp_path / kind)
    Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(tmp_path / kind)
    assemble_folder(parts["llm"], tmp_path / kind, parts["vision"], tmp_path / "out", connector_config=SMALL)
    model, text = answer(tmp_path / "out", media_dir)
    assert text
    processor = FavorProcessor.from_pretrained(tmp_path / "out")
    assert type(processor.feature_extractor) is Wav2Vec2FeatureExtractor
    assert (model.config.audio_encoder_rate, model.config.audio_stride) == (50, 320)
    source = published.base_model.state_dict()
    for name, tensor in model.model.audio_tower.state_dict().items():
        torch.testing.assert_close(tensor, source[name], rtol=0, atol=0)
    sound = torch.randn(16000 * 31).numpy()  # more than a chunk of 30 s
    inputs = processor(text="<audio>Who speaks?", audio=sound, sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        states = model.model.encode_audio(inputs["input_features"], inputs["input_features_mask"])
    assert states[1].tolist() == [31 * 50]
    first = processor.feature_extractor(sound[: 30 * 16000], sampling_rate=16000, return_tensors="pt").input_values
    first = torch.nn.functional.pad(first, (0, 80))  # the last vector sees 400 samples, 80 beyond its own
    with torch.no_grad():
        expected = published.base_model(first).last_hidden_state[0]
    torch.testing.assert_close(states[0][0, :100], expected[:100], rtol=1e-3, atol=1e-4)


def test_a_1024_wide_tower_gets_heads_that_fit(parts, tmp_path):
    layers = {"num_hidden_layers": 1, "num_attention_heads": 16, "intermediate_size": 16}
    config = CLIPVisionConfig(hidden_size=1024, **layers, image_size=32, patch_size=16)
    CLIPVisionModel(config).save_pretrained(tmp_path / "clip-large")
    (tmp_path / "clip-large" / "preprocessor_config.json").write_text(json.dumps(PREPROCESSOR))
    sources = (parts["llm"], parts["whisper"], tmp_path / "clip-large")
    assemble_folder(*sources, tmp_path / "out", connector_config={"num_hidden_layers": 1})
    config = FavorForConditionalGeneration.from_pretrained(tmp_path / "out").config.connector_config
    assert (config.feature_size, config.hidden_size, config.num_attention_heads) == (2048, 768, 16)
