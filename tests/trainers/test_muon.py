# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Muon beside AdamW: which parameters, what a step does, schedules, checkpoints, refusals."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import TrainerCallback
from transformers.pytorch_utils import Conv1D

from favor.trainers import FavorSFTConfig, FavorSFTTrainer, load_manifest, lora_config
from favor.trainers.muon import add_muon, check_muon, weight_matrices

RATE, MUON_RATE = 1e-2, 5e-2


@pytest.fixture
def make_trainer(model_and_processor, training_dir, tmp_path):
    start, processor = model_and_processor
    dataset = load_manifest(training_dir / "train.jsonl")

    def make(folder="run", peft_config=None, optimizers=(None, None), **options):
        arguments = FavorSFTConfig(
            output_dir=str(tmp_path / folder),
            **{
                "max_steps": 4,
                "per_device_train_batch_size": 2,
                "learning_rate": RATE,
                "muon_learning_rate": MUON_RATE,
                "weight_decay": 0.1,
                "adam_beta1": 0.8,
                "adam_beta2": 0.95,
                "adam_epsilon": 1e-6,
                "max_grad_norm": 0.5,
                "logging_steps": 1,
                "save_strategy": "no",
                "report_to": "none",
                "activation_checkpointing": False,
                **options,
            },
        )
        return FavorSFTTrainer(
            model=copy.deepcopy(start),
            args=arguments,
            processing_class=processor,
            train_dataset=dataset,
            peft_config=peft_config,
            optimizers=optimizers,
        )

    return make


class Layers(nn.Module):
    """Every kind of parameter that matters here, the head's weight shared with the embedding's."""

    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(6, 4)
        self.position_table = nn.Parameter(torch.randn(5, 4))
        self.tall, self.wide, self.like_gpt2 = nn.Linear(4, 8), nn.Linear(8, 4, bias=False), Conv1D(4, 4)
        self.norm, self.patches = nn.LayerNorm(4), nn.Conv1d(4, 4, 2)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.lm_head = nn.Linear(4, 6, bias=False)
        self.lm_head.weight = self.embed_tokens.weight


MATRICES = ["tall.weight", "wide.weight", "like_gpt2.weight"]


