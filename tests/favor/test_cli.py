# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The command line: quick help, one-line errors with exit status 2, and the commands `ask`, `demo` and `export`."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from favor.cli import COMMANDS, main
from favor.worlds.mini.dataset import TASK_SCENES

REPOSITORY = Path(__file__).parents[2]
QUESTION = "Which sound is heard first?"


@pytest.fixture(autouse=True)
def bundled(monkeypatch, tiny_model_dir):
    """Commands that want the bundled model get the random one."""
    monkeypatch.setattr("favor.model_loading.bundled_model_path", lambda: tiny_model_dir)


def run_in_a_new_process(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "favor", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=os.environ, capture_output=True, text=True)


def fails(capsys, *arguments: str) -> str:
    """The one line that a failing command prints."""
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    last = printed.err.splitlines()[-1]
    assert last.startswith("favor: error: ")
    assert "Traceback" not in printed.err
    return last


def test_help_is_quick_and_imports_no_framework():
    started = time.monotonic()
    done = run_in_a_new_process("--help")
    seconds = time.monotonic() - started
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    assert seconds < 1.0
    check = "import sys, favor.cli\ntry: favor.cli.main(['ask', '--help'])\nexcept SystemExit: pass\n"
    check += "print([name for name in ('torch', 'transformers', 'numpy', 'av') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "usage: favor " + command in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["ask"], ["ask", "clip.mp4", "hi", "--loud"]])
def test_bad_usage_ends_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


def test_errors_are_one_line_without_a_traceback(capsys, media_dir, tmp_path):
    clip, sound, photo = (str(media_dir / name) for name in ("clip.mp4", "sound.wav", "photo.png"))
    assert "missing.mp4" in fails(capsys, "ask", "missing.mp4", QUESTION)
    assert "cannot be read as media" in fails(capsys, "ask", __file__, QUESTION)
    assert "QUESTION is empty" in fails(capsys, "ask", clip, "  ")
    assert "is a sound" in fails(capsys, "ask", sound, QUESTION, "--no-audio")
    assert "has no sound" in fails(capsys, "ask", clip, QUESTION, "--audio", photo)
    assert "contradict" in fails(capsys, "ask", clip, QUESTION, "--stream", "--json")
    assert "contradict" in fails(capsys, "ask", clip, QUESTION, "--audio", sound, "--no-audio")
    assert "at least 1" in fails(capsys, "ask", clip, QUESTION, "--max-new-tokens", "0")
    assert "no config.json" in fails(capsys, "ask", clip, QUESTION, "--model", str(tmp_path))
    assert "at least 8" in fails(capsys, "demo", "--clips", "2")
    assert "not empty" in fails(capsys, "demo", "--out", str(media_dir))
    assert "not empty" in fails(capsys, "export", str(tmp_path), str(media_dir))
    assert "does not exist" in fails(capsys, "export", str(tmp_path / "nothing"), str(tmp_path / "out"))


def test_models_of_another_kind_and_broken_weights_are_named(capsys, media_dir, tiny_model_dir, tmp_path):
    clip = str(media_dir / "clip.mp4")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert "type 'llama'" in fails(capsys, "ask", clip, QUESTION, "--model", str(tmp_path))
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in tiny_model_dir.iterdir():
        if file.suffix != ".py" and file.is_file():
            (broken / file.name).write_bytes(file.read_bytes())
    (broken / "model.safetensors").write_bytes(b"not a tensor")
    assert "weights" in fails(capsys, "ask", clip, QUESTION, "--model", str(broken))


def test_a_missing_package_is_named_with_its_extra(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "trl", None)
    for name in [name for name in sys.modules if name.startswith("favor.trainers")]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "recipe.yaml").write_text("{}")
    assert "pip install 'favor[train]'" in fails(capsys, "sft", str(tmp_path / "recipe.yaml"))


