# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Stages that align a connector with the language model: what is learnt, what is trained, and how a run goes on."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from favor.modeling_favor import FavorForConditionalGeneration
from favor.modeling_favor.word_mixture_favor import NOWHERE
from favor.trainers import FavorDataCollator, FavorSFTConfig, load_manifest
from favor.trainers.alignment_losses import check_length
from favor.trainers.answer_pieces import AnswerPieces, answer_text, outputs_needed
from favor.trainers.connector_alignment import ConnectorAlignmentTrainer
from favor.trainers.encoder_cache import encode_dataset
from favor.trainers.recipe import parse_recipe
from favor.trainers.recipe_run import run_recipe
from favor.trainers.recipe_sections import AnswersForMedia, ConnectorAlignment
from favor.trainers.said_answers import tell_answers
from favor.worlds.video_file import write_picture, write_sound
from tests.conftest import REPOSITORY, SAMPLING_RATE
from tests.trainers.test_equal_gradients import environment
from tests.trainers.test_resume import assert_same, run_killed, weights

SPOKEN = {"low": "red", "high": "blue", "low high": "red blue", "high low": "blue red"}
PITCHES = {"low": 200.0, "high": 1500.0}
SHOWN = {"green": (0, 200, 0), "shape": (200, 0, 200)}
CONNECTOR = {"num_query_tokens": 8, "window_frames": 2, "initializer_range": 0.05}
CONNECTOR |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


@pytest.fixture(scope="module")
def said_dir(tmp_path_factory):
    """`train.jsonl`: four sounds of one or two tones, whose answers tell them in order, and two stills."""
    folder = tmp_path_factory.mktemp("said")
    lines = []
    for name, answer in SPOKEN.items():
        tones = [PITCHES[tone] for tone in name.split()]
        time = np.arange(SAMPLING_RATE // 2) / SAMPLING_RATE
        sound = np.concatenate([0.4 * np.sin(2 * np.pi * pitch * time) for pitch in tones]).astype(np.float32)
        write_sound(folder / f"{name}.wav", sound, SAMPLING_RATE)
        lines.append({"audio": f"{name}.wav", "messages": asked("Which sound is heard?", answer), "task": "asr"})
    for answer, colour in SHOWN.items():
        write_picture(folder / f"{answer}.png", np.full((48, 64, 3), colour, np.uint8))
        lines.append({"image": f"{answer}.png", "messages": asked("What colour is it?", answer), "task": "ic"})
    (folder / "train.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    return folder


def asked(question: str, answer: str) -> list[dict]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


@pytest.fixture
def recipe(tiny_model_dir, said_dir, tmp_path):
    """A recipe that aligns a fresh connector, in one stage."""
    sft = {"per_device_train_batch_size": 6, "max_steps": 2, "learning_rate": 1e-2, "logging_steps": 1}
    sft |= {"report_to": "none", "save_strategy": "no", "activation_checkpointing": False}
    return {
        "model": str(tiny_model_dir),
        "config": {"connector_config": CONNECTOR},
        "fresh_parts": ["connector"],
        "time_shaped_queries": True,
        "train_data": str(said_dir / "train.jsonl"),
        "output_dir": str(tmp_path / "run"),
        "cache_encoder_states": True,
        "sft": sft,
        "stages": [{"align_connector": {}}],
    }


def trainer_of(model, processor, rows, collator, folder, **options) -> ConnectorAlignmentTrainer:
    values = {"output_dir": str(folder), "report_to": "none", "train_only": ["connector"], "learning_rate": 1e-2}
    values |= {"activation_checkpointing": False, "save_strategy": "no", "max_steps": 1}
    return ConnectorAlignmentTrainer(
        model=model,
        args=FavorSFTConfig(**{**values, **options}),
        processing_class=processor,
        data_collator=collator,
        train_dataset=rows,
        alignment=ConnectorAlignment(),
    )


@pytest.fixture
def aligned(model_and_processor, said_dir, tmp_path):
    """A trainer of the tiny model on encoder states, and its rows."""
    model, processor = model_and_processor
    rows, collator = encode_dataset(
        model, processor, load_manifest(said_dir / "train.jsonl"), workers=0, progress=False
    )
    return trainer_of(model, processor, rows, collator, tmp_path), rows


def test_an_aligned_connector_says_what_it_hears_and_sees(recipe, said_dir, tmp_path):
    stage = {"align_connector": {}, "eval_data": str(said_dir / "train.jsonl")}
    stage["sft"] = {"max_steps": 150, "eval_answers": 6, "eval_strategy": "steps", "eval_steps": 150}
    folder = run_recipe(parse_recipe(recipe | {"stages": [stage]}))
    answers = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    assert [(entry["reference"], entry["answer"]) for entry in answers] == [
        (answer, answer) for answer in (*SPOKEN.values(), *SHOWN)
    ]
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    off = [entry["off"] for entry in history if "off" in entry]
    assert off[-1] < 0.05 < 0.5 < off[0]  # on the embeddings, not just nearest to them
    assert {"said_loss", "off", "diversity_loss", "loss"} <= set(history[0])
    trained = FavorForConditionalGeneration.from_pretrained(folder).state_dict()
    before = FavorForConditionalGeneration.from_pretrained(recipe["model"]).state_dict()
    others = [name for name in before if ".connector." not in name]
    assert [name for name in others if not torch.equal(before[name], trained[name])] == []


def test_gradients_reach_the_connector_alone(aligned):
    trainer, rows = aligned
    batch = trainer.data_collator(list(rows))
    trainer._step_items = len(rows)
    trainer.model.train()
    trainer.compute_loss(trainer.model, batch).backward()
    moved = {
        name for name, weight in trainer.model.named_parameters() if weight.grad is not None and weight.grad.any()
    }
    connector = {name for name, _ in trainer.model.named_parameters() if name.startswith("model.connector.")}
    assert moved <= connector
    # Keys' biases shift all scores of a softmax alike; places beyond a window are not read.
    assert all("key.bias" in name for name in connector - moved), connector - moved


def test_the_loss_of_a_step_does_not_depend_on_its_micro_batches(aligned):
    trainer, rows = aligned
    trainer.model.eval()  # no dropout
    trainer.model.training = True
    gradients = []
    for size in (6, 4, 1):
        trainer.model.zero_grad()
        trainer._step_items = len(rows)
        for start in range(0, len(rows), size):
            batch = trainer.data_collator(list(rows.select(range(start, min(start + size, len(rows))))))
            trainer.compute_loss(trainer.model, batch).backward()
        gradients.append(trainer.model.model.connector.language_projection.weight.grad.clone())
    # But for the diversity loss, whose mean is by sample here.
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0], rtol=1e-3, atol=1e-5)


