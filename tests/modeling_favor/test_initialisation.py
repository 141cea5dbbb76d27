# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A part that no checkpoint holds is initialised as its own class does it; no remote code compares its own classes."""

import ast
import copy
import logging
from pathlib import Path

import pytest
import torch
from transformers.models.whisper.modeling_whisper import sinusoids

from favor.modeling_favor import FavorForConditionalGeneration, FavorModel

from .tiny_models import VALUES, tiny_config, tiny_model

REPOSITORY = Path(__file__).parents[2]
VISION = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
VISION |= {"image_size": 8, "patch_size": 4}
BLIP_2 = VALUES["qformer_config"] | {"model_type": "blip_2_qformer"}
BLIP_2.pop("vocab_size"), BLIP_2.pop("pad_token_id")
VARIANTS = {
    "instructblip": {},
    "blip-2": {"qformer_config": BLIP_2, "vision_config": VISION | {"model_type": "blip_2_vision_model"}},
    "clip": {"vision_config": VISION | {"model_type": "clip_vision_model"}},
    "siglip": {"vision_config": VISION | {"model_type": "siglip_vision_model"}},
    "dinov2": {"vision_config": VISION | {"model_type": "dinov2"}},
    "without visual Q-Former": {"qformer_config": None},
    "projector": {"connector_config": {"model_type": "favor_projector"}, "qformer_config": None},
    "tied": {"tie_word_embeddings": True},
}


def loaded_from(weights: dict[str, torch.Tensor], **values) -> FavorForConditionalGeneration:
    """What `from_pretrained` makes of a checkpoint that holds `weights`."""
    logging.getLogger("transformers.utils.loading_report").setLevel(logging.ERROR)
    return FavorForConditionalGeneration.from_pretrained(None, config=tiny_config(**values), state_dict=weights)


@pytest.mark.parametrize("variant", VARIANTS)
def test_from_an_empty_checkpoint_every_parameter_is_as_in_a_new_model(variant):
    """Constant ones (biases, gains, Whisper's sinusoids) are equal, drawn ones as widely spread."""
    torch.manual_seed(0)
    new = FavorForConditionalGeneration(tiny_config(**copy.deepcopy(VARIANTS[variant])))
    torch.manual_seed(1)
    loaded = loaded_from({}, **copy.deepcopy(VARIANTS[variant]))
    found = dict(loaded.named_parameters())
    assert set(found) == {name for name, _ in new.named_parameters()}
    for name, parameter in new.named_parameters():
        assert found[name].device.type == "cpu", name
        assert found[name].requires_grad == parameter.requires_grad, name
        one, other = parameter.detach(), found[name].detach()
        assert torch.isfinite(other).all(), name
        if one.std() == 0 or "embed_positions" in name:
            assert torch.equal(one, other), name
        elif one.numel() >= 96:
            assert other.std().item() == pytest.approx(one.std().item(), rel=0.4), name
            assert not torch.equal(one, other), name
    for (name, one), (_, other) in zip(new.named_buffers(), loaded.named_buffers(), strict=True):
        assert torch.equal(one, other), name


def test_whispers_positions_are_its_sinusoids_even_if_missing_and_stay_frozen(tmp_path):
    model = tiny_model()
    weights = {name: tensor for name, tensor in model.state_dict().items() if "embed_positions" not in name}
    positions = loaded_from(weights).model.audio_tower.embed_positions.weight
    torch.testing.assert_close(positions.detach(), sinusoids(*positions.shape))
    model.save_pretrained(tmp_path)
    for model_class in (FavorForConditionalGeneration, FavorModel):
        loaded = model_class.from_pretrained(tmp_path)
        audio_tower = loaded.get_encoder(modality="audio")
        assert [name for name, p in audio_tower.named_parameters() if not p.requires_grad] == [
            "embed_positions.weight"
        ]


@pytest.mark.parametrize("missing", ["connector", "visual_qformer", "vision_tower", "audio_tower", "language_model"])
def test_weights_that_are_there_are_not_drawn_anew(missing):
    model = tiny_model()
    weights = {name: tensor for name, tensor in model.state_dict().items() if f".{missing}." not in name}
    assert len(weights) < len(model.state_dict())
    loaded = loaded_from(weights).state_dict()
    for name, tensor in weights.items():
        assert torch.equal(loaded[name], tensor), name


def own_class_names(folder: str) -> set[str]:
    """Of the classes that users and other files hand in: Favor...; helpers within one file are always its own."""
    found = set()
    for file in (REPOSITORY / folder).glob("*_favor.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found |= {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and "Favor" in node.name}
    return found


@pytest.mark.parametrize("folder", ["modeling_favor", "processing"])
def test_remote_code_compares_own_classes_only_with_modules_it_built(folder):
    """A class loaded with trust_remote_code is another object than the installed one: `isinstance` would be False.

    `_init_weights` gets the modules of its own model, built by the same code.
    """
    own = own_class_names(folder)
    assert len(own) >= 2
    compared = set()
    for file in (REPOSITORY / folder).glob("*_favor.py"):
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef) or function.name == "_init_weights":
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
                    names = {name.id for name in ast.walk(node.args[1]) if isinstance(name, ast.Name)}
                    compared |= {(file.name, function.name, name) for name in names & own}
    assert not compared
