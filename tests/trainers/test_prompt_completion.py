# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""TRL's rows of `prompt` and `completion` give bit by bit the batches of `messages`; the completion is learnt."""

import json

import pytest
from datasets import Dataset, IterableDataset
from PIL import Image

from favor import FavorDataCollator
from favor.trainers import load_manifest, load_training_data
from favor.trainers.bad_samples import BadSampleError
from favor.trainers.data_survey import see
from favor.trainers.encoder_cache import encode_dataset
from favor.trainers.media_features import undecoded
from favor.trainers.sample_tokens import IGNORED_LABEL
from tests.trainers.test_row_forms import ANSWER, QUESTION, ask, manifest, same, two_steps

ASKED = {"role": "user", "content": QUESTION}
SYSTEM = {"role": "system", "content": "Answer shortly."}
EARLIER = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hello to you."}]


def block_row(video):
    return [{"role": "user", "content": [{"type": "video", "path": video}, {"type": "text", "text": QUESTION}]}]


def forms(video: str) -> list[tuple[dict, dict]]:
    """Rows, each with the same as `messages`."""
    plain, blocks, short = ask(video=video), block_row(video), [SYSTEM, ASKED]
    spaced, small = ({**ANSWER, "content": text} for text in (" The bell. ", " the bell"))
    as_block = {**ANSWER, "content": [{"type": "text", "text": "The bell."}]}
    return [
        ({"prompt": QUESTION, "completion": "The bell.", "video": video}, plain),
        ({"prompt": [ASKED], "completion": [ANSWER], "video": video}, plain),
        ({"prompt": QUESTION, "completion": [ANSWER], "videos": [video]}, plain),
        ({"prompt": [ASKED], "completion": "The bell.", "video": video, "messages": None}, plain),
        ({"prompt": blocks, "completion": [as_block]}, plain),
        ({"prompt": blocks, "completion": " The bell. "}, {"messages": [*blocks, spaced]}),
        ({"prompt": short, "completion": [ANSWER], "video": video}, {"messages": [*short, ANSWER], "video": video}),
        ({"prompt": QUESTION, "completion": " the bell"}, {"messages": [ASKED, small]}),
    ]


def test_batches_are_those_of_messages(tiny_parts, media_dir, tmp_path):
    collate = FavorDataCollator(tiny_parts[1])
    for row, wanted in forms(str(media_dir / "clip.mp4")):
        same(collate([row]), collate([wanted]), row)
    for row, wanted in forms("media/clip.mp4"):
        same(
            collate(list(manifest(tmp_path, media_dir, row))),
            collate(list(manifest(tmp_path, media_dir, wanted))),
            row,
        )
    (tmp_path / "train.jsonl").write_text(json.dumps(forms("media/clip.mp4")[0][0]) + "\n")
    (mixed,) = load_training_data([{"path": str(tmp_path / "train.jsonl")}])
    same(collate([mixed]), collate([ask(video=str(media_dir / "clip.mp4"))]), mixed)
    rows = Dataset.from_list([{"asked": QUESTION, "completion": "The bell.", "video": str(media_dir / "clip.mp4")}])
    (tmp_path / "data").mkdir()
    rows.to_parquet(tmp_path / "data" / "train.parquet")
    source = {"dataset": str(tmp_path / "data"), "columns": {"prompt": "asked"}}
    (mapped,) = load_training_data([source], repeat_streams=False)
    same(collate([mapped]), collate([ask(video=str(media_dir / "clip.mp4"))]), mapped)


def test_open_blocks_and_columns_of_pictures(tiny_parts, media_dir):
    """As TRL's examples for models that see have them: blocks that the `images` column fills, of one row and typed."""
    collate, photo = FavorDataCollator(tiny_parts[1]), str(media_dir / "photo.png")
    content = [{"type": "image", "text": None}, {"type": "text", "text": QUESTION}, {"type": "image", "text": None}]
    asked, said = {"role": "user", "content": content}, {**ANSWER, "content": [{"type": "text", "text": "The bell."}]}
    row = {"prompt": [asked], "completion": [said], "images": [Image.open(photo)] * 2}
    wanted = collate([{"messages": [asked, said], "images": [photo] * 2}])
    assert len(wanted["pixel_values_videos"]) == 2
    same(collate([row]), wanted, "row")
    same(collate(list(undecoded(Dataset.from_list([row])))), wanted, "dataset")