def test_the_bundled_model_is_missed_clearly(monkeypatch, tmp_path):
    monkeypatch.undo()
    from favor.model_loading import bundled_model_path

    monkeypatch.setattr("favor.model_loading.files", lambda package: tmp_path)
    with pytest.raises(FileNotFoundError, match="--model"):
        bundled_model_path()


@pytest.mark.parametrize("name", ["clip.mp4", "silent.mp4", "photo.png", "sound.wav"])
def test_ask_answers_about_every_kind_of_file(name, capsys, media_dir):
    assert main(["ask", str(media_dir / name), QUESTION]) == 0
    printed = capsys.readouterr()
    assert printed.out.strip()
    assert "Seen and heard: 1 item" in printed.err


def test_ask_prints_json(capsys, media_dir):
    clip = str(media_dir / "clip.mp4")
    assert main(["ask", clip, QUESTION, "--json"]) == 0
    heard = json.loads(capsys.readouterr().out)
    assert set(heard) == {"question", "answer", "video", "media"}
    assert heard["media"]["audio_seconds"] == pytest.approx(3.0, abs=0.05)
    assert main(["ask", clip, QUESTION, "--json", "--no-audio"]) == 0
    muted = json.loads(capsys.readouterr().out)
    assert muted["media"]["audio_seconds"] == 0
    assert muted["answer"] != heard["answer"]


def test_ask_streams_the_same_answer(capsys, media_dir):
    arguments = ["ask", str(media_dir / "photo.png"), QUESTION, "--audio", str(media_dir / "sound.wav")]
    assert main(arguments) == 0
    whole = capsys.readouterr().out
    assert main([*arguments, "--stream"]) == 0
    assert capsys.readouterr().out == whole


def test_ask_takes_the_folder_of_an_adapter(capsys, media_dir, tiny_model_dir, tmp_path):
    from peft import get_peft_model

    from favor.modeling_favor import FavorForConditionalGeneration
    from favor.processing import FavorProcessor
    from favor.trainers import lora_config

    clip = str(media_dir / "clip.mp4")
    adapted = get_peft_model(FavorForConditionalGeneration.from_pretrained(tiny_model_dir), lora_config(rank=4))
    adapted.save_pretrained(tmp_path)
    FavorProcessor.from_pretrained(tiny_model_dir).save_pretrained(tmp_path)
    assert main(["ask", clip, QUESTION, "--model", str(tmp_path)]) == 0
    answer = capsys.readouterr().out
    assert main(["ask", clip, QUESTION]) == 0  # a fresh adapter changes nothing
    assert answer == capsys.readouterr().out


def test_demo_asks_and_scores(capsys, tmp_path):
    assert main(["demo", "--model", "favor-tiny", "--json", "--clips", "8", "--out", str(tmp_path / "demo")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["questions"] == len(result["samples"]) == 32
    assert result["correct"] == sum(sample["correct"] for sample in result["samples"])
    assert 0 < result["chance"] < 1
    assert {"both_streams_accuracy", "muted_both_streams_accuracy", "families"} <= set(result)
    both = [sample for sample in result["samples"] if sample["streams"] == "both"]
    assert len(both) == 16
    assert all(sample["muted_answer"] is not None for sample in both)
    assert len(list((tmp_path / "demo" / "media").iterdir())) == 8
    assert Counter(sample["task"] for sample in result["tasks"]) == dict.fromkeys(TASK_SCENES, 2)
    for sample in result["tasks"]:
        right = {text.rstrip(".").casefold() for text in sample["references"]}
        assert sample["correct"] == (sample["answer"].rstrip(".").casefold() in right)
    assert json.loads((tmp_path / "demo" / "results.json").read_text()) == result


def test_export_writes_a_model_folder(capsys, tiny_model_dir, tmp_path):
    assert main(["export", str(tiny_model_dir), str(tmp_path / "out")]) == 0
    assert str(tmp_path / "out") in capsys.readouterr().out
    assert (tmp_path / "out" / "pipeline_favor.py").is_file()
