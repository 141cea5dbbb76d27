# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What somebody meets who trains on own data: even samples, kept states, a way to go on, few bits, a local merge."""

import json

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model

from favor.cli import main
from favor.commands import sft
from favor.model_loading import bundled_model_path
from favor.modeling_favor import FavorForConditionalGeneration
from favor.trainers import encoder_cache
from favor.trainers.eval_answers import chosen_samples
from favor.trainers.recipe import parse_recipe
from favor.trainers.recipe_run import run_recipe

QUICK = {"max_steps": 1, "per_device_train_batch_size": 2, "report_to": "none", "save_strategy": "no"}
FOUR_BIT = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "float32"}


def recipe_of(training_dir, model, out, **changes):
    sft = {**QUICK, "dataloader_num_workers": 0, **changes.pop("sft", {})}
    data = str(training_dir / "train.jsonl")
    return {"model": str(model), "output_dir": str(out), "train_data": data, "sft": sft, **changes}


@pytest.mark.parametrize(("lines", "kinds", "count"), [(72, 6, 24), (100, 10, 40), (64, 2, 8), (90, 3, 9)])
def test_answered_samples_are_an_even_choice(lines, kinds, count):
    rows = [{"kind": number % kinds, "place": number} for number in range(lines)]
    chosen = list(chosen_samples(rows, count))
    assert len(chosen) == count and {row["kind"] for row in chosen} == set(range(kinds))
    assert [row["place"] for row in chosen] == sorted({row["place"] for row in chosen})
    assert list(chosen_samples(rows, count)) == chosen
    more = list(chosen_samples(rows, count + 5))
    assert all(row in more for row in chosen)
    assert len(list(chosen_samples(rows, lines + 5))) == lines


def test_a_resumed_run_encodes_nothing_again(training_dir, tiny_model_dir, tmp_path, monkeypatch):
    recipe = recipe_of(training_dir, tiny_model_dir, tmp_path / "out", cache_encoder_states=True)
    recipe["eval_data"] = recipe["train_data"]
    encode, encoded = encoder_cache.ClipEncoder.encode, []

    def counted(*arguments):
        if len(encoded) == stop_at:
            raise KeyboardInterrupt
        encode(*arguments)
        encoded.append(arguments)

    monkeypatch.setattr(encoder_cache.ClipEncoder, "encode", counted)
    stop_at = 3
    with pytest.raises(KeyboardInterrupt):
        run_recipe(parse_recipe(recipe))
    assert list((tmp_path / "out" / "encoder_states").glob("features-*.safetensors"))
    stop_at = None
    run_recipe(parse_recipe({**recipe, "resume": True}))
    clips = len(encoded)
    assert clips == len({file.name for file in (training_dir / "media").iterdir()})  # each once, over both runs
    run_recipe(parse_recipe({**recipe, "resume": True}))
    run_recipe(parse_recipe(recipe))  # nor does one that begins anew
    assert len(encoded) == clips


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "favor sft mine.yaml --resume auto"),
        (["--sft.max_steps", "5"], "favor sft mine.yaml --sft.max_steps 5 --resume auto"),
        (["--output_dir", "a b", "--resume", "x"], "favor sft mine.yaml --output_dir 'a b' --resume auto"),
    ],
)
def test_ctrl_c_says_how_to_go_on(given, said, tmp_path, monkeypatch, capsys, training_dir, tiny_model_dir):
    monkeypatch.chdir(tmp_path)
    recipe = recipe_of(training_dir, tiny_model_dir, "out")
    (tmp_path / "mine.yaml").write_text(json.dumps(recipe))

    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("favor.trainers.recipe_run.run_recipe", stopped)
    monkeypatch.delenv("RANK", raising=False)
    assert main(["sft", "mine.yaml", *given]) == 130
    assert capsys.readouterr().err.splitlines()[-1].endswith(said)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"save_strategy": "steps", "eval_strategy": "epoch"}, "save_strategy is steps and eval_strategy epoch"),
        ({"save_strategy": "no"}, "save_strategy is no and eval_strategy epoch: set both to epoch"),
        ({"eval_strategy": "no"}, "needs evaluations"),
        ({"save_strategy": "best", "eval_strategy": "no"}, "needs evaluations"),
        ({"save_strategy": "best", "eval_strategy": "epoch"}, "save_strategy best needs metric_for_best_model: loss"),
        (
            {"save_strategy": "epoch", "eval_strategy": "epoch", "metric_for_best_model": "eval_exact_match"},
            "metric_for_best_model is eval_exact_match, which needs answers: set eval_answers",
        ),
        (
            {"save_strategy": "steps", "eval_strategy": "steps", "save_steps": 5, "eval_steps": 2},
            "save_steps is 5 and eval_steps 2",
        ),
    ],
)
def test_the_best_model_needs_a_checkpoint_at_each_evaluation(options, said, training_dir, tiny_model_dir, tmp_path):
    recipe = recipe_of(training_dir, tiny_model_dir, tmp_path, sft={**options, "load_best_model_at_end": True})
    recipe["eval_data"] = recipe["train_data"]
    with pytest.raises(ValueError, match=said) as error:
        run_recipe(parse_recipe(recipe))
    assert "\n" not in str(error.value) and "Strategy." not in str(error.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"eval_strategy": "steps", "eval_steps": 1},
            "eval_strategy is steps, .* no eval_data: give it, or leave eval_s",
        ),
        ({"eval_strategy": "epoch"}, "eval_strategy is epoch, but the recipe has no eval_data"),
        ({"report_to": "tensorbored"}, "report_to names 'tensorbored', which is unknown or not installed"),
        ({"report_to": ["none", "wand"]}, "report_to names 'wand', which is unknown or not installed"),
        ({"eval_on_start": True}, "eval_on_start is set, .* or leave eval_on_start out"),
    ],
)
def test_evaluations_need_data_and_reports_their_packages(options, said, training_dir, tiny_model_dir, tmp_path):
    recipe = recipe_of(training_dir, tiny_model_dir, tmp_path, sft=options)
    with pytest.raises(ValueError, match=said) as error:
        run_recipe(parse_recipe(recipe))
    assert "\n" not in str(error.value) and "Strategy." not in str(error.value)


