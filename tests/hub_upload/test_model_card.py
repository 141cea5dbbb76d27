# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The model card: metadata that the Hub accepts, code that runs as pasted, facts from files and from nowhere else."""

import io
import json
import re
import shlex
import shutil

import pytest
from PIL import Image

from favor.commands.push import read_scores
from favor.hub_upload.architecture_picture import architecture_picture
from favor.hub_upload.model_card import CardFacts
from favor.hub_upload.model_parts import model_parts
from favor.hub_upload.push import model_repository
from favor.hub_upload.upload import Destination

RESULTS = {
    "model": "favor-random",
    "tasks": {
        "asr": {"metric": "wer", "value": 0.1, "ci95": [0.08, 0.12], "n": 200, "published_samples": 2620},
        "avqa": {"metric": "accuracy", "value": 0.5, "n": 40},
        "judged": {"metric": "gpt_accuracy", "value": None, "ci95": None, "n": 0, "reason": "not computed: no judge"},
    },
}
RECIPE = """
output_dir: /scratch/somebody/run
train_data: /scratch/somebody/data/train.jsonl
seed: 3
lora: {rank: 8}
sft: {learning_rate: 1.0e-4, max_steps: 7}
stages:
  - sft: {warmup_steps: 2}
"""
STATE = {
    "global_step": 7,
    "epoch": 1.5,
    "train_batch_size": 4,
    "log_history": [{"loss": 3.0, "step": 1}, {"loss": 2.5, "step": 7}, {"train_runtime": 1.0, "step": 7}],
}


@pytest.fixture
def results(tmp_path):
    file = tmp_path / "out" / "results.json"
    file.parent.mkdir()
    file.write_text(json.dumps(RESULTS))
    return file


@pytest.fixture
def model_dir(tiny_model_dir, tmp_path):
    return shutil.copytree(tiny_model_dir, tmp_path / "model")


def card(folder, *, base_model=None, overwrite=False, **facts):
    """README.md as it would be uploaded."""
    if "results" in facts:
        facts["scores"] = read_scores(facts.pop("results"))
    destination = Destination("org/mine")
    with model_repository(folder, destination, CardFacts(**facts), False, base_model, overwrite) as outgoing:
        return outgoing.source("README.md").read_text()


def test_the_hub_accepts_the_metadata_and_reads_the_results(hub, client, tiny_model_dir, results):
    pushed = client.favor(
        *("push", tiny_model_dir, "org/card", "--license", "mit", "--language", "en", "--dataset", "org/data"),
        *("--base-model", "org/base", "--results", results, "--eval-dataset", "org/aveb"),
    )
    assert pushed.status == 0, pushed.err
    data = client.python(
        "from huggingface_hub import HfApi, ModelCard\ncard = ModelCard.load('org/card')\ncard.validate()\n"
        "value = card.data.to_dict()"
    )
    index = data.pop("model-index")
    assert data == {
        "license": "mit",
        "language": ["en"],
        "library_name": "transformers",
        "pipeline_tag": "video-text-to-text",
        "tags": ["favor", "audio-visual", "video", "audio"],
        "base_model": ["org/base"],
        "base_model_relation": "finetune",
        "datasets": ["org/data"],
    }
    assert [result["metrics"][0]["value"] for result in index[0]["results"]] == [0.1, 0.5]
    found = client.python(
        "info = HfApi().model_info('org/card', expand=['evalResults'])\n"
        "value = [[entry.dataset_id, entry.task_id, entry.value] for entry in info.eval_results]"
    )
    assert found == [["org/aveb", "asr", 0.1], ["org/aveb", "avqa", 0.5]]


def test_the_code_runs_as_pasted(hub, client, stranger, tiny_model_dir, media_dir):
    pushed = client.favor("push", tiny_model_dir, "org/pasted")
    assert pushed.status == 0, pushed.err
    text = hub.files("model", "org/pasted")["README.md"].decode()
    blocks = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
    assert [language for language, _ in blocks] == ["python", "python", "bash", "bibtex"]
    for running in (stranger, client):
        shutil.copyfile(media_dir / "clip.mp4", running.folder / "clip.mp4")
    printed = [stranger.python(code) for language, code in blocks if language == "python"]
    for language, code in blocks:
        if language == "bash":
            program, *arguments = shlex.split(code)
            asked = client.favor(*arguments)
            assert program == "favor" and asked.status == 0, asked.err
            printed.append(asked.out)
    assert all(answer.strip() for answer in printed)
    assert printed[0].strip() == printed[2].strip()


def test_results_are_shown_with_interval_and_number(tiny_model_dir, results):
    text = card(tiny_model_dir, results=results)
    assert "| asr | wer | 0.1 | 0.08 to 0.12 | 200 of 2620 samples |" in text
    assert "| avqa | accuracy | 0.5 | not stated | 40 samples |" in text
    assert "| judged | gpt_accuracy | not computed: no judge | not stated | 0 samples |" in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tasks": {}}, "no `tasks`"),
        ({"tasks": {"asr": {"metric": "wer", "value": "good"}}}, "it must be a number or null"),
        ({"system": "whisper"}, "the system 'whisper'"),
        ({"controls": {"audio": "off", "video": "on"}}, "a control run, no audio"),
        ({"controls": {"no_audio": True, "seed": 0}}, "controls.no_audio is no control"),
    ],
)
def test_results_of_another_kind_are_refused(changes, said, tiny_model_dir, results):
    results.write_text(json.dumps(RESULTS | changes))
    with pytest.raises(ValueError, match=said):
        card(tiny_model_dir, results=results)


