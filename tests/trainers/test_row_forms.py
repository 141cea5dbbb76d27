# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Rows as the Hub and other trainers have them train, and give bit by bit the batches of a manifest of the same."""

import json
import shutil
import wave
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Audio, Dataset, Features, IterableDataset, List, Value, Video, load_dataset
from datasets import Image as ImageColumn
from PIL import Image

from favor import FavorDataCollator, FavorSFTConfig, FavorSFTTrainer
from favor.trainers import (
    FavorPreferenceCollator,
    add_length_column,
    encode_prompts,
    load_manifest,
    load_training_data,
)
from favor.trainers.bad_samples import BadSampleError
from favor.trainers.encoder_cache import encode_dataset
from favor.trainers.favor_data_collator import TEXT_INPUTS
from favor.trainers.media_features import undecoded
from favor.trainers.preference_manifest import load_rows
from tests.trainers.preference_steps import QUIET

QUESTION = "Which sound is heard first?"
ANSWER = {"role": "assistant", "content": "The bell."}
FILES = {"video": "clip.mp4", "image": "photo.png", "audio": "sound.wav"}


def ask(*blocks, question=QUESTION, **columns):
    """A row: media blocks before the question, or columns alone."""
    content = [*blocks, {"type": "text", "text": question}] if blocks else question
    return {"messages": [{"role": "user", "content": content}, ANSWER], **columns}


def manifest(folder: Path, media: Path, *samples) -> Dataset:
    """Reads a manifest that stands in a folder beside a link to the media."""
    if not (folder / "media").exists():
        (folder / "media").symlink_to(media)
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    return load_manifest(path)


def samples_of(file: Path) -> np.ndarray:
    with wave.open(str(file)) as sound:
        return np.frombuffer(sound.readframes(sound.getnframes()), np.int16).astype(np.float32) / 2**15


@dataclass
class AudioDecoder:
    """What is used of torchcodec's."""

    samples: np.ndarray

    def get_all_samples(self):
        return SimpleNamespace(data=torch.from_numpy(self.samples)[None], sample_rate=16000)


@dataclass
class VideoDecoder:
    """What is used of torchcodec's, as `datasets` gives it."""

    _hf_encoded: dict[str, Any]

    def get_frames_in_range(self, *_):
        raise AssertionError("The file is known, and has a sound.")


def forms_of(kind: str, file: Path) -> list[dict]:
    """Rows of one medium in every form."""
    data, path = file.read_bytes(), str(file)
    whole = {"path": "gone", "bytes": data}
    forms = [
        ask(**{kind: data}),
        ask(**{kind: whole}),
        ask(**{kind: {"path": path, "bytes": None}}),
        ask(**{f"{kind}s": [path]}),
        ask(**{f"{kind}s": [whole]}),
        ask({"type": kind, "path": path}),
        ask({"type": kind, "path": None, "bytes": data, "text": None}),
        ask({"type": kind, kind: path}),
        ask({"type": kind, kind: whole}),
        ask({"type": kind, "url": f"file://{path}"}),
        ask({"type": kind}, **{kind: path}),
        ask({"type": kind}, **{f"{kind}s": [whole]}),
        {
            **ask(**{kind: path}),
            "messages": [{"role": "user", "content": [QUESTION]}, {**ANSWER, "content": ["The bell."]}],
        },
    ]
    if kind == "image":
        picture = Image.open(file)
        forms += [ask(image=picture), ask({"type": "image", "image": picture}), ask(images=[np.asarray(picture)])]
        forms += [ask({"type": "image_url", "image_url": {"url": path}}), ask(image=np.asarray(picture).tolist())]
    if kind == "audio":
        heard = samples_of(file)
        decoded = {"path": None, "array": heard, "sampling_rate": 16000}
        forms += [ask(audio=decoded), ask(audios=[decoded]), ask(audio=(heard, 16000)), ask(audio=AudioDecoder(heard))]
        forms += [ask({"type": "audio", **decoded}), ask({"type": "audio", "audio": decoded})]
        forms += [ask(audio={"array": heard.tolist(), "sampling_rate": 16000})]
    if kind == "video":
        forms += [
            ask(video=VideoDecoder({"path": path, "bytes": None})),
            ask({"type": "video", "path": path}, {"type": "audio"}),
        ]
    return forms


