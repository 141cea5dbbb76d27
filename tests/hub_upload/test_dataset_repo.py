# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor push-dataset`: the three forms, read back by `load_dataset` and trained on, fetching only what is used."""

import hashlib
import io
import json
import re
import shutil
import tarfile

import pytest

from favor.aveb_prompts import AVEB_PROMPTS
from favor.hub_upload.card_text import section_text
from favor.hub_upload.dataset_repo import read_splits
from favor.worlds.mini.dataset import write_split
from tests.conftest import REPOSITORY

from .hub_client import HubClient
from .hub_server import READER

LICENCE = ("--license", "cc0-1.0")
READ = """
from datasets import load_dataset
rows = list(load_dataset({name!r}, {config!r}, split="train", streaming={streaming}){undecoded})
"""
TRAIN = """
import json
from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor
from favor.trainers import FavorSFTConfig, FavorSFTTrainer

model = FavorForConditionalGeneration.from_pretrained({model!r})
processor = FavorProcessor.from_pretrained({model!r})
arguments = FavorSFTConfig(
    output_dir="trained", max_steps=2, per_device_train_batch_size=2, report_to="none", save_strategy="no"
)
trainer = FavorSFTTrainer(model=model, processing_class=processor, args=arguments, train_dataset=rows)
value = trainer.train().training_loss
"""


