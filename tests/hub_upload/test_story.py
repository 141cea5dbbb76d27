# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The whole way against the stand-in Hub: push a base, train on pushed data, push adapter and sum, load elsewhere."""

import json

import pytest

from .hub_client import HubClient
from .test_export import CODE_FILES

QUESTION = "Which sound is heard first?"
TRAIN = """
import torch
from huggingface_hub import snapshot_download
from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor
from favor.trainers import FavorSFTConfig, FavorSFTTrainer, load_manifest, lora_config

torch.manual_seed(0)
data = snapshot_download("org/questions", repo_type="dataset")
model = FavorForConditionalGeneration.from_pretrained("org/base")
processor = FavorProcessor.from_pretrained("org/base")
arguments = FavorSFTConfig(
    output_dir="adapter", max_steps=2, per_device_train_batch_size=2, learning_rate=1e-2, report_to="none",
    save_strategy="no",
)
trainer = FavorSFTTrainer(
    model=model, processing_class=processor, args=arguments,
    train_dataset=load_manifest(f"{data}/train.jsonl", limit=4),
    peft_config=lora_config(rank=4, alpha=4),
)
trainer.train()
trainer.save_model()
trainer.save_state()
model = trainer.model.eval()
"""
LOGITS = """
import torch
content = [{{"type": "video", "path": {clip!r}}}, {{"type": "text", "text": {question!r}}}]
chat = [{{"role": "user", "content": content}}]
inputs = processor.apply_chat_template(
    chat, tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True, load_audio_from_video=True
)
with torch.no_grad():
    value = model(**inputs).logits[0, -1].tolist()
"""
LOAD = """
from transformers import AutoModel, AutoProcessor
model = AutoModel.from_pretrained({name!r}, trust_remote_code=True, revision={revision!r}).eval()
processor = AutoProcessor.from_pretrained({name!r}, trust_remote_code=True, revision={revision!r})
"""
LOAD_ADAPTER = """
from peft import PeftModel
model = PeftModel.from_pretrained(model, "org/adapter").eval()
"""
PIPE = """
from transformers import pipeline
pipe = pipeline("video-text-to-text", model={name!r}, trust_remote_code=True)
value = pipe(video={clip!r}, text={question!r})[0]["generated_text"]
"""


def load(name, revision=None):
    return LOAD.format(name=name, revision=revision)


@pytest.fixture(scope="module")
def clip(media_dir):
    return str(media_dir / "clip.mp4")


@pytest.fixture(scope="module")
def logits(clip):
    return LOGITS.format(clip=clip, question=QUESTION)


@pytest.fixture(scope="module")
def published(hub, client, tiny_model_dir, questions_dir, logits):
    """Base, data, adapter and sum on the Hub; the logits of the base and of the trained model in memory."""
    pushed = [client.favor("push", tiny_model_dir, "org/base", "--license", "mit")]
    pushed += [client.favor("push-dataset", questions_dir, "org/questions", "--license", "cc0-1.0")]
    base = client.python(f"{load('org/base')}{logits}")
    trained = client.python(f"{TRAIN}{logits}")
    facts = ("--license", "mit", "--dataset", "org/questions")
    pushed += [client.favor("push", "adapter", "org/adapter", *facts)]
    pushed += [client.favor("push", "adapter", "org/merged", "--merge", *facts)]
    for done in pushed:
        assert done.status == 0, done.err
    return {"base": base, "trained": trained}


def test_training_changed_the_model(published):
    assert max(abs(a - b) for a, b in zip(published["base"], published["trained"], strict=True)) > 1e-3


def test_the_base_gives_the_same_logits_where_this_package_is_not(published, stranger, logits):
    assert stranger.python(load("org/base") + logits) == pytest.approx(published["base"], abs=1e-5)


def test_the_adapter_gives_the_logits_of_the_trained_model(published, stranger, logits):
    given = stranger.python(load("org/base") + LOAD_ADAPTER + logits)
    assert given == pytest.approx(published["trained"], abs=1e-5)


