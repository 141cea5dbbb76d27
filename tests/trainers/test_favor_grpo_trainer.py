# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""GRPO over video, image and sound: advantages and loss are the paper's, and the encoders run once per prompt."""

import copy
import json
import warnings

import pytest
import torch
from datasets import Dataset
from PIL import Image

from favor import FavorGRPOConfig, FavorGRPOTrainer, lora_config
from favor.rewards import reward_function
from favor.trainers import encode_prompts
from tests.trainers.one_step import start
from tests.trainers.preference_steps import (
    ANSWERS,
    GROUP,
    QUIET,
    GivenAnswers,
    pair_rows,
    preference_step,
    token_log_probs,
)
from tests.trainers.test_favor_dpo_trainer import changed

EPSILON = 0.2


@pytest.fixture(scope="module")
def prepared(tiny_parts, media_dir, tmp_path_factory):
    """The model without dropout, its processor, and four prompts with their answers."""
    folder = tmp_path_factory.mktemp("prompts")
    for part in tiny_parts:
        part.save_pretrained(folder / "model")
    rows = [
        {name: value for name, value in row.items() if name not in ("chosen", "rejected")}
        for row in pair_rows(media_dir)
    ]
    return *start(folder / "model"), rows


def uneven_reward(completions, answer, **columns):
    """Differs within each group, and from group to group."""
    said = [completion[-1]["content"].strip() for completion in completions]
    return [len(text) / 10 + (text == reference) for text, reference in zip(said, answer, strict=True)]


def solved(completions, solution, **columns):
    """As those of TRL's examples."""
    return [float(turns[-1]["content"].strip() == wanted) for turns, wanted in zip(completions, solution, strict=True)]


def trainer_of(model, processor, rows, tmp_path, trainer_class=GivenAnswers, **options):
    kept = {name: options.pop(name) for name in ("peft_config", "encoder_states", "reward_funcs") if name in options}
    options = {"per_device_train_batch_size": 2 * GROUP, "num_generations": GROUP, **QUIET, **options}
    arguments = FavorGRPOConfig(output_dir=str(tmp_path), **options)
    dataset = rows if isinstance(rows, Dataset) else Dataset.from_list(rows)
    kept.setdefault("reward_funcs", uneven_reward)
    return trainer_class(model=model, args=arguments, processing_class=processor, train_dataset=dataset, **kept)


def grouped(rows):
    return [row for row in rows for _ in range(GROUP)]


def given_ids(processor):
    tokenizer = processor.tokenizer
    return [tokenizer(answer, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id] for answer in ANSWERS]


@pytest.mark.parametrize("beta", [0.0, 0.3])
def test_advantages_and_the_clipped_loss_are_those_of_the_formula(prepared, tmp_path, beta):
    model, processor, rows = prepared
    trainer = trainer_of(
        copy.deepcopy(model),
        processor,
        rows,
        tmp_path,
        beta=beta,
        loss_type="grpo",
        epsilon=EPSILON,
        use_bias_correction_kl=False,
    )
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1  # as in its loop
    batch = trainer._generate_and_score_completions(grouped(rows))
    answers, old, expected_advantages = given_ids(processor), [], []
    for row in rows:
        rewards = torch.tensor([len(text) / 10 + (text == row["answer"]) for text in ANSWERS])
        expected_advantages.append((rewards - rewards.mean()) / (rewards.std() + 1e-4))
        with torch.no_grad():
            old.append([token_log_probs(model, processor, row, ids) for ids in answers])
    torch.testing.assert_close(batch["advantages"], torch.cat(expected_advantages), atol=1e-6, rtol=0)

    policy = trainer.unwrapped_favor()
    policy.load_state_dict(changed(model).state_dict())  # a later step than that which answered
    longest = max(map(len, answers))
    padded = [torch.nn.functional.pad(values, (0, longest - len(values))) for group in old for values in group]
    batch["old_per_token_logps"] = torch.stack(padded)
    with torch.no_grad():
        found = float(trainer._compute_loss(trainer.model, batch))
        terms, clipped = [], []
        for row, group, advantages in zip(rows, old, expected_advantages, strict=True):
            for ids, before, advantage in zip(answers, group, advantages, strict=True):
                now = token_log_probs(policy, processor, row, ids)
                ratio = (now - before).exp()
                gain = torch.min(ratio * advantage, ratio.clamp(1 - EPSILON, 1 + EPSILON) * advantage)
                kl = (before - now).exp() - (before - now) - 1  # to the model as it was, which gave the answers
                terms.append((beta * kl - gain).mean())
                clipped.append((ratio - 1).abs() > EPSILON)
        assert 0 < torch.cat(clipped).float().mean() < 1
    assert found == pytest.approx(float(torch.stack(terms).mean()), abs=1e-6)


