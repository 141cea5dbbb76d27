# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""DPO and GRPO: two processes train as one, a killed run goes on bit by bit, and the commands run recipes."""

import json
import re

import pytest
import torch
import yaml

from favor.cli import main
from favor.rewards import reward_functions
from favor.trainers.complete_checkpoints import last_complete
from favor.trainers.preference_manifest import load_rows
from favor.trainers.recipe import CONFIGS, parse_recipe, read_recipe
from favor.trainers.training_curves import FILE, curves_of, drawn
from tests.conftest import REPOSITORY
from tests.trainers.killed_run import run
from tests.trainers.one_step import start
from tests.trainers.preference_steps import GROUP, pair_rows, preference_step, write_rows
from tests.trainers.test_equal_gradients import LARGEST_DIFFERENCE, largest_difference, run_torchrun
from tests.trainers.test_resume import assert_same, run_killed

STEPS, SAVED_EVERY, KILLED_AT = 5, 2, 3


@pytest.fixture(scope="module")
def prepared(tiny_parts, media_dir, tmp_path_factory):
    """A folder with `model` and `rows.jsonl`."""
    folder = tmp_path_factory.mktemp("runs")
    for part in tiny_parts:
        part.save_pretrained(folder / "model")
    write_rows(folder / "rows.jsonl", pair_rows(media_dir))
    return folder


def test_a_file_of_rows_is_read_as_it_was_written(prepared, media_dir):
    rows = load_rows(prepared / "rows.jsonl")
    for found, row in zip(rows, pair_rows(media_dir), strict=True):
        assert {name: found[name] for name in row} == row
    assert rows[1]["origin"].endswith("rows.jsonl, line 2")


