# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A run killed with SIGKILL and resumed ends bit by bit where an unbroken one ends."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from favor.trainers.complete_checkpoints import MARKER, fault_of, last_complete, mark_complete
from favor.trainers.recipe import parse_recipe
from favor.trainers.recipe_run import run_recipe
from tests.conftest import REPOSITORY
from tests.trainers.test_equal_gradients import environment

STEPS, SAVED_EVERY = 7, 2
SLOW = pytest.mark.slow
pytestmark = pytest.mark.usefixtures("one_thread")  # as the killed processes have


@pytest.fixture(scope="module")
def base_recipe(tiny_model_dir, training_dir):
    """Dropout, AdamW, shuffled samples, 8 clips in batches of 3: the end of an epoch falls between checkpoints."""
    return {
        "model": str(tiny_model_dir),
        "train_data": str(training_dir / "train.jsonl"),
        "sft": {
            "per_device_train_batch_size": 3,
            "gradient_accumulation_steps": 1,
            "max_steps": STEPS,
            "learning_rate": 1e-2,
            "logging_steps": 1,
            "save_steps": SAVED_EVERY,
            "save_total_limit": 2,
            "report_to": "none",
            "dataloader_num_workers": 0,
            "activation_checkpointing": False,
        },
    }


def changed(base: dict, folder: Path, lora: bool = False, **sft) -> dict:
    recipe = {**base, "output_dir": str(folder), "sft": {**base["sft"], **sft}}
    return recipe | ({"lora": {"rank": 2, "alpha": 4, "dropout": 0.1}} if lora else {})


def run_killed(recipe: dict, folder: Path, how: str, stage: int, step: int) -> None:
    file = folder / "recipe.json"
    file.write_text(json.dumps(recipe))
    script = REPOSITORY / "tests" / "trainers" / "killed_run.py"
    command = [sys.executable, script, file, how, str(stage), str(step)]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr[-3000:]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    files = [*folder.glob("model*.safetensors"), *folder.glob("adapter_model.safetensors")]
    return {name: tensor for file in files for name, tensor in load_file(file).items()}


def assert_same(found: Path, expected: Path) -> None:
    ours, theirs = weights(found), weights(expected)
    assert theirs and set(ours) == set(theirs)
    assert [name for name in theirs if not torch.equal(ours[name], theirs[name])] == []


@pytest.mark.parametrize(
    ("lora", "workers"),
    [(False, 2), (True, 0), pytest.param(False, 0, marks=SLOW), pytest.param(True, 2, marks=SLOW)],
)
def test_a_run_killed_at_any_step_ends_as_an_unbroken_one(lora, workers, base_recipe, tmp_path):
    step = random.randrange(SAVED_EVERY, STEPS)
    sft = {"dataloader_num_workers": workers}
    unbroken = run_recipe(parse_recipe(changed(base_recipe, tmp_path / "unbroken", lora, **sft)))
    broken = changed(base_recipe, tmp_path / "broken", lora, **sft)
    run_killed(broken, tmp_path, "step", 0, step)
    last, _ = last_complete(tmp_path / "broken")
    assert last is not None and int(last.name.rpartition("-")[2]) <= step < STEPS
    assert_same(run_recipe(parse_recipe(broken | {"resume": True})), unbroken)
    state = json.loads((tmp_path / "broken" / "trainer_state.json").read_text())
    assert [entry["step"] for entry in state["log_history"] if "loss" in entry] == list(range(1, STEPS + 1)), step


def test_a_checkpoint_that_was_being_written_is_passed_over(base_recipe, tmp_path, caplog):
    unbroken = run_recipe(parse_recipe(changed(base_recipe, tmp_path / "unbroken")))
    broken = changed(base_recipe, tmp_path / "broken")
    run_killed(broken, tmp_path, "saving", 0, 4)
    torn = tmp_path / "broken" / "checkpoint-4"
    assert (torn / "model.safetensors").is_file() and not (torn / MARKER).exists()
    with pytest.raises(ValueError, match="checkpoint-4 cannot be resumed from: it has no complete.json"):
        run_recipe(parse_recipe(broken | {"resume": str(torn)}))
    last, passed_over = last_complete(tmp_path / "broken")
    assert last.name == "checkpoint-2" and "checkpoint-4 is passed over" in passed_over[0]
    assert_same(run_recipe(parse_recipe(broken | {"resume": "auto"})), unbroken)
    assert last_complete(tmp_path / "broken")[0].name == "checkpoint-7"


@pytest.mark.parametrize("lora", [True, pytest.param(False, marks=SLOW)])
def test_a_recipe_of_stages_goes_on_in_the_stage_that_was_killed(lora, base_recipe, tmp_path):
    """Sorted steps and accumulation, so that the sampler's epochs count, too."""
    sft = {
        "sort_steps_by_length": 1,
        "gradient_accumulation_steps": 2,
        "per_device_train_batch_size": 2,
        "max_steps": 5,
    }
    stages = {"stages": [{"sft": {"max_steps": 2}}, {}], "cache_encoder_states": True}
    unbroken = run_recipe(parse_recipe(changed(base_recipe, tmp_path / "unbroken", lora, **sft) | stages))
    broken = changed(base_recipe, tmp_path / "broken", lora, **sft) | stages
    run_killed(broken, tmp_path, "step", 2, 3)
    assert fault_of(tmp_path / "broken" / "stage-1" / "finished") is None
    assert_same(run_recipe(parse_recipe(broken | {"resume": True})), unbroken)


def test_what_makes_a_checkpoint_incomplete(tmp_path):
    for step in (9, 10):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"weights")
        mark_complete(folder)
    (tmp_path / "checkpoint-best").mkdir()
    assert last_complete(tmp_path) == (tmp_path / "checkpoint-10", [])
    (tmp_path / "checkpoint-10" / "model.safetensors").write_bytes(b"weig")
    found, passed_over = last_complete(tmp_path)
    assert found == tmp_path / "checkpoint-9" and "4 bytes instead of 7" in passed_over[0]
    (tmp_path / "checkpoint-9" / "model.safetensors").unlink()
    found, passed_over = last_complete(tmp_path)
    assert found is None and "model.safetensors is missing" in passed_over[1]
    (tmp_path / "checkpoint-9" / MARKER).write_text("{")
    assert "cannot be read" in fault_of(tmp_path / "checkpoint-9")