def test_padding_and_other_samples_change_no_sample(aligned):
    """A batch of sounds and stills of unequal lengths has the losses that each of them has alone."""
    trainer, rows = aligned
    trainer.model.eval()
    trainer.alignment = ConnectorAlignment(letters_weight=0.5)
    with torch.no_grad():
        together = trainer.compute_loss(trainer.model, trainer.data_collator(list(rows)))
        alone = [trainer.compute_loss(trainer.model, trainer.data_collator([row])) for row in rows]
    weight = trainer.current_diversity_weight()
    assert weight < 0.1  # the diversity loss is a mean over windows, not over samples
    assert together.item() == pytest.approx(torch.stack(alone).mean().item(), rel=1e-3)
    assert {"said_loss", "spelt_loss"} <= set(trainer._metrics["eval"])


def test_media_and_their_cached_states_give_the_same_loss(aligned, said_dir, tmp_path):
    trainer, rows = aligned
    dataset, processor = load_manifest(said_dir / "train.jsonl"), trainer.processing_class
    uncached = trainer_of(trainer.model, processor, dataset, FavorDataCollator(processor), tmp_path)
    trainer.model.eval()
    assert uncached.pieces.tokens == trainer.pieces.tokens
    with torch.no_grad():
        of_states = trainer.compute_loss(trainer.model, trainer.data_collator(list(rows)))
        of_media = uncached.compute_loss(uncached.model, uncached.data_collator(list(dataset)))
    assert of_media.item() == pytest.approx(of_states.item(), rel=2e-3)  # states are kept in float16


def test_two_processes_align_as_one_does(recipe, tmp_path):
    """Six samples a step, in one process and in two; weights agree as far as sums in another order do."""
    recipe["sft"] |= {"max_steps": 3, "learning_rate": 1e-3, "optim": "sgd", "max_grad_norm": 0.0}
    recipe["sft"] |= {"diversity_loss_weight": 0.0}
    alone = run_recipe(parse_recipe(recipe | {"output_dir": str(tmp_path / "alone")}))
    recipe["sft"]["per_device_train_batch_size"] = 3
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps(recipe | {"output_dir": str(tmp_path / "two")}))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "favor"]
    done = subprocess.run(
        [*launch, "sft", str(file)], cwd=REPOSITORY, env=environment(), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ours, theirs, before = (weights(folder) for folder in (tmp_path / "two", alone, Path(recipe["model"])))
    trained = [name for name in theirs if not torch.equal(theirs[name], before.get(name, theirs[name]))]
    assert trained
    for name in trained:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-5)