@pytest.mark.parametrize(("method", "batch_size"), [("dpo", 2), ("grpo", GROUP), ("grpo", GROUP // 2)])
def test_two_processes_train_as_one(prepared, tmp_path, method, batch_size):
    """Also where the answers to one prompt are spread over both."""
    model, processor = start(prepared / "model")
    rows = load_rows(prepared / "rows.jsonl")
    one = preference_step(method, model, processor, rows, tmp_path / "one", per_device_train_batch_size=2 * batch_size)
    for name in ("model", "rows.jsonl"):
        (tmp_path / name).symlink_to(prepared / name)
    script = REPOSITORY / "tests" / "trainers" / "preference_steps.py"
    done = run_torchrun(script, [tmp_path, method, batch_size])
    assert done.returncode == 0, done.stderr[-3000:]
    two = torch.load(tmp_path / "result.pt", weights_only=True)
    assert largest_difference(two["gradients"], one.gradients) < LARGEST_DIFFERENCE
    names = (
        ("loss", "diversity_loss", "rewards/margins") if method == "dpo" else ("loss", "reward", "reward_std", "kl")
    )
    for name in names:
        assert two["logged"][name] == pytest.approx(one.state.log_history[0][name], abs=1e-5), name


@pytest.mark.parametrize("batches", [(4, 1), (2, 2), (1, 4)])
def test_dpos_micro_batches_add_up(prepared, tmp_path, batches):
    size, accumulation = batches
    model, processor = start(prepared / "model")
    rows = load_rows(prepared / "rows.jsonl")
    whole = preference_step("dpo", model, processor, rows, tmp_path / "a", per_device_train_batch_size=4)
    options = {"per_device_train_batch_size": size, "gradient_accumulation_steps": accumulation}
    parts = preference_step("dpo", model, processor, rows, tmp_path / "b", **options)
    assert largest_difference(parts.gradients, whole.gradients) < LARGEST_DIFFERENCE


def recipe_of(prepared, folder, method, lora):
    shared = {"max_steps": STEPS, "save_steps": SAVED_EVERY, "save_total_limit": 2, "logging_steps": 1}
    shared |= {"learning_rate": 1e-2, "report_to": "none", "activation_checkpointing": False}
    options = {
        "dpo": {"per_device_train_batch_size": 2, "disable_dropout": False},
        "grpo": {
            "per_device_train_batch_size": GROUP,
            "num_generations": GROUP,
            "max_completion_length": 5,
            "beta": 0.1,
            "gradient_accumulation_steps": 2,
        },
    }
    recipe = {
        "model": str(prepared / "model"),
        "train_data": str(prepared / "rows.jsonl"),
        "output_dir": str(folder),
        method: {**shared, **options[method]},
    }
    recipe |= {"rewards": ["wer", "exact_match"], "cache_encoder_states": True} if method == "grpo" else {}
    return recipe | ({"lora": {"rank": 2, "alpha": 4, "dropout": 0.1}} if lora else {})


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("method", "lora"), [("dpo", True), ("grpo", False)])
def test_a_killed_run_ends_as_an_unbroken_one(prepared, tmp_path, method, lora):
    unbroken = run(parse_recipe(recipe_of(prepared, tmp_path / "unbroken", method, lora)))
    broken = recipe_of(prepared, tmp_path / "broken", method, lora)
    run_killed(broken, tmp_path, "step", 0, KILLED_AT)
    assert last_complete(tmp_path / "broken")[0].name == f"checkpoint-{SAVED_EVERY}"
    assert_same(run(parse_recipe(broken | {"resume": True})), unbroken)
    state = json.loads((tmp_path / "broken" / "trainer_state.json").read_text())
    assert [entry["step"] for entry in state["log_history"] if "loss" in entry] == list(range(1, STEPS + 1))
    record = json.loads((tmp_path / "broken" / "training_record.json").read_text())
    assert record["optimisation steps"] == STEPS and ("rewards" in record) == (method == "grpo")


def test_the_commands_run_recipes_of_their_own_kind(prepared, tmp_path, capsys):
    for method in ("dpo", "grpo"):
        recipe = recipe_of(prepared, tmp_path / method, method, lora=True)
        recipe[method] |= {"max_steps": 2, "save_strategy": "no"}
        (tmp_path / f"{method}.yaml").write_text(yaml.safe_dump(recipe))
    assert main(["sft", str(tmp_path / "dpo.yaml")]) == 2
    assert f"is a recipe of `dpo`: favor dpo {tmp_path / 'dpo.yaml'} runs it." in capsys.readouterr().err
    assert main(["dpo", str(tmp_path / "dpo.yaml"), "--dpo.beta", "0.2"]) == 0
    assert main(["grpo", str(tmp_path / "grpo.yaml"), "--rewards", "[bleu]"]) == 2
    assert "There is no reward 'bleu'" in capsys.readouterr().err
    assert main(["grpo", str(tmp_path / "grpo.yaml")]) == 0
    for method in ("dpo", "grpo"):
        assert (tmp_path / method / "adapter_model.safetensors").is_file()
        assert "rewards/" in (tmp_path / method / FILE).read_text()
    assert len((tmp_path / "grpo" / "samples.jsonl").read_text().splitlines()) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dpo": {}}, "not both"),
        ({"rewards": []}, "`grpo` needs `rewards`"),
        ({"sft": {"max_steps": 1}}, "`grpo` goes without `sft`"),
        ({"train_data": [{"path": "a.jsonl"}]}, "`train_data` of `grpo` is one file"),
        ({"grpo": {"max_step": 1}}, "unknown grpo options max_step; see FavorGRPOConfig"),
        ({"grpo": {"output_dir": "x"}}, "unknown grpo options output_dir"),
    ],
)
def test_recipes_that_say_two_things_are_refused(prepared, tmp_path, change, message):
    recipe = recipe_of(prepared, tmp_path, "grpo", lora=False)
    with pytest.raises(ValueError, match=message):
        parse_recipe(recipe | change)


def test_the_code_of_the_page_runs(capsys):
    page = (REPOSITORY / "docs" / "preferences.md").read_text(encoding="utf-8")
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(code, "docs/preferences.md", "exec"), {})
    assert capsys.readouterr().out == "[1.0]\n"


def test_the_published_recipes_are_valid():
    for method, name in (("dpo", "dpo-custom-data.yaml"), ("grpo", "grpo-favor-tiny.yaml")):
        recipe = read_recipe(REPOSITORY / "recipes" / name)
        assert recipe.method == method
        assert reward_functions(recipe.rewards) or method == "dpo"
        assert CONFIGS[method](output_dir=recipe.output_dir, **getattr(recipe, method))


def test_curves_are_drawn_of_what_was_logged_twice():
    history = [
        {"reward": 0.25, "loss": 0.1, "step": 1, "learning_rate": 1.0},
        {"reward": 0.75, "loss": float("nan"), "step": 3, "rewards/a<b/mean": 1.0},
        {"rewards/a<b/mean": 1.0, "step": 5},
    ]
    curves = curves_of(history)
    assert curves == {"reward": [(1, 0.25), (3, 0.75)], "rewards/a<b/mean": [(3, 1.0), (5, 1.0)]}
    picture = drawn(curves)
    assert "rewards/a&lt;b/mean" in picture and picture.count("<polyline") == 2 and ">0.75<" in picture