def same(batch, other, where):
    assert set(batch) == set(other), where
    for name in other:
        assert batch[name].dtype == other[name].dtype and torch.equal(batch[name], other[name]), (name, where)


def two_steps(model, processor, rows, folder, collator=None, **options):
    arguments = FavorSFTConfig(
        output_dir=str(folder), **QUIET | {"max_steps": 2, "per_device_train_batch_size": 2} | options
    )
    trainer = FavorSFTTrainer(
        model=model, args=arguments, processing_class=processor, train_dataset=rows, data_collator=collator
    )
    trainer.train()
    assert trainer.state.global_step == 2 and "diversity_loss" in trainer.state.log_history[0]


@pytest.mark.parametrize("kind", FILES)
def test_every_form_of_a_medium(model_and_processor, media_dir, tmp_path, kind):
    """In the collator, in the trainer, and in the cache of encoder states."""
    model, processor = model_and_processor
    expected = manifest(tmp_path, media_dir, ask(**{kind: f"media/{FILES[kind]}"}))
    assert expected[0]["messages"][0]["content"] == QUESTION
    collate = FavorDataCollator(processor)
    wanted = collate(list(expected))
    forms = forms_of(kind, media_dir / FILES[kind])
    for form in forms:
        same(collate([form]), wanted, form)
    kept, read = encode_dataset(model, processor, forms, workers=0, progress=False, dtype="float32")
    states = [row["visual_states"] + row["audio_states"] for row in kept]
    assert all(row["input_ids"] == wanted["input_ids"][0].tolist() for row in kept)
    for row in kept:
        same(read([row])["encoder_states"], read([kept[0]])["encoder_states"], states)
    stream = IterableDataset.from_generator(lambda: iter(forms))
    two_steps(model, processor, stream, tmp_path / "run", per_device_train_batch_size=10)


def several(root: str) -> list[dict]:
    """Rows of several media, with files below `root`."""
    frames = [f"{root}/frame{number}.png" for number in range(4)]
    video, image, audio = (f"{root}/{name}" for name in FILES.values())
    later = [
        {"role": "system", "content": "Answer shortly."},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]},
        *ask({"type": "video", "path": video}, {"type": "image", "path": image})["messages"],
        *ask({"type": "audio", "path": audio}, question="And this?")["messages"],
    ]
    return [
        ask({"type": "video", "path": video}, {"type": "video", "path": f"{root}/silent.mp4"}),
        ask(videos=[video, f"{root}/silent.mp4"]),
        ask({"type": "video", "video": frames}),
        ask(video=frames),
        ask(videos=[frames]),
        ask(video={"video": frames, "fps": 2.0}),
        ask({"type": "video", "video": frames, "fps": 2.0}),
        {"messages": later},
        ask(images=[image, image], audio=audio),
        ask(video=video, audio=audio),
        ask(),
    ]


@pytest.fixture(scope="module")
def frames_dir(media_dir, tmp_path_factory):
    """The media, and four pictures of a video."""
    folder = tmp_path_factory.mktemp("frames")
    shutil.copytree(media_dir, folder, dirs_exist_ok=True)
    for number in range(4):
        Image.new("RGB", (32, 32), (60 * number, 0, 90)).save(folder / f"frame{number}.png")
    return folder


def test_several_media_and_lists_of_pictures(model_and_processor, frames_dir, tmp_path):
    model, processor = model_and_processor
    read = manifest(tmp_path, frames_dir, *several("media"))
    direct = several(str(frames_dir))
    collate = FavorDataCollator(processor)
    for row, given in zip(read, direct, strict=True):
        same(collate([row]), collate([given]), given)
    pairs = [collate([direct[place]]) for place in (0, 2, 3)]
    assert [len(batch["pixel_values_videos"]) for batch in pairs] == [2, 1, 1]
    assert len(collate([direct[7]])["pixel_values_videos"]) == 3
    for first, second in ((0, 1), (2, 3), (3, 4), (5, 6)):
        same(collate([direct[first]]), collate([direct[second]]), direct[second])
    mixture = load_training_data([{"path": str(tmp_path / "train.jsonl")}])
    same(collate(sorted(mixture, key=lambda row: row["origin"])[:1]), pairs[0], "mixture")
    lengths = add_length_column(read, processor, progress=False)["length"]
    assert lengths == [int(collate([row])["attention_mask"].sum()) for row in read]
    two_steps(model, processor, read, tmp_path / "run")


