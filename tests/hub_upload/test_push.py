# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor push`: what goes to the Hub and what stays, in one commit, and again after an interruption."""

import json
import shutil

import pytest

from .hub_server import READER, WRITER
from .test_export import CODE_FILES

SECRET = "hf_" + "A1b2C3d4E5f6G7h8I9j0"


@pytest.fixture
def model_dir(tiny_model_dir, tmp_path):
    """A model folder that a test may change."""
    return shutil.copytree(tiny_model_dir, tmp_path / "model")


def test_a_model_is_one_private_commit_with_its_code_and_card(hub, client, tiny_model_dir):
    pushed = client.favor("push", tiny_model_dir, "org/first")
    assert pushed.status == 0, pushed.err
    files = hub.files("model", "org/first")
    assert hub.commits("model", "org/first") == ["initial commit", "Upload model"]
    assert hub.store.repository("model", "org/first").private
    assert "(private, commit " in pushed.out
    assert CODE_FILES | {"README.md", "architecture.png", "model.safetensors"} <= set(files)
    for path in ("model.safetensors", "modeling_favor.py", "qformer_tokenizer/tokenizer.json"):
        assert files[path] == (tiny_model_dir / path).read_bytes()
    listed = {line.split()[-1] for line in pushed.out.splitlines() if line.startswith("  ")}
    assert set(files) <= listed


def test_a_dry_run_lists_the_same_and_asks_the_hub_nothing(hub, client, tiny_model_dir):
    before = len(hub.requests)
    dry = client.favor("push", tiny_model_dir, "org/dry", "--dry-run")
    assert dry.status == 0
    assert len(hub.requests) == before
    pushed = client.favor("push", tiny_model_dir, "org/dry")
    assert pushed.out.startswith(dry.out)


@pytest.mark.parametrize("options", [(), ("--license", "mit"), ("--overwrite-card",)])
def test_a_dry_run_of_the_card_writes_nothing(client, model_dir, options):
    (model_dir / "README.md").unlink(missing_ok=True)
    before = {file: file.read_bytes() for file in model_dir.rglob("*") if file.is_file()}
    dry = client.favor("push", model_dir, "org/dry", "--card-only", "--dry-run", *options)
    assert dry.status == 0, dry.err
    assert {file: file.read_bytes() for file in model_dir.rglob("*") if file.is_file()} == before
    assert f"would be written: {model_dir / 'README.md'}" in dry.out
    assert client.favor("push", model_dir, "org/dry", "--card-only", *options).status == 0
    assert (model_dir / "README.md").is_file()


def test_public_message_and_pull_request(hub, client, tiny_model_dir):
    assert client.favor("push", tiny_model_dir, "org/open", "--public", "--message", "First").status == 0
    assert not hub.store.repository("model", "org/open").private
    assert hub.commits("model", "org/open")[-1] == "First"
    before = hub.files("model", "org/open")
    asked = client.favor("push", tiny_model_dir, "org/open", "--create-pr", "--license", "mit")
    assert asked.status == 0, asked.err
    assert "/org/open/discussions/1" in asked.out
    assert hub.files("model", "org/open") == before
    assert b"license: mit" in hub.files("model", "org/open", "refs/pr/1")["README.md"]


def test_a_branch_must_exist(hub, client, tiny_model_dir):
    assert "no branch 'v2'" in client.favor("push", tiny_model_dir, "org/branch", "--revision", "v2").error
    client.python("import huggingface_hub; huggingface_hub.create_branch('org/branch', branch='v2')")
    assert client.favor("push", tiny_model_dir, "org/branch", "--revision", "v2").status == 0
    assert "config.json" in hub.files("model", "org/branch", "v2")
    assert hub.files("model", "org/branch") == {}


def test_only_listed_files_leave(hub, client, model_dir):
    private = [
        "training_args.bin",
        "optimizer.pt",
        ".env",
        "id.key",
        "notes.ipynb",
        "model.safetensors.bak",
        "pytorch_model.bin",
    ]
    for name in [*private, "checkpoint-5/model.safetensors", "__pycache__/x.pyc", "runs/events.out"]:
        (model_dir / name).parent.mkdir(exist_ok=True)
        (model_dir / name).write_text("TOKEN=1")
    pushed = client.favor("push", model_dir, "org/clean")
    assert pushed.status == 0, pushed.err
    for name in [*private, "checkpoint-5/", "__pycache__/", "runs/"]:
        assert f"left out: {name}\n" in pushed.out
    files = hub.files("model", "org/clean")
    assert not [path for path in files if path in private or path.startswith(("checkpoint", "runs", "__pycache__"))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"login({SECRET!r})", "a Hugging Face token"),
        ("key = 'AKIA" + "IOSFODNN7EXAMPLE'", "an AWS access key"),
        ("-----BEGIN RSA PRIVATE " + "KEY-----", "a private key"),
        ("# see /home/someone/secret/plan.txt", "a path of a machine"),
        ("# see {model_dir}/plan.txt", "a path of a machine"),
    ],
)
def test_secrets_and_paths_stop_the_upload_with_file_and_line(text, said, hub, client, model_dir):
    with (model_dir / "summary_favor.py").open("a") as file:
        file.write(text.replace("{model_dir}", str(model_dir)) + "\n")
    before = len(hub.requests)
    error = client.favor("push", model_dir, "org/secret").error
    line = len((model_dir / "summary_favor.py").read_text().splitlines())
    assert f"summary_favor.py, line {line}" in error and said in error
    assert SECRET not in error
    assert len(hub.requests) == before


