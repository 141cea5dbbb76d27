# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""DPO over video, image and sound: the loss is the paper's, and the encoders run once per pair."""

import copy
import re
import warnings

import pytest
import torch
from datasets import Dataset
from PIL import Image

from favor import FavorDPOConfig, FavorDPOTrainer, lora_config
from favor.trainers import FavorPreferenceCollator, encode_prompts
from favor.trainers.preference_rows import read_pair
from tests.trainers.one_step import start
from tests.trainers.preference_steps import QUIET, answer_log_probs, pair_rows, preference_step


@pytest.fixture(scope="module")
def prepared(tiny_parts, media_dir, tmp_path_factory):
    """The model without dropout, its processor, and four pairs."""
    folder = tmp_path_factory.mktemp("pairs")
    for part in tiny_parts:
        part.save_pretrained(folder / "model")
    return *start(folder / "model"), pair_rows(media_dir)


def changed(model, seed=1):
    """A policy that is not the reference."""
    other = copy.deepcopy(model)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in (*other.model.connector.parameters(), *other.model.language_model.parameters()):
            parameter.add_(0.01 * torch.randn_like(parameter))
    return other


def trainer_of(model, processor, rows, tmp_path, **options):
    kept = {name: options.pop(name) for name in ("ref_model", "peft_config", "data_collator") if name in options}
    arguments = FavorDPOConfig(output_dir=str(tmp_path), per_device_train_batch_size=4, **{**QUIET, **options})
    dataset = rows if isinstance(rows, Dataset) else Dataset.from_list(rows)
    return FavorDPOTrainer(model=model, args=arguments, processing_class=processor, train_dataset=dataset, **kept)


def loss_of(trainer, rows):
    trainer.model.eval()
    with torch.no_grad():
        return float(trainer._compute_loss(trainer.model, trainer.data_collator(rows), False))


def test_the_loss_is_that_of_the_formula(prepared, tmp_path):
    model, processor, rows = prepared
    policy, beta = changed(model), 0.3
    trainer = trainer_of(policy, processor, rows, tmp_path, ref_model=model, beta=beta, diversity_loss_weight=0.0)
    expected = []
    with torch.no_grad():
        for row in rows:
            ratios = [
                answer_log_probs(policy, processor, row, row[name]).sum()
                - answer_log_probs(model, processor, row, row[name]).sum()
                for name in ("chosen", "rejected")
            ]
            expected.append(-torch.nn.functional.logsigmoid(beta * (ratios[0] - ratios[1])))
    assert max(expected) - min(expected) > 1e-3
    assert loss_of(trainer, rows) == pytest.approx(float(torch.stack(expected).mean()), abs=1e-6)


def test_the_model_itself_is_the_reference_and_its_encoders_exist_once(prepared, tmp_path):
    model, processor, rows = prepared
    policy = changed(model)  # not what its config's name would load
    trainer = trainer_of(policy, processor, rows, tmp_path, diversity_loss_weight=0.0)
    assert loss_of(trainer, rows) == pytest.approx(float(torch.log(torch.tensor(2.0))), abs=1e-6)
    assert trainer.ref_model.model.vision_tower is policy.model.vision_tower
    assert trainer.ref_model.model.connector is not policy.model.connector
    trainer.train()
    assert loss_of(trainer, rows) < 0.69


def test_the_reference_of_a_lora_is_the_model_without_it(prepared, tmp_path):
    """The connector, too, which is trained in full beside it."""
    model, processor, rows = prepared
    adapter = lora_config(rank=2, alpha=4, dropout=0.0)
    options = {"peft_config": adapter, "max_steps": 4, "diversity_loss_weight": 0.0}
    trainer = trainer_of(copy.deepcopy(model), processor, rows, tmp_path, **options)
    before = loss_of(trainer, rows)
    trainer.train()
    batch = trainer.data_collator(rows)
    found = torch.cat(trainer.compute_ref_log_probs(trainer.model, trainer.with_states(batch)))
    with torch.no_grad():
        sums = [answer_log_probs(model, processor, row, row[n]).sum() for n in ("chosen", "rejected") for row in rows]
    torch.testing.assert_close(found, torch.stack(sums), atol=1e-4, rtol=0)
    assert loss_of(trainer, rows) < before - 1e-2


