# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The language head scores answer tokens alone, with the loss and the gradients of scoring all."""

import pytest
import torch
from trl.trainer import utils as trl_utils

from favor.trainers import FavorSFTConfig, FavorSFTTrainer, load_manifest
from favor.trainers.scored_tokens import score_answers_alone


@pytest.fixture
def trainer(model_and_processor, training_dir, tmp_path):
    model, processor = model_and_processor
    options = {
        "output_dir": str(tmp_path),
        "report_to": "none",
        "save_strategy": "no",
        "activation_checkpointing": False,
    }
    return FavorSFTTrainer(
        model=model,
        args=FavorSFTConfig(**options),
        processing_class=processor,
        train_dataset=load_manifest(training_dir / "train.jsonl"),
    )


def test_answers_are_scored_alone_and_the_loss_stays(trainer, monkeypatch):
    batch = trainer.data_collator([trainer.train_dataset[number] for number in range(4)])
    trainer.model.eval()
    scored, results = [], []
    apply = trl_utils._ChunkedLogProbFunction.apply

    def counting(hidden, *arguments):
        scored.append(len(hidden))
        return apply(hidden, *arguments)

    monkeypatch.setattr(trl_utils._ChunkedLogProbFunction, "apply", counting)
    switch = trl_utils._use_triton
    for everywhere in (False, True):
        monkeypatch.setattr(trl_utils, "_use_triton", (lambda device: False) if everywhere else switch)
        trainer.model.zero_grad()
        outputs = trainer.model(**batch, fused_lm_head=True)
        outputs.loss.backward()
        weights = (weight.grad for weight in trainer.model.parameters() if weight.grad is not None)
        results.append((outputs.loss.item(), torch.cat([gradient.flatten() for gradient in weights])))
    labels = batch["labels"][:, 1:]
    assert scored == [int((labels != -100).sum()), labels.numel()]
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    difference = (results[0][1] - results[1][1]).norm() / results[1][1].norm()
    assert difference < 1e-4


def test_a_batch_without_an_answer_is_a_zero_that_can_be_differentiated(trainer):
    batch = trainer.data_collator([trainer.train_dataset[number] for number in range(2)])
    batch["labels"] = torch.full_like(batch["labels"], -100)
    outputs = trainer.model(**batch, fused_lm_head=True)
    assert not outputs.log_probs.any()
    outputs.log_probs.sum().backward()
    assert not any(weight.grad is not None and weight.grad.any() for weight in trainer.model.parameters())


def test_the_switch_is_set_once():
    score_answers_alone()
    switch = trl_utils._use_triton
    score_answers_alone()
    assert trl_utils._use_triton is switch
    assert switch(torch.device("cpu"))
