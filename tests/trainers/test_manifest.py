# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Manifests: paths, the own sound, released files, and errors that name file and sample."""

import json

import pytest

from favor.trainers import load_manifest
from favor.trainers.manifest import keep_shares

TURNS = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A dog."}]

GONE = {"type": "video", "path": "gone.mp4"}


def write(folder, *samples, name="train.jsonl"):
    for media in ("a.mp4", "b.wav", "c.jpg"):
        (folder / media).write_bytes(b"")
    path = folder / name
    path.write_text("\n".join(json.dumps(sample) for sample in samples) + "\n")
    return path


def test_media_paths_are_relative_to_the_file(tmp_path):
    path = write(tmp_path, {"messages": TURNS, "video": "a.mp4", "audio": "b.wav"}, {"messages": TURNS})
    first, second = load_manifest(path)
    assert first["video"] == str(tmp_path.resolve() / "a.mp4")
    assert first["audio"] == str(tmp_path.resolve() / "b.wav")
    assert first["messages"] == TURNS
    assert second["video"] is second["image"] is second["audio"] is None


def test_no_audio_key_means_the_own_sound_and_null_means_none(tmp_path):
    own, muted = load_manifest(
        write(tmp_path, {"messages": TURNS, "video": "a.mp4"}, {"messages": TURNS, "video": "a.mp4", "audio": None})
    )
    assert own["use_own_audio"]
    assert not muted["use_own_audio"]


def test_released_files_load(tmp_path):
    write(tmp_path)
    path = tmp_path / "released.json"
    turns = [{"from": "human", "value": "What is it?"}, {"from": "gpt", "value": "A dog."}]
    path.write_text(json.dumps([{"image_name": ["c.jpg", "b.wav"], "conversation": turns}]))
    (sample,) = load_manifest(path)
    assert sample["messages"] == TURNS
    assert sample["image"].endswith("c.jpg")
    assert sample["audio"].endswith("b.wav")
    assert sample["video"] is None


def test_text_blocks_are_joined_and_descriptions_kept(tmp_path):
    blocks = [{"type": "text", "text": "What is"}, {"type": "text", "text": "it?"}]
    sample = {"messages": [{"role": "user", "content": blocks}, TURNS[1]], "id": 7, "family": "what"}
    plain, described = load_manifest(write(tmp_path, {"messages": TURNS}, sample))
    assert described["messages"] == TURNS
    assert (described["id"], described["family"], plain["id"]) == ("7", "what", None)
    assert described["origin"].endswith("train.jsonl, line 2")


def test_placeholders_of_released_files_leave_the_text(tmp_path):
    write(tmp_path)
    path = tmp_path / "released.json"
    turns = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A dog."}]
    path.write_text(json.dumps([{"image": "c.jpg", "conversations": turns, "id": "1"}]))
    (sample,) = load_manifest(path)
    assert sample["messages"] == TURNS
    assert sample["image"].endswith("c.jpg")


def test_files_can_be_looked_for_later(tmp_path):
    path = write(tmp_path, {"messages": TURNS, "video": "missing.mp4"})
    assert load_manifest(path, check_files=False)[0]["video"] == str(tmp_path.resolve() / "missing.mp4")


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ({"messages": TURNS, "video": "missing.mp4"}, r"line 3: video file missing\.mp4"),
        ({"messages": TURNS, "video": 7}, "line 3: video must be the path of a file"),
        ({"messages": TURNS, "audios": "b.wav"}, "line 3: unknown key 'audios'; a line may hold messages, video"),
        ({"messages": TURNS, "note": 1}, "line 3: unknown key 'note'"),
        ({"messages": []}, "line 3: `messages`"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "line 3: the content of `messages`"),
        (
            {"messages": [{"role": "user", "content": [GONE]}, TURNS[1]]},
            r"line 3: video file gone\.mp4 does not exist",
        ),
        ({"messages": [{"role": "human", "content": "?"}]}, "line 3: a turn of `messages` has role 'human'"),
        ({"messages": TURNS[:1]}, "line 3: no assistant turn"),
        ({"messages": TURNS[1:]}, "line 3: no user turn"),
        ({"messages": [TURNS[0], {"role": "assistant", "content": " "}]}, "line 3: no assistant turn with text"),
        ({"messages": [{"role": "user", "content": "<video> What?"}, TURNS[1]]}, "line 3: the text holds <video>"),
        ([1], "line 3: a sample is a JSON object"),
    ],
)
def test_a_broken_sample_is_named(tmp_path, sample, said):
    with pytest.raises(ValueError, match=said):
        path = write(tmp_path, {"messages": TURNS}, sample)
        path.write_text(path.read_text().replace("\n", "\n\n", 1))  # an empty line counts, as in an editor
        load_manifest(path)


def test_broken_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such manifest"):
        load_manifest(tmp_path / "none.jsonl")
    (tmp_path / "bad.jsonl").write_text("{not json\n")
    with pytest.raises(ValueError, match=r"bad\.jsonl, line 1: not valid JSON"):
        load_manifest(tmp_path / "bad.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(ValueError, match="holds no sample"):
        load_manifest(tmp_path / "empty.jsonl")


def test_shares_thin_out_families_reproducibly(tmp_path):
    samples = [{"messages": TURNS, "family": family} for family in ("long", "short") for _ in range(200)]
    dataset = load_manifest(write(tmp_path, *samples))
    kept = keep_shares(dataset, {"long": 0.25}, seed=1)
    assert kept["family"].count("short") == 200
    assert 30 < kept["family"].count("long") < 70
    assert kept.to_list() == keep_shares(dataset, {"long": 0.25}, seed=1).to_list()
    assert keep_shares(dataset, {"long": 0.0}, seed=1)["family"].count("long") == 0
    assert len(keep_shares(dataset, {}, seed=1)) == 400
    with pytest.raises(ValueError, match="no family lnog; it has"):
        keep_shares(dataset, {"lnog": 0.5}, seed=1)
    often = keep_shares(dataset, {"long": 2.5}, seed=1)["family"].count("long")
    assert 450 < often < 550  # each twice or three times
    for share in (-0.1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="must be 0 or more"):
            keep_shares(dataset, {"long": share}, seed=1)
