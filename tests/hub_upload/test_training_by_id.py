# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Training on a published data set by its id: each form gives the local manifest's batches, and only what is used
is fetched."""

import json
import re
import shutil

import pytest

from .hub_client import HubClient
from .hub_server import READER

LICENCE = ("--license", "cc0-1.0")
FORMS = ("folder", "webdataset", "parquet")
# Of each sample, by its question and clip, a checksum over all tensors of its batch.
BATCHES = """
import hashlib, json
from favor.processing import FavorProcessor
from favor.trainers import FavorDataCollator, load_manifest, load_training_data

collator = FavorDataCollator(FavorProcessor.from_pretrained({model!r}))

def digests(rows):
    found = {{}}
    for row in rows:
        digest = hashlib.sha256()
        for name, tensor in sorted(collator([row]).items()):
            digest.update(f"{{name}} {{tensor.dtype}} {{tuple(tensor.shape)}}".encode() + tensor.numpy().tobytes())
        found[json.dumps([row["messages"], row["scene"]])] = digest.hexdigest()
    return found
"""
TRAIN = """
from torch.utils.data import DataLoader
from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor
from favor.trainers import FavorSFTConfig, FavorSFTTrainer, load_training_data

trainer = FavorSFTTrainer(
    model=FavorForConditionalGeneration.from_pretrained({model!r}),
    processing_class=FavorProcessor.from_pretrained({model!r}),
    args=FavorSFTConfig(
        output_dir="trained", max_steps=2, per_device_train_batch_size=2, dataloader_num_workers=1, seed=3,
        report_to="none", save_strategy="no",
    ),
    train_dataset=load_training_data({spec!r}),
)
value = trainer.train().training_loss
"""


@pytest.fixture(scope="module")
def folder(questions_dir, tmp_path_factory):
    """The rendered clips, with a muted one, one with another sound, and one with another clip's sound. Read only."""
    folder = shutil.copytree(questions_dir, tmp_path_factory.mktemp("clips") / "data")
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    of_clips = list({row["video"]: row for row in rows if row.get("video")}.values())
    sound = next(row["audio"] for row in rows if row.get("audio"))
    with (folder / "train.jsonl").open("a") as lines:
        for number, audio in enumerate((None, sound, of_clips[1]["video"])):
            row = of_clips[0] | {"audio": audio, "scene": f"changed-{number}"}
            lines.write(json.dumps(row) + "\n")
    return folder


@pytest.fixture(scope="module")
def published(hub, client, folder):
    """The ids of the clips in the three forms."""
    for form in FORMS:
        pushed = client.favor("push-dataset", folder, f"org/{form}", *LICENCE, "--format", form)
        assert pushed.status == 0, pushed.err
    return {form: f"org/{form}" for form in FORMS}


@pytest.fixture(scope="module")
def manifest(folder):
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("reader")


@pytest.fixture(scope="module")
def reader(hub, published, home, tiny_model_dir):
    """Somebody with a cache of their own, which is empty at first, who may only read."""
    with HubClient(hub.url, READER, home) as running:
        running.python(BATCHES.format(model=str(tiny_model_dir)))
        yield running


@pytest.fixture(scope="module")
def local(reader, folder, manifest):
    """The digests of the local manifest's batches."""
    found = reader.python(f"value = digests(load_manifest({str(folder / 'train.jsonl')!r}))")
    assert len(found) == len(manifest)
    return found


def fetched(hub, name):
    """The files of a data set that were downloaded."""
    requests = hub.asked("GET", f"/datasets/{name}/resolve/")
    return {request.path.partition("/resolve/")[2].partition("/")[2] for request in requests}


def media_of(row):
    return {row[key] for key in ("video", "image", "audio") if row.get(key)}


def test_only_the_media_of_the_rows_used_are_fetched(hub, reader, published, manifest):
    hub.requests.clear()
    assert reader.python(f"rows = load_training_data({published['folder']!r})\nvalue = len(rows)") == len(manifest)
    assert fetched(hub, "org/folder") == {"README.md", "train.jsonl"}
    used = media_of(manifest[0]) | media_of(manifest[-1])
    reader.python("batch = collator([rows[0], rows[len(rows) - 1]])")
    assert fetched(hub, "org/folder") == {"README.md", "train.jsonl"} | used
    hub.requests.clear()
    reader.python("batch = collator([rows[0], rows[len(rows) - 1]])")
    assert hub.requests == [], "a pinned file in the cache is not asked for again"


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_batches_of_the_local_manifest(form, reader, published, local):
    assert reader.python(f"value = digests(load_training_data({published[form]!r}))") == local


@pytest.mark.parametrize(
    "source",
    [
        {"dataset": "org/folder", "streaming": True},
        {"dataset": "org/parquet", "streaming": True},
        {"dataset": "org/webdataset", "config": "video", "streaming": True},
        {"dataset": "org/parquet", "prompt": "A question for those that have none"},
    ],
)
def test_streams_and_tables_give_the_same_batches(source, reader, published, local):
    found = reader.python(f"value = digests(load_training_data([{source!r}], repeat_streams=False))")
    assert found
    if source.get("config"):
        assert found.items() <= local.items()
    else:
        assert found == local


