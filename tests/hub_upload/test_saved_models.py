# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Models keep the complete code, whoever saves them: the trainer, transformers, people without this package."""

import json

import pytest

from .hub_client import HubClient
from .hub_server import WRITER
from .test_export import CODE_FILES

QUESTION = "Which sound is heard first?"
TRAIN = """
from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor
from favor.trainers import FavorSFTConfig, FavorSFTTrainer, load_manifest

model = FavorForConditionalGeneration.from_pretrained("org/start")
processor = FavorProcessor.from_pretrained("org/start")
arguments = FavorSFTConfig(
    output_dir="tuned", max_steps=1, per_device_train_batch_size=2, report_to="none", save_strategy="no",
    hub_model_id="org/by-trainer", hub_private_repo=True, push_to_hub=True,
)
trainer = FavorSFTTrainer(
    model=model, processing_class=processor, args=arguments, train_dataset=load_manifest({data!r}, limit=2)
)
trainer.train()
trainer.push_to_hub()
"""
BY_STRANGER = """
from transformers import AutoModel, AutoProcessor
model = AutoModel.from_pretrained("org/start", trust_remote_code=True)
model.push_to_hub("org/by-stranger", private=True)
AutoProcessor.from_pretrained("org/start", trust_remote_code=True).push_to_hub("org/by-stranger")
"""
BY_PACKAGE = """
from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor
start = FavorForConditionalGeneration.from_pretrained("org/start")
start.config.auto_map = start.config.custom_pipelines = None  # as of a model that was never published
start.push_to_hub("org/by-package", private=True)
FavorProcessor.from_pretrained("org/start").push_to_hub("org/by-package")
"""
ASK = """
from transformers import pipeline
pipe = pipeline("video-text-to-text", model={name!r}, trust_remote_code=True)
value = pipe(video={clip!r}, text={question!r})[0]["generated_text"]
"""


@pytest.fixture(scope="module")
def writing_stranger(hub, clean_python, tmp_path_factory):
    """Somebody without this package who may write."""
    with HubClient(hub.url, WRITER, tmp_path_factory.mktemp("writer"), python=clean_python) as running:
        yield running


@pytest.fixture(scope="module")
def saved(hub, client, writing_stranger, tiny_model_dir, questions_dir):
    assert client.favor("push", tiny_model_dir, "org/start").status == 0
    client.python(TRAIN.format(data=str(questions_dir / "train.jsonl")))
    client.python(BY_PACKAGE)
    writing_stranger.python(BY_STRANGER)


@pytest.mark.parametrize("name", ["org/by-trainer", "org/by-package", "org/by-stranger"])
def test_what_was_pushed_loads_and_answers(name, saved, hub, stranger, media_dir):
    files = hub.files("model", name)
    assert set(files) >= CODE_FILES
    clip = str(media_dir / "clip.mp4")
    answer = stranger.python(ASK.format(name=name, clip=clip, question=QUESTION))
    assert answer
    config = json.loads(files["config.json"])
    assert "--" not in json.dumps([config["auto_map"], config["custom_pipelines"]]), "code of another repository"
    if name != "org/by-trainer":
        assert answer == stranger.python(ASK.format(name="org/start", clip=clip, question=QUESTION))


def test_favor_push_tidies_what_a_trainer_left(saved, hub, client):
    assert "training_args.bin" in hub.files("model", "org/by-trainer"), "the trainer itself uploads it"
    pushed = client.favor("push", "tuned", "org/tuned")
    assert pushed.status == 0, pushed.err
    assert "left out: training_args.bin" in pushed.out
    assert set(hub.files("model", "org/tuned")) >= CODE_FILES | {"README.md", "architecture.png"}