def build(model: Layers):
    """Muon and AdamW as the trainer makes them, with a linear schedule over ten steps."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = add_muon(torch.optim.AdamW(trained, lr=RATE), model, MUON_RATE, 0.1)
    return optimizer, LambdaLR(optimizer, lambda step: 1 - step / 10)


def set_gradients(model: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.randn(parameter.shape, generator=generator)


def different(model: nn.Module, other: nn.Module) -> list[str]:
    found = dict(other.named_parameters())
    return [name for name, value in model.named_parameters() if not torch.equal(value, found[name])]


def assert_same_state(optimizer: torch.optim.Optimizer, other: torch.optim.Optimizer) -> None:
    found, expected = optimizer.state_dict(), other.state_dict()
    assert found["param_groups"] == expected["param_groups"]
    torch.testing.assert_close(found["state"], expected["state"], rtol=0, atol=0)


def names_of(parameters, model: nn.Module) -> list[str]:
    by_identity = {id(parameter): name for name, parameter in model.named_parameters()}
    return [by_identity[id(parameter)] for parameter in parameters]


def test_muon_gets_the_matrices_inside_the_layers():
    model = Layers()
    assert names_of(weight_matrices(model), model) == MATRICES
    model.lm_head.weight = nn.Parameter(torch.randn(6, 4))
    assert names_of(weight_matrices(model), model) == MATRICES


def test_every_trained_parameter_of_favor_has_one_optimizer(make_trainer):
    trainer = make_trainer()
    trainer.create_optimizer()
    decayed, plain, matrices = [names_of(g["params"], trainer.model) for g in trainer.optimizer.param_groups]
    trained = {name for name, value in trainer.model.named_parameters() if value.requires_grad}
    assert sorted([*decayed, *plain, *matrices]) == sorted(trained)
    connector, language = "model.connector.causal_qformer.", "model.language_model."
    tables = {language + "embed_tokens.weight", "lm_head.weight"}
    assert set(decayed) == tables | {connector + "position_embedding.weight", connector + "query_tokens"}
    assert all(name.endswith("bias") or "norm" in name for name in plain)
    assert {"model.connector.audio_projection.weight", language + "layers.1.mlp.down_proj.weight"} < set(matrices)
    assert [group["lr"] for group in trainer.optimizer.param_groups] == [RATE, RATE, MUON_RATE]
    assert "betas" not in trainer.optimizer.param_groups[2]


def test_with_a_lora_its_two_matrices_and_the_connectors_are_trained_by_muon(make_trainer):
    trainer = make_trainer(peft_config=lora_config(rank=2, alpha=4), max_steps=2)
    trainer.create_optimizer()
    matrices = names_of(trainer.optimizer.param_groups[2]["params"], trainer.model)
    lora = {name for name, value in trainer.model.named_parameters() if value.requires_grad and "lora_" in name}
    assert len(lora) == 2 * 2 * 4 and lora < set(matrices)  # A and B in two layers of q, k, v, o
    assert all(".connector.modules_to_save." in name for name in set(matrices) - lora)
    before = copy.deepcopy(trainer.model)
    trainer.train()
    assert lora < set(different(trainer.model, before))


class Gradients(TrainerCallback):
    """Keeps the gradients of each step, as the optimizer finds them."""

    def __init__(self):
        self.steps: list[dict[str, torch.Tensor]] = []

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        self.steps.append({name: grad.clone() for name, grad in gradients.items() if grad is not None})


@pytest.mark.parametrize("optim", ["adamw_torch", "adamw_torch_fused"])
def test_a_run_is_that_of_the_two_optimizers_by_hand(optim, make_trainer):
    trainer, gradients = make_trainer(optim=optim), Gradients()
    trainer.add_callback(gradients)
    expected = copy.deepcopy(trainer.model)
    trainer.train()

    trained = {name: value for name, value in expected.named_parameters() if value.requires_grad}
    tables = ("embed_tokens.weight", "position_embedding.weight", "query_tokens", "lm_head.weight")
    rest = {name for name in trained if name.endswith("bias") or "norm" in name}
    matrices = [value for name, value in trained.items() if name not in rest and not name.endswith(tables)]
    muon = torch.optim.Muon(matrices, lr=MUON_RATE, momentum=0.95, weight_decay=0.1, adjust_lr_fn="original")
    groups = [
        {"params": [value for name, value in trained.items() if name.endswith(tables)], "weight_decay": 0.1},
        {"params": [trained[name] for name in trained if name in rest], "weight_decay": 0.0},
    ]
    fused = optim == "adamw_torch_fused" or None
    adamw = torch.optim.AdamW(groups, lr=RATE, betas=(0.8, 0.95), eps=1e-6, fused=fused)
    assert len(gradients.steps) == 4
    for step, found in enumerate(gradients.steps):
        norm = torch.stack([grad.norm() for grad in found.values()]).norm()
        assert norm == pytest.approx(0.5, rel=1e-3)  # max_grad_norm, of both optimizers' parameters together
        for name, parameter in trained.items():
            parameter.grad = found.get(name)
        for optimizer, rate in ((muon, MUON_RATE), (adamw, RATE)):
            for group in optimizer.param_groups:
                group["lr"] = rate * ((4 - step) / 4)  # the default schedule, linear to 0
            optimizer.step()
    assert different(trainer.model, expected) == []
    logged = [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]
    assert logged == pytest.approx([RATE, RATE * 3 / 4, RATE / 2, RATE / 4])


def test_a_schedule_scales_both_rates():
    model = Layers()
    optimizer, schedule = build(model)
    for step in range(1, 4):
        set_gradients(model, step)
        optimizer.step()
        schedule.step()
        assert [group["lr"] for group in optimizer.adamw.param_groups] == pytest.approx([RATE * (1 - step / 10)])
        assert [group["lr"] for group in optimizer.muon.param_groups] == pytest.approx([MUON_RATE * (1 - step / 10)])


def test_a_saved_state_goes_on_exactly(tmp_path):
    model = Layers()
    optimizer, schedule = build(model)
    for step in range(3):
        set_gradients(model, step)
        optimizer.step()
        schedule.step()
    torch.save({"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}, tmp_path / "state.pt")
    again = copy.deepcopy(model)
    other, other_schedule = build(again)
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    other.load_state_dict(saved["optimizer"])
    other_schedule.load_state_dict(saved["schedule"])
    assert_same_state(other, optimizer)
    assert len(other.state) == len([value for value in model.parameters() if value.requires_grad])
    for step in range(3, 6):
        for some, its_optimizer, its_schedule in ((model, optimizer, schedule), (again, other, other_schedule)):
            set_gradients(some, step)
            its_optimizer.step()
            its_schedule.step()
            its_optimizer.zero_grad()
            assert all(parameter.grad is None for parameter in some.parameters())
    assert different(again, model) == []


def test_a_closure_is_called_once_with_gradients_on():
    model, calls = Layers(), []
    optimizer, _ = build(model)
    before = copy.deepcopy(model)

    def closure():
        calls.append(torch.is_grad_enabled())
        set_gradients(model, 0)
        return 3.5

    with torch.no_grad():
        assert optimizer.step(closure) == 3.5
    assert calls == [True]
    assert set(different(model, before)) == {n for n, p in model.named_parameters() if p.requires_grad}


def test_a_resumed_run_ends_as_an_unbroken_one(make_trainer, tmp_path):
    saving = {"save_strategy": "steps", "save_steps": 2}
    unbroken = make_trainer("unbroken", **saving)
    unbroken.train()
    resumed = make_trainer("resumed")
    resumed.train(resume_from_checkpoint=str(tmp_path / "unbroken" / "checkpoint-2"))
    assert resumed.state.global_step == 4
    assert different(resumed.model, unbroken.model) == []
    assert_same_state(resumed.optimizer, unbroken.optimizer)


@pytest.mark.parametrize("rate", [0.0, -1e-3, float("nan"), float("inf"), "2e-2", True])
def test_a_rate_that_is_none_is_refused(rate, tmp_path):
    with pytest.raises(ValueError, match="muon_learning_rate must be a number above 0.*leave it out"):
        FavorSFTConfig(output_dir=str(tmp_path), muon_learning_rate=rate)


def test_another_optim_is_refused(tmp_path):
    with pytest.raises(ValueError, match="muon_learning_rate=0.02.*optim='sgd'.*Set optim to adamw_torch"):
        FavorSFTConfig(output_dir=str(tmp_path), muon_learning_rate=0.02, optim="sgd")


@pytest.mark.parametrize("wrapper", ["FSDP", "DeepSpeed"])
def test_split_weights_are_refused(wrapper):
    trainer = SimpleNamespace(
        args=SimpleNamespace(muon_learning_rate=0.02),
        is_fsdp_enabled=wrapper == "FSDP",
        is_deepspeed_enabled=wrapper == "DeepSpeed",
    )
    with pytest.raises(ValueError, match=f"muon_learning_rate=0.02.*{wrapper}.*whole weight matrices.*ddp.yaml"):
        check_muon(trainer)
    trainer.args.muon_learning_rate = None
    check_muon(trainer)


def test_what_would_train_nothing_by_muon_is_refused(make_trainer):
    own = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    with pytest.raises(ValueError, match="muon_learning_rate.*optimizer of your own"):
        make_trainer(optimizers=(own, None))
    trainer = make_trainer(train_only=["lm_head", "connector.causal_qformer.query_norm"])
    with pytest.raises(ValueError, match="muon_learning_rate.*none of the trained parameters.*Leave it out"):
        trainer.train()
    model = Layers()
    optimizer, _ = build(model)
    with pytest.raises(ValueError, match="muon_learning_rate.*before training starts"):
        optimizer.add_param_group({"params": [model.frozen.weight]})


def test_the_state_of_a_run_without_muon_is_refused():
    model = Layers()
    optimizer, _ = build(model)
    plain = torch.optim.AdamW(model.parameters(), lr=RATE)
    with pytest.raises(ValueError, match="1 groups of parameters.*2: it is of a run without Muon"):
        optimizer.load_state_dict(plain.state_dict())
