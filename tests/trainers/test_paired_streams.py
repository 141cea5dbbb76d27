# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Stills beside sounds in an alignment: what is heard and what is seen are said by queries of their own."""

import json
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from favor.trainers.alignment_losses import stream_losses
from favor.trainers.embedding_alignment import EmbeddedPieces
from favor.trainers.paired_streams import own_streams, pair_streams
from favor.trainers.recipe import parse_recipe
from favor.trainers.recipe_run import run_recipe
from favor.trainers.recipe_sections import ConnectorAlignment
from tests.trainers.test_connector_alignment import CONNECTOR, SHOWN, SPOKEN, aligned, asked, recipe, said_dir

__all__ = ["aligned", "recipe", "said_dir"]  # fixtures

VECTORS = 4  # of sound in a window
WINDOW = CONNECTOR | {"window_frames": 1}


def streams(pictures: list[int], sounds: list[int]) -> dict[str, torch.Tensor]:
    """Items with so many pictures, each of another value, and so many sound vectors."""
    visual = torch.zeros(len(pictures), max([*pictures, 1]), 2, 3)
    for item, count in enumerate(pictures):
        visual[item, :count] = item + 1
    audio = torch.randn(len(sounds), max([*sounds, 1]), 5)
    return {
        "visual": visual,
        "num_visual_frames": torch.tensor(pictures),
        "audio": audio,
        "num_audio_vectors": torch.tensor(sounds),
    }