def test_what_no_file_says_is_said_to_be_missing(tiny_model_dir):
    text = card(tiny_model_dir)
    for sentence in (
        "Training data: not stated.",
        "Hyper-parameters: not stated.",
        "No results are stated.",
        "| licence | not stated |",
        "Not stated: what the model was trained on.",
    ):
        assert sentence in text
    assert "license:" not in text and "model-index" not in text and "base_model" not in text


def test_the_run_is_read_from_its_own_files(model_dir, tmp_path):
    (model_dir / "trainer_state.json").write_text(json.dumps(STATE))
    (model_dir / "recipe.yaml").write_text(RECIPE)
    text = card(model_dir)
    for row in (
        "| train_data | train.jsonl |",
        "| lora.rank | 8 |",
        "| learning_rate | 0.0001 |",
        "| stage 1: warmup_steps | 2 |",
        "| optimisation steps | 7 |",
        "| last logged loss | 2.5 (step 7) |",
    ):
        assert row in text
    assert "somebody" not in text


def test_the_newest_checkpoint_tells_of_the_run(model_dir):
    for step in (9, 10):
        (model_dir / f"checkpoint-{step}").mkdir()
        (model_dir / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    assert "| optimisation steps | 10 |" in card(model_dir)


def test_parts_that_packages_brought_are_named_with_origin_licence_and_precision(model_dir):
    facts = {"licence": "MIT", "origin": "openai/whisper-base, converted", "precision": "float16"}
    parts = {"audio_tower": {**facts, "packages": ["a-part1 1.0", "a-part2 1.0"]}, "vision_tower": {"source": "mine"}}
    (model_dir / "assembly.json").write_text(json.dumps({"parts": parts}))
    text = card(model_dir)
    row = "| origin of the audio tower | openai/whisper-base, converted. Licence: MIT. Precision: float16. "
    assert f"{row}From `a-part1 1.0`, `a-part2 1.0` |" in text
    assert "origin of the vision tower" not in text


def test_a_card_written_by_hand_stays(model_dir):
    mine = "---\nlicense: mit\n---\n# Mine\n\nBy hand.\n"
    (model_dir / "README.md").write_text(mine)
    assert card(model_dir) == mine
    assert "favor:begin usage" in card(model_dir, overwrite=True)
    (model_dir / "README.md").write_text("---\ntags: [generated_from_trainer]\n---\n# outputs\n")
    assert "favor:begin usage" in card(model_dir)


def test_text_and_metadata_that_users_add_survive(model_dir):
    text = card(model_dir, license="mit")
    text = text.replace("license: mit", "license: mit\nthumbnail: https://example.org/x.png")
    text = text.replace("## Training\n", "## Who made this\n\nWe did.\n\n## Training\n")
    text = re.sub(r"<!-- favor:begin limits -->.*?<!-- favor:end limits -->", "None known.", text, flags=re.DOTALL)
    (model_dir / "README.md").write_text(text)
    again = card(model_dir, languages=("en",))
    assert "We did." in again and "None known." in again and "favor:begin limits" not in again
    assert "thumbnail: https://example.org/x.png" in again and "license: mit" in again
    assert "| languages | en |" in again
    (model_dir / "README.md").write_text(again)
    assert card(model_dir, languages=("en",)) == again


def test_card_only_writes_into_the_folder(client, model_dir, results):
    done = client.favor("push", model_dir, "org/mine", "--card-only", "--results", results)
    assert done.status == 0, done.err
    assert (model_dir / "README.md").read_text() == card(model_dir, results=results)
    assert (model_dir / "architecture.png").is_file()


def test_the_picture_shows_the_parts_of_the_config(tiny_model_dir):
    config = json.loads((tiny_model_dir / "config.json").read_text())
    picture = architecture_picture(model_parts(config))
    assert picture == architecture_picture(model_parts(config))
    image = Image.open(io.BytesIO(picture))
    assert image.format == "PNG" and image.width > 1000
    assert picture != architecture_picture(model_parts(config | {"qformer_config": None}))
    architecture_picture(model_parts(config | {"connector_config": {"model_type": "favor_projector"}}))


def test_convolutions_are_told_by_the_width_of_their_vectors():
    sizes = {"width_coefficient": 0.25, "depth_coefficient": 0.2, "image_size": 32, "hidden_dim": 320}
    vision = {"model_type": "efficientnet", "num_hidden_layers": 64, **sizes}
    config = {"vision_config": vision, "audio_config": {"d_model": 20, "encoder_layers": 2}, "frame_rate": 1.0}
    config |= {"text_config": {"hidden_size": 8}, "connector_config": {}, "audio_encoder_rate": 50.0}
    assert model_parts(config).vision.described == "`efficientnet`, vectors of 320"
    assert model_parts(config).audio.sizes == "2 layers of 20"
    architecture_picture(model_parts(config))
