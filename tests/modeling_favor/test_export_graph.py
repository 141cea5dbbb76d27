# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`torch.export`: a prompt of text, and one whose media are encoded already, become one graph with the same logits."""

import pytest
import torch

from .tiny_models import Item, model_inputs, tiny_model

SAMPLES = {
    "text": [[1, 5, 6, 7]],
    "two texts": [[1, 5, 6, 7], [1, 9]],
    "video": [[1, Item(pictures=3, mel_frames=[24, 10], seed=1), 4, 11]],
    "sound and picture": [[1, Item(mel_frames=[7], seed=2), 9], [1, Item(pictures=1), 5]],
}


class Logits(torch.nn.Module):
    """A model's logits alone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, **inputs):
        return self.model(use_cache=False, **inputs).logits


@pytest.mark.parametrize("samples", SAMPLES.values(), ids=SAMPLES)
def test_an_exported_graph_gives_the_models_logits(samples):
    model = tiny_model().eval()
    inputs = model_inputs(model.config, samples)
    text = {name: inputs.pop(name) for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        if inputs:
            text["mm_encoder_outputs"] = {"video": model.get_video_features(**inputs, return_dict=True)}
        expected = Logits(model)(**text)
        graph = torch.export.export(Logits(model), (), text, strict=False).module()
        torch.testing.assert_close(graph(**text), expected)
