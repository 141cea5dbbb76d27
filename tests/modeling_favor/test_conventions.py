# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Names that trainers, servers and transformers look for on every multimodal model."""

import json

import pytest
import torch

from favor.modeling_favor import FavorConfig

from .tiny_models import PLACEHOLDER, Item, media_inputs, tiny_model

PICTURES = [Item(pictures=1, instruction=[5, 6], seed=1), Item(pictures=1, instruction=[8, 9], seed=2)]


@pytest.mark.parametrize("name", ["image_token_id", "audio_token_id"])
def test_items_of_every_kind_have_the_placeholder_of_videos(tmp_path, name):
    config = tiny_model().config
    assert getattr(config, name) == PLACEHOLDER
    config.video_token_id = 77
    config.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert name not in saved  # a fact has one place
    assert getattr(FavorConfig.from_pretrained(tmp_path), name) == 77
    (tmp_path / "config.json").write_text(json.dumps(saved | {name: 77}))
    assert getattr(FavorConfig.from_pretrained(tmp_path), name) == 77
    with pytest.raises(ValueError, match=f"{name}=78 differs from video_token_id=77.*set video_token_id alone"):
        setattr(config, name, 78)


def test_images_by_themselves_are_videos_of_one_frame():
    model = tiny_model()
    inputs = media_inputs(PICTURES)
    with torch.no_grad():
        expected = model.get_video_features(**inputs)
        found = model.get_image_features(
            inputs["pixel_values_videos"][:, 0], inputs["qformer_input_ids"], inputs["qformer_attention_mask"]
        )
        assert len(found.pooler_output) == len(PICTURES)
        for own, other in zip(found.pooler_output, expected.pooler_output, strict=True):
            assert torch.equal(own, other)
        as_tuple = model.get_image_features(inputs["pixel_values_videos"][:, 0], return_dict=False)
    assert torch.equal(as_tuple[0], model.get_image_features(inputs["pixel_values_videos"][:, 0])[0])
