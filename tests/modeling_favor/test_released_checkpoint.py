# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A released checkpoint gives the released outputs; a file that is not one is refused by name.

`fixtures/favor_released_qformer.safetensors` was made by running the released code at small width: `checkpoint.*` in
its layout, `case.NAME.*` inputs and outputs.
"""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from favor.modeling_favor import FavorConnector, FavorForConditionalGeneration
from favor.modeling_favor.conversion_favor import released_connector_state_dict

from .tiny_models import VALUES, tiny_config

TENSORS = load_file(Path(__file__).parent / "fixtures" / "favor_released_qformer.safetensors")
CHECKPOINT = {name.removeprefix("checkpoint."): t for name, t in TENSORS.items() if name.startswith("checkpoint.")}
CASES = sorted({name.split(".")[1] for name in TENSORS if name.startswith("case.")})
MODALITIES = {"visual_only": "visual", "audio_only": "audio"}
HEADS, WINDOW_FRAMES = 4, 3


def released_connector(**config_kwargs) -> FavorConnector:
    return FavorConnector.from_released(
        CHECKPOINT, num_attention_heads=HEADS, window_frames=WINDOW_FRAMES, **config_kwargs
    )


def released_model(modalities: str = "audio_visual") -> FavorForConditionalGeneration:
    """A whole model around the fixture's widths, its connector loaded from the checkpoint."""
    connector = {
        "num_query_tokens": 5,
        "window_frames": WINDOW_FRAMES,
        "causal_attention": "released",
        "max_position_embeddings": 4096,
        "modalities": modalities,
    }
    config = tiny_config(
        connector,
        num_visual_query_tokens=32,
        audio_encoder_rate=50.0,
        text_config=VALUES["text_config"] | {"hidden_size": 40},
    )
    model = FavorForConditionalGeneration(config).eval()
    module = model.model.connector
    module.load_state_dict(released_connector_state_dict(CHECKPOINT, module))
    return model


def case_inputs(name: str) -> dict[str, torch.Tensor]:
    """The connector's arguments: visual (B, T, 32, d) and audio (B, S, A)."""
    visual = TENSORS[f"case.{name}.visual"]
    return {"visual": visual.unflatten(1, (-1, 32)), "audio": TENSORS[f"case.{name}.audio"]}


def assert_released(actual: torch.Tensor, name: str) -> None:
    """`actual` has the values of the tensor that the released code put out.

    Both sides compute in float32. All but two of the 8,007 values agree within rtol = atol = 1e-5. The released ones
    are themselves up to 3.5e-5 away from this connector in float64: hence 3e-5 for single values, 5e-6 on average.
    """
    expected = TENSORS[name].reshape(actual.shape)
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=3e-5)
    assert (actual - expected).square().mean().sqrt() < 5e-6


@pytest.mark.parametrize("name", CASES)
def test_connector_gives_the_released_outputs(name):
    connector = released_connector(modalities=MODALITIES.get(name, "audio_visual"))
    with torch.no_grad():
        outputs = connector(**case_inputs(name))
    assert_released(outputs.query_states, f"case.{name}.query")
    assert_released(outputs.embeddings, f"case.{name}.llm")
    assert_released(outputs.diversity_loss, f"case.{name}.diversity")


@pytest.mark.parametrize("name", CASES)
def test_whole_model_gives_the_released_outputs(name):
    model = released_model(MODALITIES.get(name, "audio_visual"))
    with torch.no_grad():
        outputs = model.get_video_features(encoder_states=case_inputs(name))
    assert_released(outputs.query_states, f"case.{name}.query")
    assert_released(torch.stack(outputs.pooler_output), f"case.{name}.llm")
    assert_released(outputs.diversity_loss, f"case.{name}.diversity")


@pytest.mark.parametrize(("name", "stream"), [("visual_only", "visual"), ("audio_only", "audio")])
def test_a_stream_left_out_is_the_released_zeroed_stream(name, stream):
    with torch.no_grad():
        outputs = released_connector()(**{stream: case_inputs(name)[stream]})
    assert_released(outputs.query_states, f"case.{name}.query")


def test_the_papers_direction_is_another_model():
    with torch.no_grad():
        outputs = released_connector(causal_attention="previous")(**case_inputs("av_equal"))
    expected = TENSORS["case.av_equal.query"].reshape(outputs.query_states.shape)
    assert (outputs.query_states - expected).abs().max() > 0.1


def test_aliases_buffers_and_lora_are_accepted():
    aliases = {name.replace("video_", "joint_", 1): t for name, t in CHECKPOINT.items() if name.startswith("video_")}
    aliases |= {name.replace("video_Qformer", "speech_Qformer", 1): t for name, t in CHECKPOINT.items()}
    aliases |= {
        "speech_query_tokens": CHECKPOINT["video_query_tokens"],
        "llama_proj_speech.weight": CHECKPOINT["llama_proj.weight"],
        "llama_proj_joint.bias": CHECKPOINT["llama_proj.bias"],
        "ln_speech.weight": CHECKPOINT["ln_video.weight"],
        "ln_joint.bias": CHECKPOINT["ln_video.bias"],
        "video_Qformer.bert.embeddings.position_ids": torch.arange(4)[None],
        "llama_model.base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight": torch.ones(2, 40),
        "llama_model.base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight": torch.ones(40, 2),
    }
    connector = FavorConnector.from_released(
        CHECKPOINT | aliases, num_attention_heads=HEADS, window_frames=WINDOW_FRAMES
    )
    for name, tensor in released_connector().state_dict().items():
        assert torch.equal(connector.state_dict()[name], tensor), name


@pytest.mark.parametrize("name", sorted(name for name in CHECKPOINT if not name.endswith("position_ids")))
def test_every_missing_tensor_is_named(name):
    rest = {other: tensor for other, tensor in CHECKPOINT.items() if other != name}
    with pytest.raises(ValueError, match=f"{name.replace('.', '[.]')}.* missing|missing .*{name.replace('.', '[.]')}"):
        FavorConnector.from_released(rest, num_attention_heads=HEADS)


def test_an_unknown_tensor_is_named():
    with pytest.raises(ValueError, match="unknown .*video_Qformer[.]bert[.]pooler"):
        FavorConnector.from_released(
            CHECKPOINT | {"video_Qformer.bert.pooler.weight": torch.ones(2)}, num_attention_heads=HEADS
        )


@pytest.mark.parametrize(
    "name",
    [
        "llama_proj.bias",
        "ln_video.weight",
        "video_Qformer.bert.embeddings.LayerNorm.weight",
        "video_Qformer.bert.encoder.layer.0.crossattention.self.key.weight",
        "video_Qformer.bert.encoder.layer.1.output_query.dense.weight",
    ],
)
def test_an_ill_shaped_tensor_is_named_with_both_shapes(name):
    tensor = CHECKPOINT[name]
    ill_shaped = tensor[..., :-1]
    with pytest.raises(ValueError, match="shape") as error:
        FavorConnector.from_released(CHECKPOINT | {name: ill_shaped}, num_attention_heads=HEADS)
    for part in (name, str(tuple(ill_shaped.shape)), str(tuple(tensor.shape))):
        assert part in str(error.value)


@pytest.mark.parametrize("state_dict", [{}, {"model.embed_tokens.weight": torch.ones(2, 2)}])
def test_another_models_checkpoint_is_refused(state_dict):
    with pytest.raises(ValueError, match="Not a released FAVOR checkpoint"):
        FavorConnector.from_released(state_dict)