def test_the_encoders_run_once_for_both_answers_and_both_models(prepared, tmp_path):
    model, processor, rows = prepared
    trainer = trainer_of(copy.deepcopy(model), processor, rows, tmp_path)
    seen, heard = [], []
    backbone = trainer.unwrapped_favor().model
    backbone.vision_tower.register_forward_hook(lambda m, args, kwargs, out: seen.append(1), with_kwargs=True)
    backbone.audio_tower.register_forward_hook(lambda m, args, kwargs, out: heard.append(1), with_kwargs=True)
    batch = trainer.data_collator(rows)
    assert len(batch["input_ids"]) == 8 and len(batch["pixel_values_videos"]) == len(rows)
    trainer.train()
    assert (len(seen), len(heard)) == (1, 1)


@pytest.mark.parametrize("peft", [False, True])
def test_kept_states_train_as_files_do_and_no_encoder_runs(prepared, tmp_path, peft):
    model, processor, rows = prepared
    dataset = Dataset.from_list(rows)
    encoded, states = encode_prompts(model, processor, dataset, dtype="float32", workers=0, progress=False)
    collator = FavorPreferenceCollator(processor, states=states)
    options = {"per_device_train_batch_size": 4, "max_steps": 2}
    if peft:
        options["peft_config"] = lora_config(rank=2, alpha=4, dropout=0.0)
    expected = preference_step("dpo", model, processor, dataset, tmp_path / "files", **options)
    found = preference_step("dpo", model, processor, encoded, tmp_path / "kept", data_collator=collator, **options)
    assert found.gradients.keys() == expected.gradients.keys()
    # As one vector: in sums of another order small elements are as exact as the largest.
    wanted, given = (
        torch.cat([gradients[name].flatten() for name in expected.gradients])
        for gradients in (expected.gradients, found.gradients)
    )
    assert (given - wanted).norm() < 1e-4 * wanted.norm()
    for rows_given, given in ((list(encoded), FavorPreferenceCollator(processor)), (rows, collator)):
        with pytest.raises(ValueError, match="go together: give both to FavorPreferenceCollator"):
            given(rows_given)
    calls = []
    found.unwrapped_favor().model.encode_media = lambda **media: calls.append(media)
    found._compute_loss(found.model, collator(list(encoded)), False)
    assert calls == []


def test_rows_may_be_strings_whole_chats_and_blocks(prepared, media_dir):
    """The forms of TRL's examples: pictures in `images`, open blocks, texts as blocks, and no `prompt`."""
    _, processor, _ = prepared
    picture = Image.open(media_dir / "photo.png")
    text = {"type": "text", "text": "What is it?"}
    plain = {"prompt": "What is it?", "chosen": "a dog", "rejected": "a cat", "image": picture}
    blocks = {
        "images": [picture],
        "prompt": [{"role": "user", "content": [{"type": "image", "text": None}, {**text, "index": None}]}],
        "chosen": [{"role": "assistant", "content": [{"type": "text", "text": "a dog"}]}],
        "rejected": [{"role": "assistant", "content": [{"type": "text", "text": "a cat"}]}],
    }
    asked = {"role": "user", "content": "What is it?"}
    whole = {
        "image": str(media_dir / "photo.png"),
        "chosen": [asked, {"role": "assistant", "content": "a dog"}],
        "rejected": [asked, {"role": "assistant", "content": "a cat"}],
    }
    collator = FavorPreferenceCollator(processor)
    first, *others = (collator([row]) for row in (plain, blocks, whole))
    for batch in others:
        assert sorted(batch) == sorted(first)
        assert all(torch.equal(batch[name], first[name]) for name in first)
    said = [
        processor.tokenizer.decode(ids[mask.bool()], skip_special_tokens=True).strip()
        for ids, mask in zip(first["input_ids"], first["completion_mask"], strict=True)
    ]
    assert said == ["a dog", "a cat"]