def test_the_encoders_run_once_per_prompt_and_not_once_per_answer(prepared, tmp_path):
    model, processor, rows = prepared
    trainer = trainer_of(
        copy.deepcopy(model),
        processor,
        rows[:2],
        tmp_path,
        trainer_class=FavorGRPOTrainer,
        beta=0.1,
        num_iterations=2,
        max_steps=2,
        max_completion_length=4,
    )
    seen, heard = [], []
    backbone = trainer.unwrapped_favor().model
    backbone.vision_tower.register_forward_hook(lambda module, inputs, kwargs, out: seen.append(1), with_kwargs=True)
    backbone.audio_tower.register_forward_hook(lambda module, inputs, kwargs, out: heard.append(1), with_kwargs=True)
    trainer.train()
    # Two prompts, a video with its sound and one without; eight answers, a reference and two steps on them.
    assert (len(seen), len(heard)) == (2, 1)
    assert trainer.state.global_step == 2


def test_sampled_answers_end_and_are_written_down(prepared, tmp_path):
    model, processor, rows = prepared
    rewards = [uneven_reward, reward_function("exact_match")]
    trainer = trainer_of(
        copy.deepcopy(model),
        processor,
        rows,
        tmp_path,
        trainer_class=FavorGRPOTrainer,
        reward_funcs=rewards,
        max_completion_length=6,
        logged_answers=3,
    )
    trainer.train()
    lines = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert len(lines) == 3 and set(lines[0]["rewards"]) == {"uneven_reward", "exact_match"}
    assert lines[0]["prompt"].startswith("Which sound is heard first?")
    logged = trainer.state.log_history[0]
    assert {"reward", "rewards/exact_match/mean", "entropy"} <= set(logged)


@pytest.mark.parametrize("peft", [False, True])
def test_kept_states_train_as_files_do_and_no_encoder_runs(prepared, tmp_path, peft):
    model, processor, rows = prepared
    dataset = Dataset.from_list(rows)
    encoded, states = encode_prompts(model, processor, dataset, dtype="float32", workers=0, progress=False)
    options = {"per_device_train_batch_size": 4 * GROUP}
    if peft:
        options["peft_config"] = lora_config(rank=2, alpha=4, dropout=0.0)
    expected = preference_step("grpo", model, processor, dataset, tmp_path / "files", **options)
    found = preference_step("grpo", model, processor, encoded, tmp_path / "kept", encoder_states=states, **options)
    assert (
        found.gradients.keys() == expected.gradients.keys()
        and max(g.abs().max() for g in found.gradients.values()) > 1e-4
    )
    # As one vector: in sums of another order small elements are as exact as the largest.
    wanted, given = (
        torch.cat([gradients[name].flatten() for name in expected.gradients])
        for gradients in (expected.gradients, found.gradients)
    )
    assert (given - wanted).norm() < 1e-4 * wanted.norm()
    calls = []
    found.unwrapped_favor().model.encode_media = lambda **media: calls.append(media)
    found._generate_and_score_completions(grouped(list(encoded)))
    assert calls == []
    with pytest.raises(ValueError, match="row of encode_prompts: give what it returned"):
        expected._generate_and_score_completions(grouped(list(encoded)))


