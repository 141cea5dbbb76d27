# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""FavorSFTTrainer: eq. 5, what is trained, gradient accumulation, refused options, checkpoints."""

import copy
import re

import pytest
import torch
from datasets import Dataset

from favor.modeling_favor import FavorForConditionalGeneration
from favor.trainers import FavorDataCollator, FavorSFTConfig, FavorSFTTrainer, load_manifest, lora_config
from favor.trainers.favor_sft_trainer import LORA_TARGET_MODULES
from favor.trainers.from_scratch.scratch_model import scratch_config
from tests.conftest import tiny_settings


@pytest.fixture
def make_trainer(model_and_processor, training_dir, tmp_path):
    model, processor = model_and_processor
    dataset = load_manifest(training_dir / "train.jsonl")
    videos = [number for number, row in enumerate(dataset) if row["video"]]

    def make(model=model, peft_config=None, rows=8, **options):
        arguments = FavorSFTConfig(
            output_dir=str(tmp_path / "run"),
            **{
                "max_steps": 1,
                "per_device_train_batch_size": 4,
                "optim": "sgd",
                "learning_rate": 0.1,
                "lr_scheduler_type": "constant",
                "max_grad_norm": 0.0,
                "weight_decay": 0.0,
                "logging_steps": 1,
                "save_strategy": "no",
                "report_to": "none",
                "train_sampling_strategy": "sequential",
                **options,
            },
        )
        return FavorSFTTrainer(
            model=model,
            args=arguments,
            processing_class=processor,
            train_dataset=dataset.select(videos[:rows]),
            peft_config=peft_config,
        )

    return make


def logged(trainer, name):
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def without_dropout(model):
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.config.connector_config.attention_probs_dropout_prob = 0.0
    return model


def test_the_loss_is_cross_entropy_plus_weighted_diversity(make_trainer, model_and_processor):
    model, processor = model_and_processor
    model = without_dropout(model)
    trainer = make_trainer(model, learning_rate=0.0, diversity_loss_weight=0.7)
    batch = FavorDataCollator(processor)([trainer.train_dataset[i] for i in range(4)])
    model.config.diversity_loss_weight = 0.0
    with torch.no_grad():
        expected = model.train()(**batch)
    trainer.train()
    assert logged(trainer, "diversity_loss")[0] == pytest.approx(expected.diversity_loss.item(), rel=1e-4)
    total = expected.loss.item() + 0.7 * expected.diversity_loss.item()
    assert logged(trainer, "loss")[0] == pytest.approx(total, rel=1e-3)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ({"model_type": "phi"}, {"lm_head_bias": True}),
        ({"model_type": "gemma2", "head_dim": 8, "final_logit_softcapping": 1.5}, {}),
        ({"model_type": "granite", "logits_scaling": 4.0}, {}),
        ({"model_type": "cohere", "logit_scale": 0.25}, {}),
    ],
)
def test_the_loss_is_the_models_own_with_any_language_head(text, values, make_trainer, model_and_processor):
    _, processor = model_and_processor
    config = tiny_settings()["config"]
    text = config["text_config"] | {"num_key_value_heads": 4} | text
    torch.manual_seed(0)
    model = FavorForConditionalGeneration(
        scratch_config(config | values | {"text_config": text}, processor.tokenizer, processor.qformer_tokenizer)
    )
    if model.lm_head.bias is not None:
        torch.nn.init.normal_(model.lm_head.bias)
    trainer = make_trainer(without_dropout(model), learning_rate=0.0)
    batch = FavorDataCollator(processor)([trainer.train_dataset[i] for i in range(4)])
    with torch.no_grad():
        expected = model.train()(**batch).loss
    trainer.train()
    assert logged(trainer, "loss")[0] == pytest.approx(expected.item(), rel=1e-4)


def test_only_the_named_modules_are_trained(make_trainer, model_and_processor):
    model, _ = model_and_processor
    trainer = make_trainer(
        train_only=["connector.audio_projection", "model.connector.causal_qformer.query_norm", "lm_head"]
    )
    before = copy.deepcopy(model.state_dict())
    trainer.train()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    connector = "model.connector."
    assert changed == {"lm_head.weight"} | {
        connector + part + kind
        for part in ("audio_projection.", "causal_qformer.query_norm.")
        for kind in ("weight", "bias")
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"train_only": ["connector.audio_projector"]}, "'connector.audio_projector'.*connector.audio_projection, .*"),
        ({"train_only": [""]}, "no module with weights; there are .*vision_tower, .*lm_head"),
        ({"train_only": ["connector"], "peft_config": lora_config(rank=2)}, "contradict.*modules_to_save"),
        ({"train_only": ["audio_tower.layers.0"]}, "WhisperEncoder.*freeze_encoders=False"),
    ],
)
def test_a_choice_of_modules_that_cannot_be_is_explained(options, said, make_trainer):
    with pytest.raises(ValueError, match=said):
        make_trainer(**options)