def test_the_merged_model_gives_the_logits_of_the_trained_model(published, stranger, logits):
    assert stranger.python(load("org/merged") + logits) == pytest.approx(published["trained"], abs=1e-4)


def test_the_repositories_hold_what_they_should_and_nothing_else(published, hub):
    adapter, merged = hub.files("model", "org/adapter"), hub.files("model", "org/merged")
    assert {"adapter_config.json", "adapter_model.safetensors", "README.md"} <= set(adapter)
    assert "training_args.bin" not in adapter and "model.safetensors" not in adapter
    assert json.loads(adapter["adapter_config.json"])["base_model_name_or_path"] == "org/base"
    assert CODE_FILES | {"model.safetensors", "README.md"} <= set(merged)
    assert not [name for name in merged if name.startswith("adapter")]


def test_cards_name_the_base_and_the_run(published, client):
    check = (
        "from huggingface_hub import ModelCard\ncard = ModelCard.load({!r})\ncard.validate()\n"
        "value = [card.data.to_dict(), card.text]"
    )
    data, text = client.python(check.format("org/adapter"))
    assert data["base_model"] == ["org/base"] and data["base_model_relation"] == "adapter"
    assert data["library_name"] == "peft" and data["pipeline_tag"] == "video-text-to-text"
    assert data["datasets"] == ["org/questions"]
    assert "| optimisation steps | 2 |" in text
    assert "| adapter | LORA, rank 4, alpha 4 |" in text
    data, text = client.python(check.format("org/merged"))
    assert data["base_model"] == ["org/base"] and data["base_model_relation"] == "finetune"
    assert data["library_name"] == "transformers"


@pytest.mark.parametrize("name", ["org/base", "org/merged", "org/adapter"])
def test_pipeline_and_command_line_answer_alike(name, published, stranger, client, clip):
    answer = stranger.python(PIPE.format(name=name, clip=clip, question=QUESTION))
    asked = client.favor("ask", clip, QUESTION, "--model", name)
    assert asked.status == 0, asked.err
    assert asked.out.strip() == answer


def test_a_pinned_revision_stays_what_it_was(published, hub, client, stranger, clip, logits, tiny_model_dir, tmp_path):
    first = client.favor("push", tiny_model_dir, "org/moves")
    commit = first.out.rstrip().removesuffix(")").split()[-1]
    changed = tmp_path / "merged"
    changed.mkdir()
    for path, content in hub.files("model", "org/merged").items():
        (changed / path).parent.mkdir(exist_ok=True)
        (changed / path).write_bytes(content)
    assert client.favor("push", changed, "org/moves").status == 0
    pinned = stranger.python(load("org/moves", commit) + logits)
    assert pinned == pytest.approx(published["base"], abs=1e-5)
    assert stranger.python(load("org/moves") + logits) == pytest.approx(published["trained"], abs=1e-4)
    of_pin = client.favor("ask", clip, QUESTION, "--model", f"org/moves@{commit}")
    of_base = client.favor("ask", clip, QUESTION, "--model", "org/base")
    assert of_pin.status == 0 and of_pin.out == of_base.out
    assert "no-such" in client.favor("ask", clip, QUESTION, "--model", "org/moves@no-such").error


def test_offline_from_the_cache(published, hub, stranger, clean_python, clip, logits):
    everything = load("org/base") + LOAD_ADAPTER + logits
    expected = stranger.python(everything)
    answer = stranger.python(PIPE.format(name="org/base", clip=clip, question=QUESTION))
    before = len(hub.requests)
    with HubClient("http://127.0.0.1:1", None, stranger.home, python=clean_python, offline=True) as offline:
        assert offline.python(everything) == expected
        assert offline.python(PIPE.format(name="org/base", clip=clip, question=QUESTION)) == answer
    with HubClient("http://127.0.0.1:1", None, stranger.home, offline=True) as offline:
        assert offline.favor("ask", clip, QUESTION, "--model", "org/base").out.strip() == answer
    assert len(hub.requests) == before