def test_channels_are_left_out_in_training_alone(aligned):
    trainer, rows = aligned
    trainer._step_items = len(rows)
    batch = trainer.data_collator(list(rows))

    def loss(share: float, training: bool) -> float:
        trainer.alignment = ConnectorAlignment(state_dropout=share)
        trainer.model.train(training)
        torch.manual_seed(0)  # the connector's own dropout
        with torch.no_grad():
            return trainer.compute_loss(trainer.model, batch).item()

    assert loss(0.5, training=False) == loss(0.0, training=False)
    assert loss(0.5, training=True) == loss(0.5, training=True) != loss(0.0, training=True)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("stage", [1, 2])
def test_a_killed_run_of_all_kinds_of_stages_goes_on(stage, recipe, tmp_path):
    """Alignment, then a LoRA on answers in place of media, then connector and LoRA together."""
    recipe["sft"] |= {"max_steps": 4, "save_strategy": "steps", "save_steps": 2, "per_device_train_batch_size": 4}
    recipe |= {"lora": {"rank": 2, "alpha": 4}}
    aligned = {"align_connector": {"state_dropout": 0.3}}
    recipe["stages"] = [aligned, {"answers_for_media": {"errors": 0.2}}, {"sft": {"max_steps": 2}}]
    unbroken = run_recipe(parse_recipe(recipe | {"output_dir": str(tmp_path / "unbroken")}))
    broken = recipe | {"output_dir": str(tmp_path / "broken")}
    run_killed(broken, tmp_path, "step", stage, 3)
    assert_same(run_recipe(parse_recipe(broken | {"resume": True})), unbroken)
    assert (unbroken / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stages": [{"align_connector": {"weight": 1}}]}, "unknown stages.0.align_connector options weight"),
        (
            {"stages": [{"align_connector": {}, "answers_for_media": {}}]},
            "of one kind, but it has align_connector and",
        ),
        (
            {"stages": [{}, {"align_connector": {}}], "lora": {}},
            "stages.1 has align_connector after a stage that trai",
        ),
        ({"stages": [{"align_connector": {}}], "lora": {}}, "every stage has align_connector, which trains no LoRA"),
        ({"fresh_parts": []}, "would overwrite the model's trained connector"),
        ({"stages": [{"align_connector": {"pieces": 0}}]}, "`pieces` must be at least 1"),
        ({"stages": [{"align_connector": {"distance_weight": -1.0}}]}, "`distance_weight` must be 0 or more"),
        ({"stages": [{"align_connector": {"letters_weight": -1.0}}]}, "`letters_weight` must be 0 or more"),
        ({"stages": [{"answers_for_media": {"errors": 1.5}}]}, "`errors` is a share from 0 to 1"),
    ],
)
def test_a_recipe_that_cannot_be_followed(change, message, recipe):
    parse_recipe(recipe)
    with pytest.raises(ValueError, match=message):
        parse_recipe(recipe | change)


def test_what_cannot_be_aligned_is_refused_before_training(recipe, said_dir, tmp_path, caplog):
    long = tmp_path / "long.jsonl"
    line = json.loads((said_dir / "train.jsonl").read_text().splitlines()[0])
    line["audio"] = str(said_dir / line["audio"])
    line["messages"][1]["content"] = "red green blue beep " * 4
    long.write_text(json.dumps(line))
    for stage in ({"train_data": str(long)}, {"eval_data": str(long)}):
        with pytest.raises(ValueError, match="line 1: its answer takes .* outputs .* but its media have 8: leave it"):
            run_recipe(parse_recipe(recipe | {"stages": [{"align_connector": {}} | stage]}))
    mixed = tmp_path / "mixed.jsonl"
    lines = (said_dir / "train.jsonl").read_text().splitlines()
    moved = [json.loads(text) for text in lines]
    for sample in moved:
        sample |= {kind: str(said_dir / sample[kind]) for kind in ("audio", "image") if kind in sample}
    mixed.write_text("\n".join(map(json.dumps, [line, *moved])))
    skipping = recipe | {"train_data": str(mixed), "sft": recipe["sft"] | {"on_bad_sample": "skip", "max_steps": 1}}
    run_recipe(parse_recipe(skipping))
    assert "1 of 7 samples are left out of align_connector; the first: " in caplog.text
    with pytest.raises(ValueError, match="None of the 1 samples can be aligned; the first"):
        run_recipe(parse_recipe(skipping | {"train_data": str(long)}))
    wrong = {"align_connector": {}, "sft": {"train_only": ["connector", "language_model"]}}
    with pytest.raises(ValueError, match="trains the connector alone, but train_only is"):
        run_recipe(parse_recipe(recipe | {"stages": [wrong]}))
    with pytest.raises(ValueError, match="has no piece that a connector could say"):
        check_length([], 5)
    with pytest.raises(ValueError, match="it has no media"):
        check_length([1], 0)


