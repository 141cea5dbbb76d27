# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""FavorSFTTrainer takes mixtures and streams; resumed in the middle of an epoch it goes on with the same samples."""

import copy
import json

import pytest
import torch

from favor.trainers import FavorDataCollator, FavorSFTConfig, FavorSFTTrainer, load_training_data
from favor.trainers.data_mixture import MixtureEpochs, mixture_of


class KeptSamples(FavorDataCollator):
    """Writes down what it collates."""

    def __call__(self, samples):
        with open(self.log.path.with_suffix(".seen"), "a") as file:
            file.writelines(json.dumps(sample, sort_keys=True) + "\n" for sample in samples)
        return super().__call__(samples)

    def seen(self):
        return self.log.path.with_suffix(".seen").read_text().splitlines()


@pytest.fixture
def make_trainer(model_and_processor, training_dir, tmp_path):
    model, processor = model_and_processor
    path = str(training_dir / "train.jsonl")
    transforms = [{"pair_randomly": {"partner": "own", "share": 0.5}}]
    sources = [
        {"name": "paired", "path": path, "weight": 1, "transforms": transforms},
        {"name": "own", "path": path, "weight": 1, "transforms": ["match_audio"]},
    ]

    def make(name, streaming=False, **options):
        spec = {"sources": [{**sources[0], "streaming": streaming}, sources[1]], "epoch_samples": 6}
        dataset = load_training_data(spec, seed=3, batch_size=2)
        arguments = FavorSFTConfig(
            output_dir=str(tmp_path / name),
            per_device_train_batch_size=2,
            learning_rate=1e-3,
            report_to="none",
            disable_tqdm=True,
            **{"max_steps": 5, "save_strategy": "no", **options},
        )
        log = tmp_path / f"{name}{len(list(tmp_path.iterdir()))}.jsonl"
        return FavorSFTTrainer(
            model=copy.deepcopy(model),
            args=arguments,
            processing_class=processor,
            data_collator=KeptSamples(processor, bad_sample_log=log),
            train_dataset=dataset,
            callbacks=[MixtureEpochs(mixture_of(dataset))],
        )

    return make


@pytest.mark.parametrize("streaming", [False, True])
def test_two_epochs_differ_and_resuming_goes_on_with_the_same_samples(make_trainer, tmp_path, streaming):
    whole = make_trainer("whole", streaming, save_strategy="steps", save_steps=4)
    whole.train()  # 3 steps per epoch: the checkpoint is in the second one
    seen = whole.data_collator.seen()
    assert len(set(seen[:6]) - set(seen[6:12])) > 0
    resumed = make_trainer("resumed", streaming)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-4"))
    seen_again = resumed.data_collator.seen()
    assert len(seen_again) == (12 if streaming else 4)  # a stream is read again from its beginning
    assert seen_again == seen[-len(seen_again) :]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def test_loader_workers_train_on_the_same_samples(make_trainer):
    alone = make_trainer("alone")
    alone.train()
    together = make_trainer("together", dataloader_num_workers=2)
    together.train()
    assert sorted(alone.data_collator.seen()) == sorted(together.data_collator.seen())
    for name, value in alone.model.state_dict().items():
        assert torch.equal(together.model.state_dict()[name], value), name
