# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`connector_learning_rate`: the connector learns at a rate of its own beside a LoRA, or not at all."""

import copy
from types import SimpleNamespace

import pytest
import torch

from favor.trainers import FavorSFTConfig, FavorSFTTrainer, load_manifest
from favor.trainers.favor_sft_trainer import lora_config
from favor.trainers.trained_modules import check_connector_rate

RATE = 1e-3


@pytest.fixture
def make_trainer(model_and_processor, training_dir, tmp_path):
    start, processor = model_and_processor
    rows = load_manifest(training_dir / "train.jsonl")

    def make(peft_config=None, folder="run", **options):
        values = {"max_steps": 4, "per_device_train_batch_size": 2, "learning_rate": RATE, "logging_steps": 1}
        values |= {"save_strategy": "no", "report_to": "none", "activation_checkpointing": False, "weight_decay": 0.1}
        args = FavorSFTConfig(output_dir=str(tmp_path / folder), **{**values, **options})
        model = copy.deepcopy(start)
        return FavorSFTTrainer(
            model=model, args=args, processing_class=processor, train_dataset=rows, peft_config=peft_config
        )

    return make


def trained(model) -> dict[str, torch.Tensor]:
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


@pytest.mark.parametrize("with_lora", [True, False])
def test_the_connector_has_its_own_rate_and_one_schedule_scales_all(with_lora, make_trainer):
    trainer = make_trainer(lora_config(rank=2, alpha=4) if with_lora else None, connector_learning_rate=1e-4)
    trainer.train()
    names = {id(value): name for name, value in trainer.model.named_parameters()}
    rates: dict[str, float] = {}
    for group in trainer.optimizer.param_groups:
        for value in group["params"]:
            assert names[id(value)] not in rates
            rates[names[id(value)]] = group["initial_lr"]
            assert group["lr"] == pytest.approx(0, abs=1e-12)  # linear to 0
    assert set(rates) == set(trained(trainer.model))
    assert {rate for name, rate in rates.items() if ".connector." in name} == {1e-4}
    assert {rate for name, rate in rates.items() if ".connector." not in name} == {RATE}
    logged = [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]
    assert logged == pytest.approx([RATE, RATE * 3 / 4, RATE / 2, RATE / 4])


def test_at_0_it_stays_as_it_is(make_trainer):
    trainer = make_trainer(lora_config(rank=2, alpha=4), connector_learning_rate=0.0)
    before = {name: value.clone() for name, value in trained(trainer.model).items()}
    trainer.train()
    for name, value in trained(trainer.model).items():
        same = torch.equal(value, before[name])
        assert same == (".connector." in name), name


def test_a_resumed_run_ends_as_an_unbroken_one(make_trainer, tmp_path):
    options = {"peft_config": lora_config(rank=2, alpha=4), "connector_learning_rate": 1e-4}
    unbroken = make_trainer(folder="unbroken", **options, **{"save_strategy": "steps", "save_steps": 2})
    unbroken.train()
    resumed = make_trainer(folder="resumed", **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "unbroken" / "checkpoint-2"))
    ours, theirs = trained(resumed.model), trained(unbroken.model)
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


@pytest.mark.parametrize("rate", [-1e-4, float("nan"), float("inf"), "1e-4", True])
def test_a_rate_that_is_none_is_refused(rate, tmp_path):
    with pytest.raises(ValueError, match="connector_learning_rate must be a number, 0 or more"):
        FavorSFTConfig(output_dir=str(tmp_path), connector_learning_rate=rate)


def test_it_is_refused_beside_muon_and_without_a_trained_connector(make_trainer, tmp_path):
    with pytest.raises(ValueError, match="with muon_learning_rate=0.02 Muon trains the connector"):
        FavorSFTConfig(output_dir=str(tmp_path), connector_learning_rate=1e-4, muon_learning_rate=0.02)
    trainer = make_trainer(lora_config(rank=2, alpha=4, connector=False), connector_learning_rate=1e-4)
    with pytest.raises(ValueError, match="nothing of the connector is trained"):
        trainer.create_optimizer()


@pytest.mark.parametrize("wrapper", ["FSDP", "DeepSpeed"])
def test_where_it_would_not_be_heeded_it_is_refused(wrapper):
    trainer = SimpleNamespace(
        args=SimpleNamespace(connector_learning_rate=1e-4),
        is_fsdp_enabled=wrapper == "FSDP",
        is_deepspeed_enabled=wrapper == "DeepSpeed",
        optimizer=None,
    )
    with pytest.raises(ValueError, match=f"connector_learning_rate=0.0001 is not possible with {wrapper}"):
        check_connector_rate(trainer)
    trainer.is_fsdp_enabled = trainer.is_deepspeed_enabled = False
    check_connector_rate(trainer)
    trainer.optimizer = object()
    with pytest.raises(ValueError, match="with an optimizer of your own"):
        check_connector_rate(trainer)
    trainer.args.connector_learning_rate = None
    check_connector_rate(trainer)