def test_only_the_last_answer_of_a_dialogue_is_preferred(prepared, media_dir):
    _, processor, _ = prepared
    turns = [("user", "What is it?"), ("assistant", "red"), ("user", "And then?")]
    prompt = [{"role": role, "content": content} for role, content in turns]
    row = {"prompt": prompt, "chosen": "yes", "rejected": "red green", "image": str(media_dir / "photo.png")}
    batch = FavorPreferenceCollator(processor)([row])
    said = [ids[mask.bool()] for ids, mask in zip(batch["input_ids"], batch["completion_mask"], strict=True)]
    assert [processor.tokenizer.decode(ids, skip_special_tokens=True).strip() for ids in said] == ["yes", "red green"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rejected": None}, "'rejected' is missing"),
        ({"rejected": "yes", "chosen": "yes"}, "are the same"),
        ({"prompt": ""}, "a row needs `prompt`"),
        ({"prompt": [{"role": "user", "content": "?"}, {"role": "assistant", "content": "a"}]}, "nothing is asked"),
        ({"chosen": [{"role": "user", "content": "a"}]}, "`chosen` holds a turn of user"),
        ({"chosen": [{"role": "assistant", "content": [{"type": "image"}]}]}, "`chosen` holds media"),
        ({"tools": ["f"]}, "column 'tools' is not read"),
        ({"video_path": "a.mp4"}, "'video_path' looks like media"),
        (
            {"prompt": [{"role": "user", "content": [{"type": "video"}]}]},
            "blocks for 1 video, but the columns hold 1 image",
        ),
        ({"prompt": [{"role": "user", "content": "<image> What?"}]}, "the text holds <image>"),
    ],
)
def test_rows_that_would_train_something_else_are_refused(change, message):
    row = {"prompt": "What is it?", "chosen": "yes", "rejected": "no", "image": "a.png"}
    with pytest.raises(ValueError, match=re.escape(message)):
        read_pair({**row, **change})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("padding_free", True),
        ("precompute_ref_log_probs", True),
        ("truncation_mode", "keep_end"),
        ("pad_to_multiple_of", 8),
        ("remove_unused_columns", True),
        ("use_liger_kernel", True),
        ("label_smoothing_factor", 0.1),
        ("connector_dtype", "float16"),
    ],
)
def test_options_that_cannot_be_honoured_are_refused_by_name(option, value, tmp_path):
    with pytest.raises(ValueError, match=option), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # some are on their way out of TRL, too
        FavorDPOConfig(output_dir=str(tmp_path), **{option: value})


def test_what_would_have_no_effect_is_refused(prepared, tmp_path):
    model, processor, rows = prepared
    with pytest.raises(ValueError, match="diversity_loss_weight=0.5 has no effect on a frozen connector"):
        trainer_of(
            copy.deepcopy(model),
            processor,
            rows,
            tmp_path,
            diversity_loss_weight=0.5,
            peft_config=lora_config(rank=2, connector=False),
        )
    other = copy.deepcopy(model)
    torch.nn.init.zeros_(next(other.model.audio_tower.parameters()))
    with pytest.raises(ValueError, match="ref_model has other encoders"):
        trainer_of(copy.deepcopy(model), processor, rows, tmp_path, ref_model=other)
    text = [{"prompt": "?", "chosen": "a", "rejected": "b"}]
    with pytest.raises(ValueError, match="None of the rows has media"):
        trainer_of(copy.deepcopy(model), processor, text, tmp_path)


def test_a_frozen_connector_has_no_diversity_loss_and_dropout_is_off(prepared, tmp_path):
    model, processor, rows = prepared
    policy = copy.deepcopy(model)
    policy.config.connector_config.attention_probs_dropout_prob = 0.5
    trainer = trainer_of(policy, processor, rows, tmp_path, train_only=["language_model"])
    trainer.train()
    assert "diversity_loss" not in trainer.state.log_history[0]
    trainer.model.train()
    with torch.no_grad():
        losses = {float(trainer._compute_loss(trainer.model, trainer.data_collator(rows), False)) for _ in range(2)}
    assert len(losses) == 1
    assert policy.config.connector_config.attention_probs_dropout_prob == 0.5  # what is saved