def test_only_the_shards_of_the_split_are_fetched(hub, reader, client, questions_dir, tmp_path):
    two = shutil.copytree(questions_dir, tmp_path / "two")
    lines = (two / "train.jsonl").read_text()
    (two / "test.jsonl").write_text(lines)
    assert client.favor("push-dataset", two, "org/two", *LICENCE, "--format", "parquet").status == 0
    hub.requests.clear()
    rows = reader.python("value = len(load_training_data([{'dataset': 'org/two', 'split': 'test'}]))")
    assert rows == lines.count("\n")
    assert fetched(hub, "org/two") == {"README.md", "data/test-00000-of-00001.parquet"}


@pytest.mark.parametrize("form", FORMS)
def test_two_steps_by_id_are_those_on_the_local_manifest(form, reader, published, folder, tiny_model_dir):
    loss = reader.python(TRAIN.format(model=str(tiny_model_dir), spec=published[form]))
    assert loss > 0
    if form == "folder":  # the other forms shuffle the same rows as a mixture
        of_files = TRAIN.format(model=str(tiny_model_dir), spec=str(folder / "train.jsonl"))
        assert loss == reader.python(of_files)


def test_the_command_line_trains_by_id_and_the_revision_stays(
    hub, reader, client, published, tiny_model_dir, tmp_path
):
    commit = hub.store.repository("dataset", "org/folder").branches["main"]
    recipe = {
        "model": str(tiny_model_dir),
        "train_data": [{"dataset": "org/folder", "revision": commit, "samples": 4}],
        "output_dir": str(tmp_path / "run"),
        "sft": {"max_steps": 2, "per_device_train_batch_size": 2, "report_to": "none"},
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    trained = reader.favor("sft", tmp_path / "recipe.yaml")
    assert trained.status == 0, trained.err
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_offline_from_the_cache(hub, reader, published, home, local, tiny_model_dir):
    reader.python("digests(load_training_data('org/folder'))")
    for form in ("webdataset", "parquet"):
        reader.python(f"load_training_data({published[form]!r})")
    hub.requests.clear()
    with HubClient(hub.url, None, home, offline=True) as offline:
        offline.python(BATCHES.format(model=str(tiny_model_dir)))
        for name in published.values():
            assert offline.python(f"value = digests(load_training_data({name!r}))") == local
        unknown = offline.raises("load_training_data('org/never-seen')")
        assert "README.md is not in the cache, and HF_HUB_OFFLINE is set" in unknown.splitlines()[-1]
    assert hub.requests == []


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("org/nowhere", "org/nowhere is no file or folder in .*, and no dataset on http.* that you may read"),
        ("org/folder@v9", "org/folder has no branch, tag or commit 'v9'"),
        ("data/nowhere.jsonl", "no such manifest; give a .jsonl file, or a dataset of the Hub as ORG/NAME"),
        ([{"dataset": "org/folder", "split": "test"}], "org/folder has no split 'test'; it has train"),
        ([{"dataset": "org/folder", "config": "x"}], "org/folder has no configuration 'x'; it has default"),
        ([{"dataset": "org/webdataset"}], "org/webdataset has the configurations video, .*; give `config`"),
        ([{"dataset": "no id"}], "'no id' is neither a file or folder here nor an id of the Hub"),
    ],
)
def test_what_was_tried_is_said_in_one_line(spec, said, reader, published):
    assert re.search(said, reader.raises(f"load_training_data({spec!r})").strip().splitlines()[-1])


def test_a_path_that_exists_wins(reader, local, folder, hub):
    reader.python(f"import os, shutil\nos.makedirs('org')\nshutil.copytree({str(folder)!r}, 'org/folder')")
    hub.requests.clear()
    for path in ("org/folder/train.jsonl", "org/folder"):
        assert reader.python(f"value = digests(load_training_data({path!r}))") == local
    reader.python("shutil.rmtree('org')")
    assert hub.requests == []


def test_media_that_are_missing_are_bad_samples_and_an_outage_is_none(hub, reader, published, tmp_path):
    """`on_bad_sample="skip"` must not turn a Hub that is away into a data set without samples."""
    reader.python(
        "rows = load_training_data('org/folder')\n"
        "row = dict(rows[0])\nkey = next(key for key in ('video', 'image', 'audio') if row[key])\n"
        "skipping = FavorDataCollator(collator.processor, on_bad_sample='skip')"
    )
    reader.python("row[key] = row[key].rpartition('/')[0] + '/gone.mp4'\nskipping([row, rows[1]])")
    assert reader.python("value = skipping.bad_samples[0]['reason']") == "missing file"
    reader.python("row[key] = row[key].replace('gone', 'away')")
    hub.fail("HEAD", "/resolve/.*/media/away", times=100, status=503)
    assert "ConnectionError" in reader.raises("skipping([row, rows[1]])").strip().splitlines()[-1]
    assert reader.python("value = skipping.skipped_samples") == 1


def test_rows_cannot_reach_out_of_the_repository(hub, reader, published):
    for path in ("/etc/hostname", "../x.mp4", "~/x.mp4"):
        raised = reader.raises(
            "from favor.trainers.hub_datasets import hub_splits\n"
            f"hub_splits('org/folder')[0].file_address({path!r}, 'line 1')"
        )
        assert "lies outside the repository" in raised
