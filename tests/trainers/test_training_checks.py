# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What is refused before training, schedules, the connector's dtype, evaluation, and what a run leaves behind."""

import json

import pytest
import torch
from datasets import Dataset, DatasetDict
from peft import LoraConfig
from tensorboard.backend.event_processing import event_accumulator
from transformers import TrainerCallback

from favor.modeling_favor import FavorForConditionalGeneration
from favor.trainers import FavorSFTConfig, FavorSFTTrainer, load_manifest, lora_config
from favor.trainers.diversity_weight import scheduled_weight
from favor.trainers.eval_answers import plain_words, prompt_and_reference
from favor.trainers.favor_sft_trainer import LORA_TARGET_MODULES
from favor.trainers.recipe import parse_recipe
from favor.trainers.recipe_run import run_recipe
from favor.trainers.training_checks import check_launch, check_same_streams

QUICK = {
    "max_steps": 2,
    "per_device_train_batch_size": 2,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "activation_checkpointing": False,
}


@pytest.fixture
def make(model_and_processor, training_dir, tmp_path):
    model, processor = model_and_processor

    def make(model=model, peft_config=None, dataset=None, args=None, **options):
        extra = {name: options.pop(name) for name in ("compute_loss_func", "eval_dataset") if name in options}
        return FavorSFTTrainer(
            model=model,
            args=args or FavorSFTConfig(output_dir=str(tmp_path / "run"), **{**QUICK, **options}),
            processing_class=processor,
            train_dataset=load_manifest(training_dir / "train.jsonl") if dataset is None else dataset,
            peft_config=peft_config,
            **extra,
        )

    return make


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"compute_loss_func": lambda *args, **kwargs: 0}, "second forward that loses the diversity loss"),
        ({"peft_config": LoraConfig(target_modules=LORA_TARGET_MODULES, modules_to_save=["conector"])}, "no module"),
        (
            {"peft_config": LoraConfig(target_modules=LORA_TARGET_MODULES, modules_to_save=["query_tokens"])},
            "a parameter, not a module",
        ),
        ({"peft_config": LoraConfig(target_modules=["q_proj", "v_proj"])}, "encoders would be trained, the first is"),
        ({"peft_config": LoraConfig(target_modules="all-linear")}, "encoders would be trained"),
    ],
)
def test_what_would_break_training_in_silence_is_refused(options, said, make):
    with pytest.raises(ValueError, match=said):
        make(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"use_liger_kernel": True}, "never sees the diversity loss"),
        ({"completion_only_loss": False}, "leaves everything but the answers out"),
        ({"diversity_loss_schedule": "cosine"}, "constant, linear_warmup, linear_decay"),
        ({"diversity_loss_schedule": "linear_decay"}, "needs diversity_loss_schedule_steps"),
        ({"sort_steps_by_length": -1}, "sort_steps_by_length is a number of steps, 0 or more"),
        ({"diversity_loss_reduction": "max"}, "mean, sum"),
        ({"connector_dtype": "float16"}, "float32, bfloat16"),
        ({"on_bad_sample": "ignore"}, "raise, skip"),
    ],
)
def test_options_that_cannot_be_are_named(options, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        FavorSFTConfig(output_dir=str(tmp_path), **options)


class Launch:
    def __init__(self, n_gpu: int, world_size: int):
        self.n_gpu, self.world_size = n_gpu, world_size


def test_devices_that_would_not_train_together_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="torchrun --nproc_per_node 4"):
        check_launch(Launch(4, 1))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="each would train by itself"):
        check_launch(Launch(0, 1))
    check_launch(Launch(1, 2))


class TwoProcesses:
    """An accelerator beside one whose micro-batch has sound alone."""

    device = "cpu"

    def gather(self, tensor):
        return torch.cat([tensor, torch.tensor([[0, 1, 0]])])