def test_the_cache_holds_several_items(model_and_processor, frames_dir, tmp_path):
    model, processor = model_and_processor
    rows = manifest(tmp_path, frames_dir, *several("media"))
    kept, read = encode_dataset(
        model, processor, rows, workers=0, progress=False, dtype="float32", cache_dir=tmp_path / "states"
    )
    collate = FavorDataCollator(processor)
    for row, sample in zip(kept, rows, strict=True):
        batch, cached = collate([sample]), read([row])
        assert all(torch.equal(cached[name], batch[name]) for name in TEXT_INPUTS)
        with torch.no_grad():
            found, wanted = model(**cached).logits, model(**batch).logits
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    two_steps(model, processor, kept, tmp_path / "run", collator=read)


BUILDERS = {"imagefolder": "image", "audiofolder": "audio", "videofolder": "video"}


def media_folder(folder: Path, file: Path) -> Path:
    """A folder as `datasets` reads it by its builders: three copies of a file, and `metadata.jsonl`."""
    (folder / "train").mkdir(parents=True)
    lines = []
    for number in range(3):
        name = f"{number}{file.suffix}"
        shutil.copy(file, folder / "train" / name)
        lines.append(json.dumps({"file_name": name, "question": QUESTION, "answer": "The bell."}))
    (folder / "train" / "metadata.jsonl").write_text("\n".join(lines))
    return folder


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("builder", BUILDERS)
def test_folders_of_media(model_and_processor, media_dir, tmp_path, builder, streaming):
    """As a source of a recipe, and from `load_dataset` straight to the trainer."""
    model, processor = model_and_processor
    kind = BUILDERS[builder]
    folder = media_folder(tmp_path / builder, media_dir / FILES[kind])
    collate = FavorDataCollator(processor)
    wanted = collate(list(manifest(tmp_path, media_dir, ask(**{kind: f"media/{FILES[kind]}"}))))
    found = list(load_training_data([{"dataset": str(folder), "streaming": streaming}], repeat_streams=False))
    assert len(found) == 3
    for row in found:
        same(collate([row]), wanted, row)
    if builder == "audiofolder" or streaming:  # `load_dataset` itself wants torchcodec for the first
        return
    rows = undecoded(load_dataset(builder, data_dir=str(folder), split="train"))
    rows = rows.map(lambda row: ask(question=row["question"])).remove_columns(["question", "answer"])
    two_steps(model, processor, rows, tmp_path / "run")


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_folder_of_several_kinds(tiny_parts, media_dir, tmp_path, suffix):
    """Metadata of all splits, in every format; each column of files is what its name says."""
    folder = tmp_path / "clips"
    lines = []
    for split in ("train", "test"):
        shutil.copytree(media_dir, folder / split)
        files = {"video_file_name": f"{split}/clip.mp4", "audio_file_name": f"{split}/sound.wav"}
        lines.append({**files, "question": f"In {split}?", "answer": "The bell."})
    metadata = folder / f"metadata.{suffix}"
    if suffix == "jsonl":
        metadata.write_text("".join(json.dumps(line) + "\n" for line in lines))
    else:
        getattr(Dataset.from_list(lines), f"to_{suffix}")(str(metadata))
    collate = FavorDataCollator(tiny_parts[1])
    sample = ask(video="media/clip.mp4", audio="media/sound.wav", question="In test?")
    wanted = collate(list(manifest(tmp_path, media_dir, sample)))
    (row,) = load_training_data([{"dataset": str(folder), "split": "test"}])
    same(collate([row]), wanted, row)


def test_folders_that_cannot_be_read(tmp_path):
    (tmp_path / "metadata.jsonl").write_text(
        '{"file_name": "gone.png", "question": "?", "answer": "."}\n{"note": 1}\n'
    )
    with pytest.raises(ValueError, match=r"metadata\.jsonl, line 1: image file gone\.png does not exist"):
        load_training_data([{"dataset": str(tmp_path)}])
    (tmp_path / "gone.png").touch()
    with pytest.raises(ValueError, match=r"line 2: no file_name"):
        load_training_data([{"dataset": str(tmp_path)}])