def windows_of(states: dict[str, torch.Tensor]) -> list[int]:
    return torch.maximum(states["num_visual_frames"], -(-states["num_audio_vectors"] // VECTORS)).tolist()


@given(
    items=st.lists(st.sampled_from([(1, 0), (0, 3), (0, 9), (2, 8), (3, 0)]), min_size=1, max_size=8),
    share=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_sounds_get_stills_of_the_batch_and_nothing_else_changes(items, share, seed):
    states = streams([item[0] for item in items], [item[1] for item in items])
    before = {name: value.clone() for name, value in states.items()}
    windows = windows_of(states)
    paired = pair_streams(states, VECTORS, share, random.Random(seed))
    again = pair_streams(states, VECTORS, share, random.Random(seed))
    assert paired.shown == again.shown and torch.equal(paired.states["visual"], again.states["visual"])
    assert all(torch.equal(states[name], value) for name, value in before.items())
    assert windows_of(paired.states) == windows
    assert torch.equal(paired.states["audio"], before["audio"])
    stills = {item for item, kind in enumerate(items) if kind == (1, 0)}
    for item, (pictures, sound) in enumerate(items):
        shown, count = paired.shown[item], int(paired.states["num_visual_frames"][item])
        seen = paired.states["visual"][item, :count, 0, 0].tolist()
        if pictures:
            assert count == pictures and seen == [item + 1] * pictures
            assert shown == (None if sound else [item])
        elif shown:
            assert stills and share > 0
            assert set(shown) <= stills and len(shown) == count == windows[item]
            assert seen == [still + 1 for still in shown]
        else:
            assert count == 0 and (not stills or share < 1)


def test_an_aligned_connector_says_both_streams_at_once(recipe, said_dir, tmp_path):
    """Trained on sounds alone and stills alone, shown together in the batch, it is asked about clips with both."""
    both = tmp_path / "both.jsonl"
    clips = [(name, sound, shown) for name, sound in SPOKEN.items() for shown in SHOWN]
    lines = [
        {
            "audio": str(said_dir / f"{name}.wav"),
            "image": str(said_dir / f"{shown}.png"),
            "messages": asked("Which sound is heard?", sound),
            "family": shown,
        }
        for name, sound, shown in clips
    ]
    both.write_text("\n".join(map(json.dumps, lines)))
    stage = {"align_connector": {"seen_queries": 3, "pair_streams": 0.7}, "eval_data": str(both)}
    stage["sft"] = {"max_steps": 300, "eval_answers": len(clips), "eval_strategy": "steps", "eval_steps": 300}
    folder = run_recipe(
        parse_recipe(
            recipe | {"config": {"connector_config": WINDOW}, "time_shaped_queries": False, "stages": [stage]}
        )
    )
    answers = [json.loads(line)["answer"] for line in (folder / "samples.jsonl").read_text().splitlines()]
    wanted = [f"{sound} / {shown}" for _, sound, shown in clips]
    right = sum(answer == want for answer, want in zip(answers, wanted, strict=True))
    assert right >= len(clips) - 1, list(zip(answers, wanted, strict=True))


def test_padding_and_other_samples_change_no_sample(aligned):
    trainer, rows = aligned
    config = trainer.model.config.connector_config
    config.window_frames = trainer.model.model.connector.config.window_frames = 1
    trainer.alignment = ConnectorAlignment(letters_weight=0.5, seen_queries=3, pair_streams=0.5)
    trainer.model.eval()  # nothing is paired then
    with torch.no_grad():
        together = trainer.compute_loss(trainer.model, trainer.data_collator(list(rows)))
        alone = [trainer.compute_loss(trainer.model, trainer.data_collator([row])) for row in rows]
    assert together.item() == pytest.approx(torch.stack(alone).mean().item(), rel=1e-3)


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("kind", ["image", "audio"])
def test_an_answer_too_long_for_its_queries_is_refused(cached, kind, recipe, said_dir, tmp_path):
    """It would fit a window's queries all together, but not those of its stream."""
    lines = [json.loads(line) for line in (said_dir / "train.jsonl").read_text().splitlines()]
    (line,) = [line for line in lines if kind in line][:1]
    line |= {kind: str(said_dir / line[kind])}
    line["messages"][1]["content"] = "red green blue " * (2 if kind == "image" else 3)
    file = tmp_path / "long.jsonl"
    file.write_text(json.dumps(line))
    given = recipe | {"config": {"connector_config": WINDOW}, "time_shaped_queries": False, "train_data": str(file)}
    given |= {"cache_encoder_states": cached, "stages": [{"align_connector": {"seen_queries": 3}}]}
    with pytest.raises(
        ValueError, match="its answer takes . outputs of the connector, but its media have .: leave it"
    ):
        run_recipe(parse_recipe(given if cached else {k: v for k, v in given.items() if k != "cache_encoder_states"}))


def test_a_silent_video_says_its_answer_once_and_in_order():
    torch.manual_seed(0)
    pieces = EmbeddedPieces(torch.randn(6, 10))
    windows = pieces.embeddings[torch.zeros(1, 3, 4, dtype=torch.long)].clone()  # (B, W, N, L), all blank
    windows[0, [0, 1, 2], 3] = pieces.embeddings[[2, 0, 5]]  # its last query says 2, nothing, 5
    counts = torch.tensor([3])
    right = stream_losses(windows, counts, [[2, 5]], [[0]], 1, pieces)
    assert max(right.heard, right.seen, right.off) < 0.1
    assert stream_losses(windows, counts, [[5, 2]], [[0]], 1, pieces).seen > 1
    three = windows.expand(3, -1, -1, -1)
    each = stream_losses(three, counts.expand(3), [[1], [2], [5]], [[1, 1, 2], None, []], 1, pieces)
    assert each.seen[0] > 1 and not each.seen[1]  # its second window says nothing; of the second item nothing is known
    assert each.seen[2] > 1  # it has no pictures, and says 2 and 5


def test_what_an_item_shows_by_itself():
    states = streams([1, 0, 2, 3], [0, 5, 8, 0])
    assert own_streams(states).shown == [[0], [], None, [3]]
    sound_alone = {name: value for name, value in streams([0, 0], [4, 5]).items() if "audio" in name}
    assert own_streams(sound_alone).shown == [[], []]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seen_queries": -1}, "`seen_queries` must be 0 or more"),
        ({"seen_queries": 2, "pair_streams": 1.5}, "`pair_streams` is a share from 0 to 1"),
        ({"state_dropout": 1.0}, "`state_dropout` is a share from 0 to below 1"),
        ({"pair_streams": 0.5}, "without `seen_queries` no query says what is seen"),
    ],
)
def test_options_that_contradict_each_other(options, message, recipe):
    with pytest.raises(ValueError, match=message):
        parse_recipe(recipe | {"stages": [{"align_connector": options}]})


@pytest.mark.parametrize(
    ("connector", "queries", "message"),
    [
        (WINDOW, 8, "seen_queries is 8, but a window has 8 queries"),
        (CONNECTOR, 3, "seen_queries needs windows of one frame.* now 2, True"),
        (WINDOW | {"modalities": "audio"}, 3, "set .* modalities to audio_visual, now 1, True and audio"),
    ],
)
def test_connectors_that_cannot_say_both_streams(connector, queries, message, recipe):
    stage = {"align_connector": {"seen_queries": queries}}
    given = recipe | {"config": {"connector_config": connector}, "time_shaped_queries": False, "stages": [stage]}
    with pytest.raises(ValueError, match=message):
        run_recipe(parse_recipe(given))
