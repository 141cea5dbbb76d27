# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The name of the bundled model means it everywhere; a model that is not there is said to be, before any waiting."""

import json
import socket
from pathlib import Path

import pytest

from favor.cli import main
from favor.model_loading import bundled_model_path, is_bundled, load_pipeline, model_source
from favor.recipes import open_recipe
from tests.conftest import REPOSITORY

# What the Hub's client lets through when there is no network; the library's name differs from release to release.
LIBRARIES = ("httpx", "httpx2", "requests")
UNREACHABLE = [type("ConnectError", (Exception,), {"__module__": library}) for library in LIBRARIES]
RECIPE = "model: {model}\noutput_dir: out\ntrain_data: train.jsonl\nlora: {{rank: 4}}\n"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_favor_tiny_is_the_bundled_model_in_any_folder(elsewhere):
    assert model_source("favor-tiny") == model_source(None) == str(bundled_model_path())
    assert load_pipeline("favor-tiny").model.config.model_type == "favor"
    assert not is_bundled("org/favor-tiny") and is_bundled(None)
    (elsewhere / "favor-tiny").mkdir()
    assert is_bundled("favor-tiny")  # an empty folder of that name is no model
    (elsewhere / "favor-tiny" / "config.json").write_text("{}")
    assert model_source("favor-tiny") == "favor-tiny"


@pytest.mark.parametrize("name", ["lora-custom-data", "ablation", "qlora-custom-data"])
def test_recipes_name_it_and_run_where_they_are_copied(elsewhere, name):
    copied = elsewhere / "mine.yaml"
    copied.write_text((REPOSITORY / "recipes" / f"{name}.yaml").read_text())
    overrides = {"model": "favor-tiny"} if name.startswith("qlora") else {}
    recipe = open_recipe(copied, overrides)
    assert recipe.model == str(bundled_model_path()) and recipe.given["model"] == "favor-tiny"


@pytest.mark.parametrize("model", ["./mine", "/nowhere/mine", "mine", "there/mine", "../mine", "a/b/c", "~/mine"])
def test_a_missing_folder_is_said_to_be_missing_without_a_network(elsewhere, model, monkeypatch, capsys):
    def refuse(*arguments):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    (elsewhere / "there").mkdir()
    (elsewhere / "recipe.yaml").write_text(RECIPE.format(model=model))
    for command in (["sft", "recipe.yaml"], ["eval", "--model", model, "--annotations", ".", "--out", "out"]):
        assert main(command) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert f"There is no model folder '{model}' (looked in {elsewhere})" in error and "favor-tiny" in error


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("/nowhere/base", "needs its base model. There is no model folder '/nowhere/base'"),
        ("runs/base", "needs its base model. There is no model folder 'runs/base'"),
        ("favor-tiny", "names favor-tiny as its base model, which is no folder"),
        (None, "names no base model"),
    ],
)
def test_an_adapter_whose_base_model_is_not_there_says_so(elsewhere, base, said, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (elsewhere / "adapter").mkdir()
    content = {"base_model_name_or_path": base, "peft_type": "LORA"}
    (elsewhere / "adapter" / "adapter_config.json").write_text(json.dumps(content))
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        load_pipeline("adapter")
    assert said in str(error.value) and "favor export adapter OUT_DIR --merge" in str(error.value)


@pytest.mark.parametrize("raised", UNREACHABLE)
def test_what_might_be_on_the_hub_is_asked_for_once(elsewhere, monkeypatch, raised):
    asked = []

    def unreachable(url, **options):
        asked.append(url)
        raise raised("no route")

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", unreachable)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(FileNotFoundError, match=r"no model folder 'favor/favor_tiny'.*cannot be reached"):
        model_source("favor/favor_tiny")
    assert len(asked) == 1
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(FileNotFoundError, match="was not downloaded before"):
        load_pipeline("favor/favor_tiny")
    assert len(asked) == 1


def test_export_takes_the_name(elsewhere, capsys):
    assert main(["export", "favor-tiny", "out"]) == 0
    assert Path("out/model.safetensors").stat().st_size == (bundled_model_path() / "model.safetensors").stat().st_size