def test_a_prompt_beside_messages_is_another_trainers(tiny_parts, media_dir, tmp_path):
    """Passed over as any column of a dataset; in a manifest, where nothing is, refused."""
    collate, plain = FavorDataCollator(tiny_parts[1]), ask(video=str(media_dir / "clip.mp4"))
    same(collate([{**plain, "prompt": "<video> What?"}]), collate([plain]), "prompt")
    with pytest.raises(ValueError, match="line 1: unknown key 'prompt'; a line may hold messages, video"):
        manifest(tmp_path, media_dir, {**plain, "prompt": "What?"})


def test_answers_in_the_prompt_are_not_learnt(tiny_parts, media_dir):
    processor = tiny_parts[1]
    collate, video = FavorDataCollator(processor), str(media_dir / "clip.mp4")
    row = {"prompt": [*EARLIER, ASKED], "completion": [ANSWER], "video": video}
    batch, whole = collate([row]), collate([{"messages": [*EARLIER, ASKED, ANSWER], "video": video}])
    assert batch["input_ids"].equal(whole["input_ids"])
    learnt = batch["labels"] != IGNORED_LABEL
    said = processor.tokenizer.decode(batch["labels"][learnt], skip_special_tokens=True).strip()
    assert said == "The bell." and learnt.sum() < (whole["labels"] != IGNORED_LABEL).sum()
    alone = collate([ask(video=video)])["labels"]
    assert batch["labels"][learnt].tolist() == alone[alone != IGNORED_LABEL].tolist()
    assert "".join(text for text, is_learnt in see(processor, row).texts if is_learnt).count("bell") == 1


@pytest.mark.parametrize("streamed", [False, True])
def test_rows_train_and_are_cached(model_and_processor, media_dir, tmp_path, streamed):
    model, processor = model_and_processor
    video = str(media_dir / "clip.mp4")
    given = [{"prompt": [*EARLIER, ASKED], "completion": [ANSWER], "video": video}] * 4
    rows = IterableDataset.from_generator(lambda: iter(given)) if streamed else Dataset.from_list(given)
    if not streamed:
        kept, _ = encode_dataset(model, processor, given[:1], workers=0, progress=False)
        assert kept[0]["labels"] == FavorDataCollator(processor)(given[:1])["labels"][0].tolist()
    two_steps(model, processor, rows, tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"completion": " "}, "`completion` says nothing"),
        ({"completion": [ASKED]}, "`completion` holds a turn of user"),
        ({"completion": block_row("clip.mp4")}, "`completion` holds media; they belong into `prompt`"),
        ({"prompt": [ASKED, ANSWER]}, "`prompt` ends with a turn of the assistant"),
        ({"prompt": " "}, "a row needs `prompt`"),
        ({"prompt": "<video> What?"}, "the text holds <video>"),
        ({"messages": [ASKED, ANSWER]}, "both `messages` and `completion`"),
    ],
)
def test_rows_that_cannot_be_read(tiny_parts, media_dir, change, message):
    row = {"prompt": QUESTION, "completion": "The bell.", "video": str(media_dir / "clip.mp4")}
    with pytest.raises(BadSampleError, match=message):
        FavorDataCollator(tiny_parts[1])([row | change])


def test_a_file_refuses_answers_that_would_be_learnt(tmp_path):
    row = {"prompt": [*EARLIER, ASKED], "completion": [ANSWER]}
    (tmp_path / "train.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(ValueError, match=r"line 1: `prompt` holds an answer.*Give `messages`"):
        load_manifest(tmp_path / "train.jsonl")