def test_where_parts_were_loaded_from_is_forgotten(hub, client, model_dir):
    config = json.loads((model_dir / "config.json").read_text())
    config["text_config"]["_name_or_path"] = str(model_dir / "vicuna")
    (model_dir / "config.json").write_text(json.dumps(config))
    assert client.favor("push", model_dir, "org/forgets").status == 0
    assert b"_name_or_path" not in hub.files("model", "org/forgets")["config.json"]
    assert "vicuna" in (model_dir / "config.json").read_text()


def test_the_second_push_sends_only_what_changed(hub, client, model_dir):
    assert client.favor("push", model_dir, "org/twice").status == 0
    sent = len(hub.asked("PUT", "/lfs/"))
    again = client.favor("push", model_dir, "org/twice")
    assert again.status == 0, again.err
    assert len(hub.commits("model", "org/twice")) == 2, "nothing changed, so there is no commit"
    (model_dir / "chat_template.jinja").open("a").write("{# changed #}")
    assert client.favor("push", model_dir, "org/twice").status == 0
    assert len(hub.commits("model", "org/twice")) == 3
    assert len(hub.asked("PUT", "/lfs/")) == sent


def test_weights_of_an_earlier_upload_do_not_stay_beside_new_ones(hub, client, tiny_parts, tmp_path):
    from favor.hub_upload import export_model

    model, processor = tiny_parts
    whole = export_model(model, tmp_path / "whole", processor=processor)
    assert client.favor("push", whole, "org/shards").status == 0
    client.python(
        "from huggingface_hub import upload_file\n"
        "upload_file(path_or_fileobj=b'mine', path_in_repo='notes.txt', repo_id='org/shards')"
    )
    model.save_pretrained(tmp_path / "sharded", max_shard_size="100KB")
    processor.save_pretrained(tmp_path / "sharded")
    pushed = client.favor("push", tmp_path / "sharded", "org/shards")
    assert pushed.status == 0, pushed.err
    assert "deleted there: model.safetensors" in pushed.out
    files = hub.files("model", "org/shards")
    assert "model.safetensors" not in files and "model.safetensors.index.json" in files
    assert files["notes.txt"] == b"mine"


def test_a_folder_without_code_is_completed(hub, client, tiny_parts, tmp_path):
    model, processor = tiny_parts
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    for file in tmp_path.glob("*.py"):
        file.unlink()
    pushed = client.favor("push", tmp_path, "org/completed")
    assert "completed as `favor export` does" in pushed.out
    files = hub.files("model", "org/completed")
    assert set(files) >= CODE_FILES
    assert "video-text-to-text" in json.loads(files["config.json"])["custom_pipelines"]


def test_large_files_are_sent_in_parts_where_the_hub_asks_for_it(hub, client, tiny_model_dir, monkeypatch):
    monkeypatch.setattr(hub, "part_size", 100_000)
    hub.store.forget_large()
    hub.requests.clear()
    assert client.favor("push", tiny_model_dir, "org/parts").status == 0
    weights = (tiny_model_dir / "model.safetensors").read_bytes()
    assert len(hub.asked("PUT", r"/lfs/\w+/\d+$")) == -(-len(weights) // 100_000)
    assert hub.files("model", "org/parts")["model.safetensors"] == weights


def test_bad_input_ends_with_one_line(client, hub, tiny_model_dir, tmp_path):
    assert "write ORG/NAME" in client.favor("push", tiny_model_dir, "favor-tiny").error
    assert "no repository id" in client.favor("push", tiny_model_dir, "org/a b").error
    assert "does not exist" in client.favor("push", tmp_path / "nothing", "org/x").error
    assert "no config.json" in client.favor("push", tmp_path, "org/x").error
    assert "no adapter" in client.favor("push", tiny_model_dir, "org/x", "--merge").error
    assert "no Hub id" in client.favor("push", tiny_model_dir, "org/x", "--base-model", "/models/x").error
    assert "must be one of" in client.favor("push", tiny_model_dir, "org/x", "--relation", "child").error
    assert "--license-name" in client.favor("push", tiny_model_dir, "org/x", "--license", "other").error
    assert "goes to main" in client.favor("push", tiny_model_dir, "org/x", "--create-pr", "--revision", "v2").error
    assert "license" in client.favor("push", tiny_model_dir, "org/x", "--license", "my-own").error
    assert ("model", "org/x") not in hub.store.repositories or hub.files("model", "org/x") == {}


def test_a_token_is_needed_and_must_be_allowed_to_write(hub, client, tiny_model_dir):
    with client.as_user(None):
        assert "hf auth login" in client.favor("push", tiny_model_dir, "org/nobody").error
    with client.as_user(READER):
        error = client.favor("push", tiny_model_dir, "org/nobody").error
        assert "may not write" in error and READER not in error
    with client.as_user(None):
        stored = client.home / "hf" / "token"  # as `hf auth login` leaves it
        stored.parent.mkdir(exist_ok=True)
        stored.write_text(WRITER)
        assert client.favor("push", tiny_model_dir, "org/cached").status == 0
        stored.unlink()
