# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Audit: clips whose pictures are the same, so that the sound alone tells the answer; training must hear it."""

import json
from pathlib import Path

import numpy as np
import pytest

from favor.trainers import FavorSFTConfig, FavorSFTTrainer, load_manifest
from favor.trainers.bad_samples import BadSampleError
from favor.trainers.from_scratch.scratch_model import build_from_scratch
from favor.trainers.recipe_sections import ScratchModel
from tests.conftest import SAMPLING_RATE, frames, tiny_settings

QUESTION = "Which sound is heard?"
CLIPS = 8
SECONDS = 2.0


def sound(kind: str, start: float) -> np.ndarray:
    """A beep is one steady tone, a bell three that die away."""
    time = np.arange(round(SECONDS * SAMPLING_RATE)) / SAMPLING_RATE - start
    pitches, decay = ((900.0,), 0.0) if kind == "beep" else ((420.0, 1150.0, 2310.0), 4.0)
    tones = sum(np.sin(2 * np.pi * pitch * time) for pitch in pitches) / len(pitches)
    heard = (time > 0) & (time < 1.0)
    return (0.4 * tones * np.exp(-decay * np.clip(time, 0, None)) * heard).astype(np.float32)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """`train.jsonl` of eight clips with one picture, half of them with a beep, half with a bell; `muted.jsonl`."""
    from favor.worlds.video_file import write_video

    folder = tmp_path_factory.mktemp("audit")
    picture = np.repeat(frames(0.2)[:1], round(SECONDS * 8), axis=0)
    lines = []
    for number in range(CLIPS):
        kind = ("beep", "bell")[number % 2]
        write_video(folder / f"{number}.mp4", picture, 8, sound(kind, 0.1 + 0.1 * (number // 2)), SAMPLING_RATE)
        turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": kind}]
        lines.append({"messages": turns, "video": f"{number}.mp4"})
    for name, extra in (("train", {}), ("muted", {"audio": None})):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line | extra) + "\n" for line in lines))
    return folder


def train(dataset, output_dir: Path, eval_datasets: dict | None = None, **options) -> FavorSFTTrainer:
    model, processor = build_from_scratch(ScratchModel(**tiny_settings()), [QUESTION, "beep", "bell"], seed=0)
    values = {
        "max_steps": 40,
        "per_device_train_batch_size": CLIPS,
        "learning_rate": 3e-3,
        "lr_scheduler_type": "linear",
        "logging_steps": 10,
        "save_strategy": "no",
        "report_to": "none",
        "activation_checkpointing": False,
        "eval_answers": CLIPS,
        "eval_max_new_tokens": 4,
        **options,
    }
    trainer = FavorSFTTrainer(
        model=model,
        args=FavorSFTConfig(output_dir=str(output_dir), **values),
        processing_class=processor,
        train_dataset=dataset,
        eval_dataset=eval_datasets,
    )
    trainer.train()
    return trainer


def test_training_hears_what_sound_alone_tells(clips, tmp_path):
    heard, muted = load_manifest(clips / "train.jsonl"), load_manifest(clips / "muted.jsonl")
    trainer = train(heard, tmp_path)
    assert trainer.evaluate(heard)["eval_exact_match"] == 1.0
    assert trainer.evaluate(muted)["eval_exact_match"] == 0.5  # one answer for all
    samples = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert [sample["correct"] for sample in samples[:CLIPS]] == [True] * CLIPS
    assert len({sample["answer"] for sample in samples[CLIPS:]}) == 1


def test_training_without_the_sound_stays_at_chance(clips, tmp_path):
    muted = load_manifest(clips / "muted.jsonl")
    trainer = train(muted, tmp_path)
    assert trainer.evaluate(muted)["eval_exact_match"] <= 0.5
    assert (
        trainer.evaluate(muted)["eval_cross_entropy"] > 0.2
    )  # ln 2 for the one token that tells, of the answer's few


@pytest.mark.parametrize("column", ["audio_path", "sound", "video_file"])
def test_a_misnamed_column_is_an_error_not_text_only_training(column, clips, tmp_path):
    rows = load_manifest(clips / "train.jsonl").rename_column("video", column)
    with pytest.raises(BadSampleError, match=f"column '{column}' looks like media"):
        train(rows, tmp_path)


def test_data_without_media_must_be_meant(clips, tmp_path):
    text = load_manifest(clips / "train.jsonl").remove_columns("video")
    with pytest.raises(ValueError, match="None of the samples has media.*allow_text_only=True"):
        train(text, tmp_path)
    empty = load_manifest(clips / "train.jsonl").map(lambda row: {"video": None})
    with pytest.raises(ValueError, match="None of the samples has media"):
        train(empty, tmp_path)
    assert train(text, tmp_path, allow_text_only=True, max_steps=1).state.global_step == 1


def test_a_collator_that_loses_the_media_is_found_at_the_first_step(clips, tmp_path):
    from favor.trainers import FavorDataCollator

    heard = load_manifest(clips / "train.jsonl")
    model, processor = build_from_scratch(ScratchModel(**tiny_settings()), [QUESTION, "beep", "bell"], seed=0)
    whole = FavorDataCollator(processor)
    trainer = FavorSFTTrainer(
        model=model,
        args=FavorSFTConfig(output_dir=str(tmp_path), max_steps=1, report_to="none", save_strategy="no"),
        processing_class=processor,
        data_collator=lambda rows: whole([{"messages": row["messages"]} for row in rows]),
        train_dataset=heard,
    )
    with pytest.raises(ValueError, match="hold no placeholder"):
        trainer.train()
