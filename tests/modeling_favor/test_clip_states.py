# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""An item cut where its question comes in, with and without a language model around."""

import pytest
import torch

from favor.modeling_favor.clip_states_favor import FavorMediaEncoder

from .tiny_models import Item, media_inputs, tiny_model

ITEMS = {
    "video with sound": Item(pictures=3, mel_frames=[24, 10], shown=[0, 0, 1, 2], seed=1),
    "pictures": Item(pictures=2, seed=2),
    "sound": Item(mel_frames=[24], seed=3),
}
PROJECTOR = {"model_type": "favor_projector", "visual_pooling": "space_and_time", "audio_pool_size": 2}
MODELS = {
    "instruction": {},
    "no visual Q-Former": {"qformer_config": None, "num_visual_query_tokens": 5},
    "projector": {"connector_config": PROJECTOR},
    "sound alone": {"connector_config": PROJECTOR | {"modalities": "audio"}},
}


@pytest.mark.parametrize("item", ITEMS.values(), ids=ITEMS)
@pytest.mark.parametrize("overrides", MODELS.values(), ids=MODELS)
def test_states_and_question_make_the_items_embeddings(overrides, item):
    model = tiny_model(**overrides).model
    encoder = FavorMediaEncoder(model.config).eval()
    encoder.load_state_dict(
        {name: weight for name, weight in model.state_dict().items() if not name.startswith("language_model.")}
    )
    inputs = media_inputs([item])
    states = encoder.clip_states({name: value for name, value in inputs.items() if not name.startswith("qformer")})
    assert states.nbytes > 0 or overrides.get("connector_config", {}).get("modalities") == "audio"
    for seed in range(2):
        ids = torch.randint(0, 40, (4,), generator=torch.Generator().manual_seed(seed))
        asked = dict(inputs)
        if "qformer_input_ids" in inputs:
            asked |= {"qformer_input_ids": ids[None], "qformer_attention_mask": torch.ones(1, 4, dtype=torch.long)}
        with torch.no_grad():
            expected = model.get_video_features(**asked).pooler_output[0]
        for one in (encoder, model):
            torch.testing.assert_close(one.clip_embeddings(states, ids), expected)