def test_an_adapter_may_name_the_bundled_model_and_one_of_the_prompt_is_refused(tmp_path, capsys):
    whole = FavorForConditionalGeneration.from_pretrained(bundled_model_path())
    adapter = get_peft_model(whole, LoraConfig(r=1, target_modules=["q_proj"]))
    adapter.peft_config["default"].base_model_name_or_path = "favor-tiny"
    adapter.save_pretrained(tmp_path / "lora")
    assert main(["export", str(tmp_path / "lora"), str(tmp_path / "whole"), "--merge"]) == 0
    assert (tmp_path / "whole" / "processor_config.json").is_file()
    width = whole.config.text_config.hidden_size
    sizes = {"token_dim": width, "num_layers": 1, "num_attention_heads": 1}
    prompt = get_peft_model(whole, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2, **sizes))
    prompt.peft_config["default"].base_model_name_or_path = str(bundled_model_path())
    prompt.save_pretrained(tmp_path / "prompt")
    assert main(["export", str(tmp_path / "prompt"), str(tmp_path / "none"), "--merge"]) == 2
    assert "is of type PROMPT_TUNING, which adds to the prompt" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("quantization", [{}, FOUR_BIT])
def test_an_adapter_is_trained_and_merged_here(quantization, training_dir, tiny_model_dir, tmp_path, capsys):
    recipe = recipe_of(training_dir, tiny_model_dir, tmp_path / "lora", lora={"rank": 2})
    adapter = run_recipe(parse_recipe(recipe | ({"quantization": quantization} if quantization else {})))
    assert main(["export", str(adapter), str(tmp_path / "refused")]) == 2
    assert "--merge" in capsys.readouterr().err
    assert main(["export", str(adapter), str(tmp_path / "whole"), "--merge"]) == 0
    whole = FavorForConditionalGeneration.from_pretrained(tmp_path / "whole").state_dict()
    base = FavorForConditionalGeneration.from_pretrained(tiny_model_dir).state_dict()
    assert whole.keys() == base.keys() and all(
        w.is_floating_point() == base[n].is_floating_point() for n, w in whole.items()
    )
    changed = {name.split(".")[1] for name in whole if not torch.equal(whole[name], base[name])}
    assert "connector" in changed and not changed & {"vision_tower", "audio_tower", "visual_qformer"}
    assert main(["export", str(tmp_path / "whole"), str(tmp_path / "x"), "--merge"]) == 2
    assert "holds no adapter" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"quantization": FOUR_BIT}, "only a `lora` can be trained"),
        ({"quantization": FOUR_BIT, "lora": {"merge": True}}, "merge afterwards"),
        ({"quantization": {"bits": 4}, "lora": {}}, "load_in_4bit or load_in_8bit"),
    ],
)
def test_few_bits_are_for_adapters(changes, said):
    with pytest.raises(ValueError, match=said):
        parse_recipe({"model": "m", "output_dir": "o", "train_data": "d", **changes})


def test_the_command_to_go_on_can_be_typed():
    arguments = type("Arguments", (), {"recipe": "my recipe.yaml", "overrides": ["--seed=1"]})()
    assert sft.command_to_go_on(arguments) == "favor sft 'my recipe.yaml' --seed 1 --resume auto"