def test_zero3_needs_the_same_media_everywhere():
    check_same_streams(TwoProcesses(), {"input_features": torch.zeros(1)})
    with pytest.raises(ValueError, match="pixel_values_videos; input_features.*fsdp2.yaml"):
        check_same_streams(TwoProcesses(), {"pixel_values_videos": torch.zeros(1)})
    with pytest.raises(ValueError, match="text; input_features"):
        check_same_streams(TwoProcesses(), {})


def test_schedules():
    assert [scheduled_weight(0.4, "linear_warmup", 4, step) for step in (0, 1, 4, 9)] == [0.0, 0.1, 0.4, 0.4]
    assert [scheduled_weight(0.4, "linear_decay", 4, step) for step in (0, 1, 4, 9)] == pytest.approx([0.4, 0.3, 0, 0])
    assert scheduled_weight(0.4, "constant", None, 7) == 0.4


def test_a_schedule_changes_the_loss_step_by_step(make):
    trainer = make(diversity_loss_weight=0.5, diversity_loss_schedule="linear_warmup", diversity_loss_schedule_steps=2)
    trainer.train()
    for step, weight in enumerate((0.0, 0.25)):
        logged = trainer.state.log_history[step]
        total = logged["cross_entropy"] + weight * logged["diversity_loss"]
        assert logged["loss"] == pytest.approx(total, rel=1e-3)