def test_rows_may_be_strings_supervised_samples_and_blocks(prepared, tmp_path, media_dir):
    """The forms of TRL's examples, and those of a training manifest."""
    model, processor, _ = prepared
    picture = Image.open(media_dir / "photo.png")
    asked = {"role": "user", "content": "What is it?"}
    rows = [
        {"prompt": [asked], "image": picture, "solution": "a dog"},
        {"prompt": "What is it?", "image": picture},
        {"messages": [asked, {"role": "assistant", "content": "a dog"}], "image": str(media_dir / "photo.png")},
        {
            "prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}],
            "images": [picture],
        },
    ]
    trainer = trainer_of(copy.deepcopy(model), processor, rows[:1] * 2, tmp_path, reward_funcs=solved)
    first, *others = (trainer.ask(row) for row in rows)
    for prompt in others:
        assert prompt.input_ids == first.input_ids
        assert torch.equal(prompt.states[0][0], first.states[0][0])
    trainer.train()
    assert trainer.state.global_step == 1


def test_rewards_see_the_row_and_the_text(prepared, tmp_path):
    model, processor, rows = prepared
    got = []

    def reward(prompts, completions, image, answer, **columns):
        got.append((prompts[0], image[0], answer[0], sorted(columns)))
        return [None] * len(completions)

    trainer = trainer_of(
        copy.deepcopy(model), processor, rows[2:], tmp_path, reward_funcs=reward, shuffle_dataset=False
    )
    trainer.train()
    prompts, image, answer, columns = got[0]
    assert prompts == [{"role": "user", "content": "Which sound is heard first?"}]
    assert image.endswith("photo.png") and answer == rows[2]["answer"]
    assert {"audio", "completion_ids", "trainer_state"} <= set(columns)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("use_vllm", True),
        ("use_transformers_continuous_batching", True),
        ("diversity_loss_weight", 0.1),
        ("sync_ref_model", True),
        ("remove_unused_columns", True),
        ("use_liger_kernel", True),
        ("muon_learning_rate", -1.0),
        ("logged_answers", -1),
    ],
)
def test_options_that_cannot_be_honoured_are_refused_by_name(option, value, tmp_path):
    with pytest.raises(ValueError, match=option), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # some are on their way out of TRL, too
        FavorGRPOConfig(output_dir=str(tmp_path), **{option: value})


def test_a_checkpoint_between_two_generations_is_refused(tmp_path):
    with pytest.raises(ValueError, match="save_steps=3 would save while answers are in use.*a multiple of 2"):
        FavorGRPOConfig(output_dir=str(tmp_path), num_iterations=2, save_steps=3)
    FavorGRPOConfig(output_dir=str(tmp_path), num_iterations=2, save_steps=4)


def test_what_is_not_possible_is_refused_before_training(prepared, tmp_path):
    model, processor, rows = prepared
    with pytest.raises(ValueError, match="tools is not possible"):
        FavorGRPOTrainer(model=model, tools=[print], processing_class=processor)
    with pytest.raises(ValueError, match="load the model yourself"):
        FavorGRPOTrainer(model="org/model", processing_class=processor)
    with pytest.raises(ValueError, match="2 prompts are asked at once.*the data has 1 rows"):
        trainer_of(copy.deepcopy(model), processor, rows[:1], tmp_path)
    with pytest.raises(ValueError, match="None of the rows has media"):
        trainer_of(copy.deepcopy(model), processor, [{"prompt": "?"}], tmp_path)


def test_rewards_by_name():
    wer, match = reward_function("wer"), reward_function("exact_match")
    said = [[{"role": "assistant", "content": text}] for text in ("red circle", "a red square")]
    assert match(completions=said, answer=["Red circle.", ["red", "square"]]) == [1.0, 0.0]
    assert wer(completions=["red circle", "x y z"], solution=["red square", "red square"]) == [0.5, 0.0]
    messages = [[{"role": "user", "content": "?"}, {"role": "assistant", "content": "red circle"}]] * 2
    assert match(completions=said, messages=messages) == [1.0, 0.0]
    with pytest.raises(ValueError, match="There is no reward 'bleu'; there are exact_match"):
        reward_function("bleu")
    with pytest.raises(ValueError, match="a row has only scene"):
        match(completions=said[:1], scene=["3"])