@pytest.fixture(scope="module")
def manifest(questions_dir):
    return [json.loads(line) for line in (questions_dir / "train.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def folder_with_splits(questions_dir, tmp_path_factory):
    """The rendered clips as two splits that share none."""
    folder = shutil.copytree(questions_dir, tmp_path_factory.mktemp("splits") / "data")
    lines = (folder / "train.jsonl").read_text().splitlines(keepends=True)
    last = json.loads(lines[-1])["scene"]
    (folder / "train.jsonl").write_text("".join(line for line in lines if json.loads(line)["scene"] != last))
    (folder / "test.jsonl").write_text("".join(line for line in lines if json.loads(line)["scene"] == last))
    return folder


def read(client, name, config=None, streaming=False, undecoded=""):
    return client.python(
        READ.format(name=name, config=config, streaming=streaming, undecoded=undecoded) + "value = len(rows)"
    )


def media_of(row):
    return next(row[key] for key in ("video", "image", "audio") if row.get(key))


@pytest.fixture(scope="module", autouse=True)
def pushed(hub, client, questions_dir):
    """What `favor push-dataset` said in each form: "", "parquet" and "webdataset"."""
    said = {"": client.favor("push-dataset", questions_dir, "org/mini", *LICENCE)}
    for form in ("parquet", "webdataset"):
        options = (*LICENCE, "--format", form)
        said[form] = client.favor("push-dataset", questions_dir, f"org/mini-{form}", *options)
    return said


def test_aveb_mini_is_published_as_it_is_rendered(hub, pushed, questions_dir):
    pushed = pushed[""]
    assert pushed.status == 0, pushed.err
    files = hub.files("dataset", "org/mini")
    rendered = {str(file.relative_to(questions_dir)) for file in questions_dir.rglob("*") if file.is_file()}
    assert set(files) == rendered | {"README.md", "SHA256SUMS"}
    assert all(files[path] == (questions_dir / path).read_bytes() for path in rendered)
    assert hub.commits("dataset", "org/mini") == ["initial commit", "Upload dataset"]
    assert hub.store.repository("dataset", "org/mini").private


def test_checksums_are_those_of_the_files(hub, client, questions_dir):
    files = hub.files("dataset", "org/mini")
    lines = files["SHA256SUMS"].decode().splitlines()
    assert len(lines) == len(files) - 2
    for line in lines:
        digest, path = line.split("  ")
        assert hashlib.sha256(files[path]).hexdigest() == digest


@pytest.fixture(scope="module")
def reader(hub, tmp_path_factory):
    """Somebody who may only read."""
    with HubClient(hub.url, READER, tmp_path_factory.mktemp("reader")) as running:
        yield running


@pytest.mark.parametrize("streaming", [False, True])
def test_load_dataset_reads_the_manifest_and_no_media(hub, reader, manifest, streaming):
    hub.requests.clear()
    assert read(reader, "org/mini", streaming=streaming) == len(manifest)
    rows = reader.python("value = [[row['messages'], row['family'], row['scene']] for row in rows]")
    assert rows == [[row["messages"], row["family"], row["scene"]] for row in manifest]
    assert not hub.asked("GET", "/resolve/.*/media/")
    assert not hub.asked("GET", "/resolve/.*scenes.jsonl")


def test_only_the_split_that_is_read_is_fetched(hub, client, reader, folder_with_splits):
    assert client.favor("push-dataset", folder_with_splits, "org/splits", *LICENCE).status == 0
    hub.requests.clear()
    read(reader, "org/splits", streaming=True)
    fetched = {request.path.rpartition("/")[2] for request in hub.asked("GET", "/resolve/.*jsonl")}
    assert fetched == {"train.jsonl"}


@pytest.fixture(scope="module")
def digests(questions_dir, manifest):
    """Of each question about a clip, the checksum of its media file."""
    return {
        (row["messages"][0]["content"], row["scene"]): sha256((questions_dir / media_of(row)).read_bytes())
        for row in manifest
    }


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_parquet_files_hold_rows_and_media(hub, client, pushed, digests):
    pushed = pushed["parquet"]
    assert pushed.status == 0, pushed.err
    read(client, "org/mini-parquet", streaming=True)
    found = client.python(
        "import hashlib\n"
        "def medium(row): return next(row[key] for key in ('video', 'image', 'audio') if row[key])\n"
        "value = [[row['messages'][0]['content'], row['scene'], hashlib.sha256(medium(row)['bytes']).hexdigest()]"
        " for row in rows]"
    )
    assert {(question, scene): digest for question, scene, digest in found} == digests


def test_webdataset_shards_hold_questions_and_media(hub, client, pushed, digests, manifest):
    pushed = pushed["webdataset"]
    assert pushed.status == 0, pushed.err
    found = {}
    for path, content in hub.files("dataset", "org/mini-webdataset").items():
        if path.endswith(".tar"):
            with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                files = {entry.name: tar.extractfile(entry).read() for entry in tar}
            for name in [name for name in files if name.endswith(".json")]:
                row = json.loads(files[name])
                media = next(other for other in files if other != name and other.startswith(name.removesuffix("json")))
                found[row["messages"][0]["content"], row["scene"]] = sha256(files[media])
    assert found == digests
    cast = ".cast_column('mp4', Video(decode=False))"
    client.python("from datasets import Video")
    assert read(client, "org/mini-webdataset", "video", streaming=True, undecoded=cast) == sum(
        "video" in row for row in manifest
    )


def test_parquet_rows_are_trained_on_as_they_come(client, tiny_model_dir):
    client.python(
        "from datasets import load_dataset\nrows = load_dataset('org/mini-parquet', split='train').select(range(4))"
    )
    loss = client.python(TRAIN.format(model=str(tiny_model_dir)))
    assert loss > 0


def test_the_card_says_what_is_there(hub, client, manifest):
    data, text = client.python(
        "from huggingface_hub import DatasetCard\ncard = DatasetCard.load('org/mini')\ncard.validate()\n"
        "value = [card.data.to_dict(), card.text]"
    )
    assert data["license"] == "cc0-1.0"
    assert data["configs"] == [{"config_name": "default", "data_files": [{"split": "train", "path": "train.jsonl"}]}]
    assert data["task_categories"] == ["video-text-to-text"] and data["size_categories"] == ["n<1K"]
    assert re.search(rf"\| train \| {len(manifest)} \| 8 \| [\d,]+ \|", text)
    assert "Languages: not stated" in text and "who is seen or heard in them: not stated" in text


@pytest.mark.parametrize("form", ["", "-webdataset", "-parquet"])
def test_the_code_of_the_card_runs(form, hub, client):
    text = hub.files("dataset", f"org/mini{form}")["README.md"].decode()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 1
    assert "role" in client.python(blocks[0])


def test_a_page_on_the_data_becomes_a_section_of_the_card(hub, client, questions_dir, tmp_path):
    page = REPOSITORY / "docs" / "aveb-mini.md"
    folder = shutil.copytree(questions_dir, tmp_path / "data")
    push = ("push-dataset", folder, "org/told", *LICENCE, "--about", page)
    assert client.favor(*push).status == 0
    card = hub.files("dataset", "org/told")["README.md"].decode()
    assert "\n## About the data\n" in card and "\n### Controls\n" in card
    controls = [line for line in page.read_text().splitlines() if line.startswith("| AVM, yes_no")]
    assert controls and controls[0] in card.splitlines()
    assert not re.search(r"\]\((?!https?://)", card)
    without = re.sub(r"## About the data.*<!-- favor:end about -->", "", card, flags=re.DOTALL)
    (folder / "README.md").write_text(without)
    assert "no section on the data, and gets none" in client.favor(*push).out
    assert hub.files("dataset", "org/told")["README.md"].decode() == without
    assert "nowhere.md" in client.favor(*push, "--about", "nowhere.md").error


def test_a_section_has_deeper_headings_no_links_beside_the_page_and_its_code_as_it_was():
    page = (
        "# Title\n\nSee [this](a.md#b) and [that](https://b.org), ![](c.png).\n\n## Part\n\n```bash\n# [x](y)\n```\n"
    )
    section = "See this and [that](https://b.org), .\n\n### Part\n\n```bash\n# [x](y)\n```"
    assert section_text(page) == section


def test_shards_are_deterministic_and_of_the_size_asked_for(questions_dir, tmp_path):
    from favor.hub_upload.dataset_shards import write_parquet, write_webdataset

    splits = read_splits(questions_dir)
    for write in (write_webdataset, write_parquet):
        both = [tmp_path / f"{write.__name__}-{number}" for number in range(2)]
        for folder in both:
            write(splits, folder, 200_000)
        contents = [{f.name: f.read_bytes() for f in folder.rglob("*.*") if f.is_file()} for folder in both]
        assert contents[0] == contents[1]
        assert len(contents[0]) > 3
        assert all(re.search(r"train-\d{5}-of-\d{5}\.", name) for name in contents[0])


def write_manifest(folder, *rows):
    folder.mkdir(exist_ok=True)
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_benchmarks_annotations_are_published_and_are_no_split(hub, client, tmp_path):
    write_split(
        tmp_path / "bench", "test", count=2, seed=0, tasks="vqa,isqa", workers=1, progress=False, prompts=AVEB_PROMPTS
    )
    assert [split.name for split in read_splits(tmp_path / "bench")] == ["test"]
    assert client.favor("push-dataset", tmp_path / "bench", "org/bench", *LICENCE).status == 0
    assert {"test.jsonl", "test_scenes.jsonl", "vqa.jsonl", "isqa.jsonl"} <= set(hub.files("dataset", "org/bench"))


def test_muting_survives_where_a_column_cannot_hold_it(tmp_path, media_dir):
    from favor.hub_upload.dataset_shards import write_parquet

    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    write_manifest(
        tmp_path / "d",
        {"messages": messages, "video": "clip.mp4", "audio": None},
        {"messages": messages, "video": "clip.mp4"},
    )
    shutil.copyfile(media_dir / "clip.mp4", tmp_path / "d" / "clip.mp4")
    write_parquet(read_splits(tmp_path / "d"), tmp_path / "out", 10**9)
    import pyarrow.parquet as parquet

    (file,) = (tmp_path / "out" / "data").iterdir()
    assert parquet.read_table(file)["use_own_audio"].to_pylist() == [False, True]


def test_what_is_wrong_with_a_folder_is_said(client, tmp_path, hub):
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    folder = tmp_path / "d"
    asked = ("push-dataset", folder, "org/bad", *LICENCE)
    assert "does not exist" in client.favor(*asked).error
    folder.mkdir()
    assert "no manifest" in client.favor(*asked).error
    write_manifest(folder, {"messages": messages, "video": "a.mp4"})
    assert "a.mp4 does not exist" in client.favor(*asked).error
    write_manifest(folder, {"messages": messages, "video": "../a.mp4"})
    assert "outside the folder" in client.favor(*asked).error
    write_manifest(folder, {"messages": messages}, {"video": "a.mp4"})
    assert "sample 2: `messages` is missing" in client.favor(*asked).error
    (folder / "train.jsonl").write_text("{broken\n")
    assert "line 1: not valid JSON" in client.favor(*asked).error
    unlicensed = client.favor("push-dataset", folder, "org/bad")
    assert unlicensed.status == 2 and "--license" in unlicensed.err
    assert ("dataset", "org/bad") not in hub.store.repositories
