# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The exported folder works where this package is not installed, with transformers, torch, pillow, PyAV and jinja2."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from favor.modeling_favor import VideoTextToTextPipeline

from .clean_environment import make_environment

QUESTION = "Which sound is heard first?"
SCRIPT = Path(__file__).with_name("remote_code_answers.py")


@pytest.fixture(scope="module")
def remote(tiny_model_dir, media_dir, tmp_path_factory) -> dict:
    """What the clean environment printed."""
    folder = tmp_path_factory.mktemp("clean")
    python = make_environment(folder / "venv")
    (folder / "work").mkdir()
    command = [python, "-P", SCRIPT, tiny_model_dir, media_dir, QUESTION]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=folder / "work", env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_auto_classes_give_favor(remote):
    assert remote["classes"] == [
        "FavorConfig",
        "FavorForConditionalGeneration",
        "FavorProcessor",
        "FavorForConditionalGeneration",
        "VideoTextToTextPipeline",
    ]


def test_answers_equal_those_of_the_package(remote, tiny_parts, media_dir):
    model, processor = tiny_parts
    pipe = VideoTextToTextPipeline(model=model, processor=processor, device="cpu")
    clip = str(media_dir / "clip.mp4")
    ours = [
        pipe(video=clip, text=QUESTION),
        pipe(video=clip, text=QUESTION, load_audio_from_video=False),
        pipe(image=str(media_dir / "photo.png"), text=QUESTION),
        pipe(audio=str(media_dir / "sound.wav"), text=QUESTION),
        pipe(video=clip, text=QUESTION),  # the remote one by a pipeline that was saved and loaded again
    ]
    ours = [answer[0]["generated_text"] for answer in ours]
    assert remote["answers"] == ours
    assert len(set(ours[:4])) == 4, "the random model must answer differently to different inputs"
