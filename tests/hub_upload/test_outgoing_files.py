# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What must not leave this machine: files that a folder only links to, and secrets of every form."""

import json

import pytest

from favor.hub_upload.dataset_repo import read_splits
from favor.hub_upload.outgoing_files import MODEL_FILES, outgoing_files
from favor.hub_upload.secrets_in_text import secret_in
from tests.conftest import REPOSITORY

LETTERS = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"


def test_a_models_links_out_of_its_folder_are_refused(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "NOTICE").write_text("ours")
    (folder / "README.md").symlink_to("NOTICE")
    assert len(outgoing_files(folder, MODEL_FILES).files) == 2
    (folder / "LICENSE").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="LICENSE is a link to a file outside"):
        outgoing_files(folder, MODEL_FILES)


def test_links_to_this_packages_code_are_its_code():
    files = outgoing_files(REPOSITORY / "favor" / "favor_tiny", MODEL_FILES).files
    assert "modeling_favor.py" in {file.path for file in files}


@pytest.mark.parametrize("name", ["a.mp4", "train.jsonl"])
def test_a_data_sets_links_out_of_its_folder_are_refused(tmp_path, name):
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "train.jsonl").write_text(json.dumps({"messages": messages, "video": "a.mp4"}) + "\n")
    (folder / "a.mp4").write_bytes(b"a")
    assert len(read_splits(folder)) == 1
    outside = (folder / name).rename(tmp_path / name)
    (folder / name).symlink_to(outside)
    with pytest.raises(ValueError, match=f"{name} is a link to a file outside"):
        read_splits(folder)


# In pieces, so that these are no secrets to a filter that reads this file.
@pytest.mark.parametrize(
    "line",
    [
        "xox" + "b-123456789012-1234567890123-" + LETTERS[:24],
        "https://hooks.slack" + ".com/services/T12345678/B12345678/" + LETTERS[:24],
        "AI" + "za" + LETTERS[:35],
        "ya" + "29." + LETTERS,
        "glp" + "at-" + LETTERS[:20],
        "sk_" + "live_" + LETTERS[:24],
        "npm_" + LETTERS,
        "-----BEGIN OPENSSH " + "PRIVATE KEY-----",
        "redis://user:" + "hunter2@example.org/0",
        "password: " + "hunter2xyz",
        'api_key = "' + 'correct-horse"',
        '"client_secret": "' + LETTERS + '"',
    ],
)
def test_secrets_are_known_by_their_form(line):
    assert secret_in(line) is not None


@pytest.mark.parametrize(
    "line",
    [
        '"password": 1234,',
        "The password: is asked for.",
        'OpenAI(base_url=url, api_key="none")',
        "secret: ${{ secrets.TOKEN1 }}",
        "max_tokens: 5",
        'tokens = sorted(files, key=lambda file: (file.stem != "train", file.name))',
        "password = os.environ['PASSWORD1']",
        "https://huggingface.co/org/name/resolve/main/config.json",
    ],
)
def test_what_is_no_secret(line):
    assert secret_in(line) is None
