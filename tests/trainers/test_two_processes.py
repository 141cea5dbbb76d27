# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor sft` in two real processes trains as in one: the first steps of favor-tiny's recipe, made small."""

import json
import shutil
import subprocess
import sys

import pytest

from favor.cli import main
from favor.trainers.from_scratch.preparation import CONNECTOR_FILE, TOKENIZERS, TOWERS_FILE
from favor.trainers.recipe_run import DDP_TIMEOUT
from tests.conftest import REPOSITORY
from tests.trainers.test_equal_gradients import environment

STEPS = 20


def changes(training_dir, folder, processes: int) -> list[str]:
    """The recipe as it is but for its data, its sizes, and its batch, which the processes share."""
    values = {
        "output_dir": folder,
        "train_data": training_dir / "train.jsonl",
        "tower_pretraining.scenes": training_dir / "train_scenes.jsonl",
        "tower_pretraining.visual_labels": "[colour, shape, screen_word]",
        "tower_pretraining.augmentation.colour_labels": "[colour]",
        "tower_pretraining.visual_steps": 3,
        "tower_pretraining.audio_steps": 3,
        "tower_pretraining.visual_batch_size": 8,
        "tower_pretraining.audio_batch_size": 4,
        "connector_pretraining.scenes": training_dir / "train_scenes.jsonl",
        "connector_pretraining.steps": 3,
        "sft.logging_steps": 1,
        "sft.per_device_train_batch_size": 4 // processes,
        "stages": f"[{{sft: {{max_steps: {STEPS}, learning_rate: 1.5e-3, warmup_steps: 200}}}}]",
    }
    return [part for key, value in values.items() for part in (f"--{key}", str(value))]


def losses(folder) -> list[dict]:
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [entry for entry in history if "loss" in entry]


def test_processes_that_begin_anew_share_tokenisers_and_towers(training_dir, tmp_path):
    """Without anything to resume: each process for itself would learn other token ids."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "favor"]
    command = [*launch, "sft", str(REPOSITORY / "recipes" / "favor-tiny.yaml"), *changes(training_dir, tmp_path, 2)]
    command += ["--stages.0.sft.max_steps", "1"]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    kept = (tmp_path / TOKENIZERS / "tokenizer.json").read_text()
    assert (
        json.loads(kept)["model"]["vocab"] == json.loads((tmp_path / "tokenizer.json").read_text())["model"]["vocab"]
    )
    assert (tmp_path / TOWERS_FILE).is_file() and list((tmp_path / "encoder_states").glob("*.safetensors"))


def test_two_processes_train_favor_tinys_recipe_as_one_does(training_dir, tmp_path):
    recipe = str(REPOSITORY / "recipes" / "favor-tiny.yaml")
    assert main(["sft", recipe, *changes(training_dir, tmp_path / "one", 1)]) == 0
    # The same tokenisers, whose ids differ from process to process, and so the same towers and connector.
    (tmp_path / "two").mkdir()
    shutil.copytree(tmp_path / "one" / TOKENIZERS, tmp_path / "two" / TOKENIZERS)
    for file in (TOWERS_FILE, CONNECTOR_FILE):
        shutil.copy(tmp_path / "one" / file, tmp_path / "two")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "favor"]
    command = [*launch, "sft", recipe, *changes(training_dir, tmp_path / "two", 2), "--resume", "auto"]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    printed = done.stdout.strip().splitlines()
    assert printed[-1] == str(tmp_path / "two") and printed.count(printed[-1]) == 1
    assert json.loads((tmp_path / "two" / "training_record.json").read_text())["processes"] == 2
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == len(two) == STEPS
    for name in ("loss", "cross_entropy", "diversity_loss", "grad_norm"):
        assert [step[name] for step in two] == pytest.approx([step[name] for step in one], rel=1e-4), name
    assert one[-1]["loss"] < one[0]["loss"]


PATIENCE = """
import sys, torch
from torch.distributed import distributed_c10d
from favor.trainers.recipe_run import stage_arguments
from favor.trainers.recipe_sections import CacheSettings, Recipe, Stage
recipe = Recipe("out", "data", model="m", cache_encoder_states=CacheSettings(), sft={"report_to": "none"})
arguments = stage_arguments(recipe, Stage(), sys.argv[1])
assert arguments.world_size == 2
group = distributed_c10d._get_default_group()
assert group._get_backend(torch.device("cpu")).options._timeout.total_seconds() == float(sys.argv[2])
"""


def test_processes_wait_for_the_one_that_prepares_data(tmp_path):
    """transformers does not tell torch `ddp_timeout` on a CPU: half an hour of training towers ended the others."""
    script = tmp_path / "patience.py"
    script.write_text(PATIENCE)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    environ = {**environment(), "PYTHONPATH": str(REPOSITORY), "CUDA_VISIBLE_DEVICES": ""}
    command = [*launch, str(script), str(tmp_path / "out"), str(DDP_TIMEOUT)]
    done = subprocess.run(command, cwd=REPOSITORY, env=environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