@pytest.mark.parametrize("lora", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_connector_keeps_its_own_dtype_beside_a_bfloat16_model(dtype, lora, model_and_processor, make):
    model = model_and_processor[0].to(torch.bfloat16)
    trainer = make(model, peft_config=lora_config(rank=2) if lora else None, connector_dtype=dtype)
    trainer.train()
    named = dict(trainer.model.named_parameters())
    trained = {name: p for name, p in named.items() if p.requires_grad and ".connector." in name}
    assert trained and {p.dtype for p in trained.values()} == {getattr(torch, dtype)}
    base = {p.dtype for name, p in named.items() if ".language_model." in name and "lora_" not in name}
    assert base == {torch.bfloat16}
    assert all(torch.isfinite(torch.tensor(entry["loss"])) for entry in trainer.state.log_history if "loss" in entry)


class Modes(TrainerCallback):
    """Looks at the encoders in the middle of training."""

    def on_substep_end(self, args, state, control, model=None, **kwargs):
        backbone = model.model
        towers = (backbone.vision_tower, backbone.visual_qformer, backbone.audio_tower)
        self.training = {module.training for tower in towers for module in tower.modules()}
        self.connector = backbone.connector.training


def test_frozen_encoders_stay_in_eval_mode_and_without_gradients(make):
    modes = Modes()
    trainer = make(gradient_accumulation_steps=2, max_steps=1)
    trainer.add_callback(modes)
    seen = []
    trainer.model.model.connector.register_forward_pre_hook(
        lambda module, args, kwargs: seen.extend(v.requires_grad for v in kwargs.values() if torch.is_tensor(v)),
        with_kwargs=True,
    )
    trainer.train()
    assert modes.training == {False} and modes.connector is True
    assert seen and not any(seen)


def test_the_best_checkpoint_is_kept_and_answers_are_written(make, training_dir, tmp_path):
    evaluation = load_manifest(training_dir / "train.jsonl").select(range(3))
    trainer = make(
        eval_dataset=evaluation,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="steps",
        save_steps=1,
        load_best_model_at_end=True,
        metric_for_best_model="exact_match",
        greater_is_better=True,
        save_total_limit=1,
        eval_answers=2,
        eval_max_new_tokens=3,
    )
    trainer.train()
    scores = [entry for entry in trainer.state.log_history if "eval_exact_match" in entry]
    assert [entry["step"] for entry in scores] == [1, 2]
    assert any(name.startswith("eval_exact_match/") for name in scores[0])
    assert all(0 <= entry["eval_exact_match"] <= 1 for entry in scores)
    assert trainer.state.best_model_checkpoint.endswith(f"checkpoint-{trainer.state.best_global_step}")
    lines = [json.loads(line) for line in (tmp_path / "run" / "samples.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 1, 2, 2]
    first = evaluation[0]["messages"]
    assert first[0]["content"].split()[-1] in lines[0]["prompt"] and lines[0]["reference"] == first[-1]["content"]
    assert set(lines[0]) >= {"answer", "correct", "media", "task"}


@pytest.mark.parametrize("form", [dict, DatasetDict])
def test_each_of_several_evaluation_sets_is_answered(make, training_dir, tmp_path, form):
    samples = load_manifest(training_dir / "train.jsonl")
    sets = form({"a": samples.select(range(2)), "b": samples.select(range(2, 3))})
    trainer = make(
        eval_dataset=sets,
        max_steps=1,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="steps",
        save_steps=1,
        load_best_model_at_end=True,
        metric_for_best_model="a_exact_match",
        greater_is_better=True,
        eval_answers=2,
        eval_max_new_tokens=2,
    )
    trainer.train()
    logged = {name for entry in trainer.state.log_history for name in entry}
    assert {"eval_a_exact_match", "eval_b_exact_match", "eval_a_loss", "eval_b_loss"} <= logged
    lines = [json.loads(line) for line in (tmp_path / "run" / "samples.jsonl").read_text().splitlines()]
    assert [line["split"] for line in lines] == ["eval_a", "eval_a", "eval_b"]
    others = trainer.evaluate({"c": samples.select(range(1))})
    assert "eval_c_exact_match" in others and "eval_a_exact_match" not in others


def test_logs_are_written_for_tensorboard(make, tmp_path):
    make(report_to="tensorboard").train()
    events = event_accumulator.EventAccumulator(str(next(tmp_path.rglob("events.out.*")).parent)).Reload()
    assert [event.step for event in events.Scalars("train/diversity_loss")] == [1, 2]
    assert {"train/loss", "train/cross_entropy"} <= set(events.Tags()["scalars"])


def test_only_the_last_answer_is_asked_again():
    labels = torch.tensor([[-100, -100, 5, 6, -100, 7, 8, 9, -100]])
    batch = {"input_ids": torch.arange(9)[None], "attention_mask": torch.ones(1, 9), "labels": labels, "audio": "kept"}
    prompt, reference = prompt_and_reference(batch)
    assert prompt["input_ids"].tolist() == [[0, 1, 2, 3, 4]] and prompt["audio"] == "kept" and "labels" not in prompt
    assert reference.tolist() == [7, 8, 9]
    assert plain_words("A circle, then RED.") == ["a", "circle", "then", "red"]


def test_a_run_leaves_its_facts_without_a_folder_of_the_machine(training_dir, tiny_model_dir, tmp_path):
    broken = json.loads((training_dir / "train.jsonl").read_text().splitlines()[0])
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    rows = [{**json.loads(line)} for line in (training_dir / "train.jsonl").read_text().splitlines()[:5]]
    for row in rows:
        for kind in ("video", "audio", "image"):
            if row.get(kind):
                row[kind] = str(training_dir / row[kind])
    rows.append({"messages": broken["messages"], "video": str(tmp_path / "broken.mp4")})
    manifest = tmp_path / "mine.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {
        "model": str(tiny_model_dir),
        "output_dir": str(tmp_path / "out"),
        "train_data": str(manifest),
        "eval_data": str(training_dir / "train.jsonl"),
        "lora": {"rank": 2, "alpha": 4, "dropout": 0.0},
        "sft": {**QUICK, "max_steps": 3, "on_bad_sample": "skip", "eval_strategy": "steps", "eval_steps": 3},
    }
    folder = run_recipe(parse_recipe(recipe), "mine.yaml")
    text = (folder / "training_record.json").read_text()
    assert str(tmp_path) not in text and str(training_dir) not in text
    record = json.loads(text)
    assert record["recipe"]["name"] == "mine.yaml" and record["optimisation steps"] == 3
    assert record["data"]["samples"] == 6 and record["data"]["sources"] == {"mine.jsonl": 6}
    assert record["skipped samples"] >= 1
    assert {"loss", "cross_entropy", "diversity_loss", "eval_loss"} <= set(record["last logged"])
    assert record["lora"] == {"rank": 2, "alpha": 4, "dropout": 0.0} and record["versions"]["trl"]
    assert record["trained parameters"] < record["all parameters"]

    from favor.hub_upload.run_facts import training_facts

    facts = dict(training_facts(folder, None))
    assert facts["last logged.loss"] and facts["optimisation steps"] == "3"


def test_a_recipe_that_skips_bad_samples_survives_a_missing_file(training_dir, tiny_model_dir, tmp_path):
    lines = [json.loads(line) for line in (training_dir / "train.jsonl").read_text().splitlines() if "video" in line][
        :3
    ]
    paths = [str(training_dir / line["video"]) for line in lines[:2]] + ["nowhere.mp4"]
    manifest = tmp_path / "train.jsonl"
    manifest.write_text(
        "".join(json.dumps({**line, "video": path}) + "\n" for line, path in zip(lines, paths, strict=True))
    )
    recipe = {
        "model": str(tiny_model_dir),
        "train_data": str(manifest),
        "output_dir": str(tmp_path / "run"),
        "sft": {**QUICK, "max_steps": 3, "per_device_train_batch_size": 1},
    }
    with pytest.raises(ValueError, match=r"line 3: video file nowhere.mp4 does not exist"):
        run_recipe(parse_recipe(recipe))
    recipe["sft"]["on_bad_sample"] = "skip"
    run_recipe(parse_recipe(recipe))
    assert "nowhere.mp4" in (tmp_path / "run" / "bad_samples.jsonl").read_text()


def test_cached_states_serve_the_evaluation_too(training_dir, tiny_model_dir, tmp_path):
    recipe = {
        "model": str(tiny_model_dir),
        "output_dir": str(tmp_path / "out"),
        "train_data": str(training_dir / "train.jsonl"),
        "eval_data": [{"path": str(training_dir / "train.jsonl")}],
        "cache_encoder_states": {"cache_dir": str(tmp_path / "states"), "dtype": "float32"},
        "sft": {**QUICK, "max_steps": 1, "eval_strategy": "steps", "eval_steps": 1, "eval_answers": 2},
    }
    folder = run_recipe(parse_recipe(recipe))
    logged = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    assert any("eval_exact_match" in entry for entry in logged) and any("eval_loss" in entry for entry in logged)
    assert list((tmp_path / "states").glob("features-*.safetensors"))


def test_a_mixture_with_transforms_is_not_cached(training_dir, tiny_model_dir, tmp_path):
    source = {"path": str(training_dir / "train.jsonl"), "transforms": ["match_audio"]}
    recipe = {
        "model": str(tiny_model_dir),
        "output_dir": str(tmp_path / "out"),
        "train_data": [source],
        "cache_encoder_states": True,
        "sft": QUICK,
    }
    with pytest.raises(ValueError, match="other samples each epoch"):
        run_recipe(parse_recipe(recipe))


def test_an_epoch_of_a_mixture_is_known_without_a_callback(make, training_dir):
    from favor.trainers import load_training_data
    from favor.trainers.data_mixture import mixture_of

    dataset = load_training_data([{"path": str(training_dir / "train.jsonl")}])
    assert isinstance(dataset, Dataset)
    make(dataset=dataset, max_steps=-1, num_train_epochs=2, per_device_train_batch_size=8).train()
    assert mixture_of(dataset).epoch == 1


def test_a_full_model_is_saved_as_it_was_trained(make, tmp_path):
    trainer = make()
    trainer.train()
    trainer.save_model(str(tmp_path / "saved"))
    again = FavorForConditionalGeneration.from_pretrained(tmp_path / "saved")
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