def test_a_named_encoder_is_trained_where_encoders_may_be(make_trainer, model_and_processor):
    model, _ = model_and_processor
    make_trainer(train_only=["audio_tower.layers.0"], freeze_encoders=False)
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert trained and all(name.startswith("model.audio_tower.layers.0.") for name in trained)


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ({"model_type": "phi"}, {"q_proj", "k_proj", "v_proj", "dense"}),
        ({"model_type": "phi3"}, {"qkv_proj", "o_proj"}),
        ({"model_type": "qwen3", "head_dim": 8}, {"q_proj", "k_proj", "v_proj", "o_proj"}),
        ({"model_type": "gemma2", "head_dim": 8}, {"q_proj", "k_proj", "v_proj", "o_proj"}),
        ({"model_type": "gpt_neox"}, {"query_key_value", "dense"}),
        ({"model_type": "opt", "ffn_dim": 64, "word_embed_proj_dim": 32}, {"q_proj", "k_proj", "v_proj", "out_proj"}),
        ({"model_type": "falcon"}, {"query_key_value", "dense"}),
        ({"model_type": "gpt2"}, {"c_attn", "c_proj"}),
        ({"model_type": "mpt", "d_model": 32, "n_heads": 4, "n_layers": 2}, {"Wqkv", "out_proj"}),
    ],
)
def test_lora_finds_the_attention_of_other_language_models(text, targets, tiny_parts):
    settings = tiny_settings()["config"]
    text = settings["text_config"] | {"num_key_value_heads": 4, "pad_token_id": 0} | text
    settings["text_config"] = text
    with torch.device("meta"):
        model = FavorForConditionalGeneration(
            scratch_config(settings, tiny_parts[1].tokenizer, tiny_parts[1].qformer_tokenizer)
        )
    found = {name for name, _ in model.named_modules() if re.fullmatch(LORA_TARGET_MODULES, name)}
    assert {name.rpartition(".")[2] for name in found} == targets
    assert len(found) == 2 * len(targets)  # two layers; the feed-forward's `c_proj` or `dense_...` are not among them


def test_gradient_accumulation_changes_nothing(make_trainer, model_and_processor):
    start = without_dropout(model_and_processor[0])
    # clips of one length, so that both splits have equally many windows in each micro-batch
    whole = make_trainer(copy.deepcopy(start), diversity_loss_weight=0.5, per_device_train_batch_size=4, rows=4)
    parts = make_trainer(
        copy.deepcopy(start),
        diversity_loss_weight=0.5,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=4,
        rows=4,
    )
    whole.train_dataset = parts.train_dataset = same_clip(whole.train_dataset)
    whole.train()
    parts.train()
    found = dict(parts.model.named_parameters())
    moved = 0
    for name, expected in whole.model.named_parameters():
        torch.testing.assert_close(found[name], expected, rtol=1e-4, atol=1e-5)
        moved += int((expected - start.get_parameter(name)).abs().max() > 1e-4)
    assert moved > 20


def same_clip(dataset: Dataset) -> Dataset:
    """The questions of a dataset, all about its first clip."""
    return Dataset.from_list([{**row, "video": dataset[0]["video"]} for row in dataset])


def test_encoders_are_frozen_and_the_rest_learns(make_trainer):
    trainer = make_trainer()
    before = copy.deepcopy(trainer.model.state_dict())
    trainer.train()
    frozen = ("model.vision_tower.", "model.visual_qformer.", "model.audio_tower.")
    changed = {name for name, value in trainer.model.state_dict().items() if not torch.equal(value, before[name])}
    assert not {name for name in changed if name.startswith(frozen)}
    assert any(name.startswith("model.connector.") for name in changed)
    assert any(name.startswith("model.language_model.") for name in changed)


def test_lora_touches_the_llms_attention_only(make_trainer, tmp_path):
    trainer = make_trainer(peft_config=lora_config(rank=4, alpha=4))
    trained = {name for name, value in trainer.model.named_parameters() if value.requires_grad}
    lora = {name for name in trained if "lora_" in name}
    assert lora
    assert all(".language_model.layers." in name and ".self_attn." in name for name in lora)
    assert all(".connector." in name for name in trained - lora)
    trainer.train()
    merged = trainer.model.merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")
    again = FavorForConditionalGeneration.from_pretrained(tmp_path / "merged")
    for name, value in merged.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


@pytest.mark.parametrize(
    "options",
    [{"packing": True}, {"remove_unused_columns": True}, {"label_smoothing_factor": 0.1}, {"use_liger_kernel": True}],
)
def test_options_that_would_break_training_are_refused(options, tmp_path):
    with pytest.raises(ValueError, match="not possible in FAVOR training|deprecated"):
        FavorSFTConfig(output_dir=str(tmp_path), **options)


def test_sorted_steps_need_lengths(make_trainer):
    with pytest.raises(ValueError, match="`length` column"):
        make_trainer(sort_steps_by_length=True).train()
    with pytest.raises(ValueError, match="load the model yourself"):
        make_trainer(model="org/favor")