def test_pieces_are_words_or_spelt(tiny_parts):
    _, processor = tiny_parts
    tokenizer = processor.tokenizer
    texts = ["red blue", "red red", "red beep"]
    whole = AnswerPieces(tokenizer, texts)
    for text in texts:
        places = whole.places(text)
        blanks = [place for piece in places for place in (piece, piece, 0)]
        assert whole.text(blanks) == text and 0 not in places
    doubled = whole.places("red red")
    assert outputs_needed(doubled) >= len(doubled) and outputs_needed([3, 3, 4]) == 4
    few = AnswerPieces(tokenizer, texts, most=1)
    spelt = few.places("red beep")
    assert len(spelt) > len(whole.places("red beep"))
    assert few.text([place for piece in spelt for place in (piece, 0)]) == "red beep"
    ids = [7, *tokenizer("red blue", add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    assert answer_text(tokenizer, [-100, *ids[1:], -100]) == "red blue"


def test_answers_stand_in_place_of_media(tiny_parts, said_dir):
    model, processor = tiny_parts
    dataset, config = load_manifest(said_dir / "train.jsonl"), model.config.connector_config
    rows, collator = tell_answers(processor, dataset, AnswersForMedia(errors=0.0, blanks=0.0), config, seed=0)
    pieces = AnswerPieces(processor.tokenizer, [*SPOKEN.values(), *SHOWN])
    for row, answer in zip(rows, (*SPOKEN.values(), *SHOWN), strict=True):
        told = [pieces.tokens[place] for place in pieces.places(answer)]
        padded = told + [pieces.tokens[0]] * (-len(told) % config.num_query_tokens)
        text = "".join(chr(token) for token in row["input_ids"])
        assert "".join(chr(token) for token in padded) in text
        assert processor.video_token_id not in row["input_ids"] and row["length"] == len(row["input_ids"])
        assert answer_text(processor.tokenizer, row["labels"]) == answer
    assert collator(list(rows))["input_ids"].shape == collator(list(rows))["labels"].shape
    faulty, _ = tell_answers(processor, dataset, AnswersForMedia(errors=1.0, blanks=3.0), config, seed=0)
    again, _ = tell_answers(processor, dataset, AnswersForMedia(errors=1.0, blanks=3.0), config, seed=0)
    assert faulty["input_ids"] == again["input_ids"] != rows["input_ids"]
    assert math.isclose(sum(map(len, rows["labels"])), sum(rows["length"]))


def test_an_alignment_fills_in_the_mixture_that_it_learns(recipe, tiny_parts, said_dir, tmp_path):
    config = {"connector_config": CONNECTOR | {"mixture_size": 64}}
    folder = run_recipe(parse_recipe(recipe | {"config": config}))
    model, processor = FavorForConditionalGeneration.from_pretrained(folder), tiny_parts[1]
    pieces = AnswerPieces(processor.tokenizer, [*SPOKEN.values(), *SHOWN])
    words = model.get_input_embeddings().weight[pieces.tokens]
    mixture = model.model.connector.word_mixture
    torch.testing.assert_close(mixture.embeddings[: len(words)], words)
    assert (mixture.offsets > NOWHERE).sum() == len(words)
    nearest = mixture(words + 0.01 * words.std())  # by the scores that the alignment learns
    torch.testing.assert_close(nearest, words, rtol=0.05, atol=0.05)
    with pytest.raises(ValueError, match="mixture_size is 2, but .* embeddings are to be mixed"):
        run_recipe(parse_recipe(recipe | {"config": {"connector_config": CONNECTOR | {"mixture_size": 2}}}))