def hub_rows(media: Path) -> Dataset:
    """Columns with the features of the Hub, undecoded in the file but decoded when they are read; lists, too."""
    names = {"video": "clip.mp4", "images": "photo.png", "audio": "sound.wav"}
    held = {name: {"path": file, "bytes": (media / file).read_bytes()} for name, file in names.items()}
    columns = {
        "messages": [ask()["messages"]] * 4,
        "video": [held["video"], None] * 2,
        "audio": [None, held["audio"]] * 2,
    }
    rows = Dataset.from_dict({**columns, "images": [[], [held["images"]] * 2] * 2})
    for name, feature in {"video": Video(), "audio": Audio(decode=False), "images": List(ImageColumn())}.items():
        rows = rows.cast_column(name, feature)
    rows.info.features["audio"] = Audio()  # as a file of the Hub says; `cast_column` would want torchcodec
    return rows


@pytest.mark.parametrize("streaming", [False, True])
def test_columns_of_the_hub(model_and_processor, media_dir, tmp_path, streaming):
    """Their features decode with torchcodec; the trainer reads them without, and the video with its sound."""
    model, processor = model_and_processor
    rows = hub_rows(media_dir)
    assert isinstance(rows.features["audio"], Audio) and rows.features["audio"].decode
    if streaming:
        rows = rows.to_iterable_dataset()
    collate = FavorDataCollator(processor)
    samples = [ask(video="media/clip.mp4"), ask(audio="media/sound.wav", images=["media/photo.png"] * 2)]
    wanted = collate(list(manifest(tmp_path, media_dir, *samples)))
    same(collate(list(undecoded(rows))[:2]), wanted, rows.features)
    two_steps(model, processor, rows, tmp_path / "run")


@pytest.mark.parametrize("streaming", [False, True])
def test_parquet_with_blocks(model_and_processor, frames_dir, tmp_path, streaming):
    """Every block has the keys of all: what is None in it counts for nothing."""
    model, processor = model_and_processor
    clip, sound = (frames_dir / name for name in ("clip.mp4", "sound.wav"))
    blocks = [
        [{"type": "video", "bytes": clip.read_bytes()}, {"type": "audio", "bytes": sound.read_bytes()}],
        [{"type": "video", "video": [str(frames_dir / f"frame{number}.png") for number in range(4)]}],
        [
            {"type": "image", "path": str(frames_dir / "photo.png")},
            {"type": "image", "path": str(frames_dir / "photo.png")},
        ],
    ]
    rows = [ask(*given) for given in blocks]
    for row in rows:
        row["messages"] = [row["messages"][0], {**ANSWER, "content": [{"type": "text", "text": ANSWER["content"]}]}]
    (tmp_path / "data").mkdir()
    Dataset.from_list(rows).to_parquet(tmp_path / "data" / "train.parquet")
    samples = [
        ask({"type": "video", "path": "media/clip.mp4"}, {"type": "audio", "path": "media/sound.wav"}),
        ask(video=[f"media/frame{number}.png" for number in range(4)]),
        ask(images=["media/photo.png"] * 2),
    ]
    expected = manifest(tmp_path, frames_dir, *samples)
    collate = FavorDataCollator(processor)
    source = {"dataset": str(tmp_path / "data"), "streaming": streaming}
    found = sorted(load_training_data([source], repeat_streams=False), key=lambda row: row["origin"])
    for row, wanted in zip(found, expected, strict=True):
        same(collate([row]), collate([wanted]), wanted)
    assert found[0]["video"] == clip.read_bytes() and found[0]["messages"][0]["content"] == QUESTION
    direct = load_dataset(
        "parquet", data_files=str(tmp_path / "data" / "train.parquet"), split="train", streaming=streaming
    )
    two_steps(model, processor, direct, tmp_path / "run")


def test_a_stream_of_rows(model_and_processor, frames_dir, tmp_path):
    model, processor = model_and_processor
    rows = several(str(frames_dir))[:4]
    stream = IterableDataset.from_generator(lambda: iter(rows))
    two_steps(model, processor, stream, tmp_path / "run")


def test_transforms_leave_what_several_media_say(frames_dir, tmp_path):
    """One medium in a block is one in a column to them; of several they change only what a mask takes."""
    manifest(tmp_path, frames_dir, *several("media"), ask({"type": "audio", "path": "media/sound.wav"}))
    path = str(tmp_path / "train.jsonl")
    plain = {row["origin"]: row for row in load_training_data([{"path": path}])}
    asked = [{"path": path, "transforms": [{"match_audio": {"swapped": 0.0}}]}]
    changed = {
        row["origin"] for row in load_training_data(asked) if row["messages"] != plain[row["origin"]]["messages"]
    }
    assert changed == {f"{path}, line {number}" for number in (10,)}
    kinds = {}
    for keep in ("audio", "visual"):
        masked = load_training_data([{"path": path, "transforms": [{"mask_modality": {"keep": keep}}]}])
        kinds[keep] = {row["origin"].rpartition(" ")[2]: kinds_of(row) for row in masked}
    assert kinds["audio"]["1"] == ["audio", "audio"] and kinds["audio"]["9"] == ["audio"]
    assert kinds["audio"]["8"] == ["audio", "audio"] and "3" not in kinds["audio"]
    assert kinds["visual"]["8"] == ["video", "image"] and "12" not in kinds["visual"]


def kinds_of(row):
    blocks = [block for turn in row["messages"] if not isinstance(turn["content"], str) for block in turn["content"]]
    own = [block["type"] for block in blocks if block["type"] != "text"]
    return own + [kind for kind in FILES if row.get(kind) is not None]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (ask(video=7), "video must be the path of a file"),
        (ask(image=["a.png", "b.png"]), "column `image` holds a list of 2.*`images`"),
        (ask(video={"path": None, "bytes": None}), "a dict for video holds nothing"),
        (ask({"type": "image"}, {"type": "image"}, images=["a.png"]), "blocks for 2 image, but the columns hold 1"),
        (ask({"type": "video_url", "video_url": {"url": "a.mp4"}}), "it holds.*video_url"),
        (ask({"type": "text", "text": "<video> What?"}), "the text holds <video>"),
        (
            {
                "messages": [
                    {"role": "user", "content": "?"},
                    {**ANSWER, "content": [{"type": "image", "path": "a.png"}]},
                ]
            },
            ".",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(tiny_parts, row, said):
    with pytest.raises(BadSampleError, match=said):
        FavorDataCollator(tiny_parts[1])([{**row, "origin": "row 3"}])


def test_files_of_lists_and_blocks_must_exist(media_dir, tmp_path):
    for sample in (
        ask(videos=["media/clip.mp4", "media/gone.mp4"]),
        ask({"type": "video", "path": "media/gone.mp4"}),
        ask(video=["media/photo.png", "media/gone.png"]),
    ):
        with pytest.raises(ValueError, match=r"line 1: (video|image) file media/gone\.\w+ does not exist beside"):
            manifest(tmp_path, media_dir, sample)


def test_features_that_are_no_media_stay():
    features = Features({"a": Value("string"), "b": List({"c": ImageColumn(), "d": Value("int64")})})
    rows = undecoded(Dataset.from_dict({"a": ["x"], "b": [[]]}, features=features))
    assert rows.features == Features(
        {"a": Value("string"), "b": List({"c": ImageColumn(decode=False), "d": Value("int64")})}
    )


def test_preferences_over_several_media(tiny_parts, frames_dir, tmp_path):
    """From a file of rows, with blocks and with lists; kept states are those of the batch."""
    model, processor = tiny_parts
    answers = {"chosen": "The bell.", "rejected": "The hum."}
    prompt = ask({"type": "video", "path": "media/clip.mp4"}, {"type": "image", "path": "media/photo.png"})
    lines = [
        {"prompt": prompt["messages"][:1], **answers},
        {"prompt": ask()["messages"][:1], "images": ["media/photo.png"] * 2, **answers},
    ]
    (tmp_path / "media").symlink_to(frames_dir)
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = load_rows(path)
    encoded, states = encode_prompts(model, processor, rows, dtype="float32", workers=0, progress=False)
    batch, kept = (
        FavorPreferenceCollator(processor)(list(rows)),
        FavorPreferenceCollator(processor, states=states)(list(encoded)),
    )
    assert torch.equal(batch["input_ids"], kept["input_ids"])
    with torch.no_grad():
        media = {k: v for k, v in batch.items() if k not in (*TEXT_INPUTS, "completion_mask")}
        wanted = model.model.encode_media(**media)
    assert len(wanted["visual"]) == 4
    for name, value in wanted.items():
        torch.testing.assert_close(kept["encoder_states"][name], value, rtol=1e-4, atol=1e-5)
