# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Folders assembled from public checkpoints are complete: they answer about a clip, here and as remote code."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from favor.model_folder import assemble_folder
from favor.modeling_favor import FavorForConditionalGeneration, VideoTextToTextPipeline
from favor.processing import FavorProcessor
from tests.assembly.source_checkpoints import (
    PREPROCESSOR,
    make_language_model,
    make_tokenizer,
    make_vision,
    make_whisper,
)

QUESTION = "What does she say when the door opens?"
CAUSAL_QFORMER = {
    "hidden_size": 24,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "num_query_tokens": 5,
    "window_frames": 3,
    "initializer_range": 0.3,  # large: a random model's answers must depend on what it is given
}
PROJECTOR = {"model_type": "favor_projector", "audio_pool_size": 25, "initializer_range": 0.3}
# Language model, vision checkpoint, connector.
COMBINATIONS = {
    "vicuna-instructblip": ("llama", "instructblip", CAUSAL_QFORMER),
    "vicuna-blip2": ("llama", "blip-2", CAUSAL_QFORMER),
    "qwen3-siglip": ("qwen3", "siglip", CAUSAL_QFORMER),
    "phi-siglip-projector": ("phi", "siglip", PROJECTOR),
    "gpt_neox-clip": ("gpt_neox", "clip", CAUSAL_QFORMER),
    "qwen3_moe-dinov2": ("qwen3_moe", "dinov2", CAUSAL_QFORMER),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[tuple[str, str], Path]:
    """Every stand-in that the combinations need; not to be written to."""
    folder = tmp_path_factory.mktemp("sources")
    made = {("whisper", "whisper"): make_whisper(folder / "whisper", "sharded")}
    for llm, vision, _ in COMBINATIONS.values():
        for part, kind, make in (("llm", llm, make_language_model), ("vision", vision, make_vision)):
            if (part, kind) not in made:
                made[part, kind] = make(folder / part / kind, kind, "sharded")
    return made


@pytest.fixture(scope="module")
def assembled(sources, tmp_path_factory):
    """Assembles a combination once."""
    folder = tmp_path_factory.mktemp("assembled")

    def assemble(name: str) -> Path:
        llm, vision, connector = COMBINATIONS[name]
        if not (folder / name).exists():
            parts = parts_of(sources, llm, vision)
            assemble_folder(**parts, out_dir=folder / name, connector_config=connector, max_shard_size="300KB")
        return folder / name

    return assemble


def parts_of(sources: dict, llm: str = "llama", vision: str = "instructblip") -> dict[str, Path]:
    return {"llm": sources["llm", llm], "whisper": sources["whisper", "whisper"], "vision": sources["vision", vision]}


@pytest.mark.parametrize("name", COMBINATIONS)
def test_an_assembled_folder_answers_about_a_clip(assembled, media_dir, name):
    folder = assembled(name)
    model, loading = FavorForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not any(loading.values()), loading
    processor = FavorProcessor.from_pretrained(folder)
    pipe = VideoTextToTextPipeline(model=model.eval(), processor=processor, device="cpu")
    clip = str(media_dir / "clip.mp4")
    options = {"text": QUESTION, "max_new_tokens": 6, "do_sample": False}
    answer = pipe(video=clip, **options)[0]
    assert answer["media"]["audio_seconds"] == pytest.approx(3.0, abs=0.1)
    inputs = processor(text=f"<video> {QUESTION}", videos=clip, return_tensors="pt")
    with torch.no_grad():
        heard = model(**inputs).logits
        muted = model(**{**inputs, "input_features": inputs["input_features"] * -1}).logits
        seen = model(**{**inputs, "pixel_values_videos": inputs["pixel_values_videos"] * -1}).logits
    assert torch.isfinite(heard).all()
    assert not torch.allclose(heard, muted), "sound matters"
    assert not torch.allclose(heard, seen), "pictures matter"
    assert ("qformer_input_ids" in inputs) == ("instructblip" in name)


def test_an_assembled_folder_runs_as_remote_code(assembled, media_dir, tmp_path):
    """In another process, where this package cannot be imported."""
    script = (
        "import sys, json\n"
        "from transformers import AutoModel, AutoProcessor, pipeline\n"
        "answers = []\n"
        "for folder in sys.argv[2:]:\n"
        "    model = AutoModel.from_pretrained(folder, trust_remote_code=True)\n"
        "    AutoProcessor.from_pretrained(folder, trust_remote_code=True)\n"
        "    assert not [name for name in sys.modules if name.startswith('favor.modeling_favor')]\n"
        "    pipe = pipeline('video-text-to-text', model=folder, trust_remote_code=True)\n"
        f"    options = dict(text={QUESTION!r}, max_new_tokens=6, do_sample=False)\n"
        "    answers.append(pipe(video=sys.argv[1], **options)[0]['generated_text'])\n"
        "print(json.dumps(answers))\n"
    )
    (tmp_path / "run.py").write_text(script)
    folders = [assembled(name) for name in ("vicuna-instructblip", "qwen3-siglip", "phi-siglip-projector")]
    clip = str(media_dir / "clip.mp4")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["HF_HOME"] = str(tmp_path / "hf")
    command = [sys.executable, "-P", tmp_path / "run.py", clip, *folders]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for folder, answer in zip(folders, json.loads(done.stdout.splitlines()[-1]), strict=True):
        model = FavorForConditionalGeneration.from_pretrained(folder)
        pipe = VideoTextToTextPipeline(
            model=model.eval(), processor=FavorProcessor.from_pretrained(folder), device="cpu"
        )
        here = pipe(video=clip, text=QUESTION, max_new_tokens=6, do_sample=False)
        assert here[0]["generated_text"] == answer


@pytest.mark.parametrize("name", ["qwen3-siglip", "phi-siglip-projector"])
def test_an_assembled_model_trains(assembled, media_dir, name):
    """One step on the connector changes the loss; the encoders stay as their sources."""
    model = FavorForConditionalGeneration.from_pretrained(assembled(name))
    processor = FavorProcessor.from_pretrained(assembled(name))
    inputs = processor(text=f"<video> {QUESTION}", videos=str(media_dir / "clip.mp4"), return_tensors="pt")
    labels = inputs["input_ids"].masked_fill(inputs["input_ids"] == processor.video_token_id, -100)
    model.requires_grad_(False)
    model.model.connector.requires_grad_(True)
    optimizer = torch.optim.SGD(model.model.connector.parameters(), lr=1e-3)
    losses = []
    for _ in range(3):
        loss = model(**inputs, labels=labels).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0]


def test_special_tokens_and_padding(assembled, sources):
    vicuna, qwen = (FavorProcessor.from_pretrained(assembled(name)) for name in ("vicuna-blip2", "qwen3-siglip"))
    for processor, llm in ((vicuna, "llama"), (qwen, "qwen3")):
        tokenizer = processor.tokenizer
        size = len(make_tokenizer(qwen_like=llm == "qwen3"))
        ids = [processor.video_token_id, processor.image_token_id, processor.audio_token_id]
        assert ids == [size, size + 1, size + 2], "added at the end; no other token moves"
        assert tokenizer.padding_side == "left"
        assert tokenizer("a<video>b", add_special_tokens=False)["input_ids"][1] == ids[0]
        folder = assembled("vicuna-blip2" if llm == "llama" else "qwen3-siglip")
        generation = json.loads((folder / "generation_config.json").read_text())
        assert generation["suppress_tokens"] == ids
        assert generation["pad_token_id"] == tokenizer.pad_token_id is not None
        assert (generation["temperature"], generation["do_sample"]) == (0.9, True)
        config = json.loads((folder / "config.json").read_text())
        assert config["video_token_id"] == ids[0]
    assert vicuna.tokenizer.pad_token == "<unk>"
    assert qwen.tokenizer.pad_token == "<|endoftext|>"


def test_a_tokenizer_without_beginning_of_sequence_prints_none(assembled):
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]
    rendered = {
        name: FavorProcessor.from_pretrained(assembled(name)).apply_chat_template(chat, tokenize=False)
        for name in ("vicuna-blip2", "qwen3-siglip")
    }
    assert rendered["vicuna-blip2"] == "<s>USER: Hi\nASSISTANT: Ho</s>"
    assert rendered["qwen3-siglip"] == "USER: Hi\nASSISTANT: Ho<|im_end|>"


def test_pictures_and_sound_are_prepared_as_the_sources_say(assembled):
    processor = FavorProcessor.from_pretrained(assembled("qwen3-siglip"))
    assert list(processor.video_processor.image_mean) == PREPROCESSOR["image_mean"]
    assert list(processor.video_processor.image_std) == PREPROCESSOR["image_std"]
    assert processor.video_processor.frame_size == {"height": 16, "width": 16}
    assert processor.feature_extractor.feature_size == 8
    assert processor.feature_extractor.return_attention_mask
    assert processor.qformer_tokenizer is None
    assert FavorProcessor.from_pretrained(assembled("vicuna-instructblip")).qformer_tokenizer is not None


def test_mean_and_deviation_may_stand_in_processor_config(sources, tmp_path):
    parts = parts_of(sources, vision="siglip")
    parts["vision"] = Path(shutil.copytree(parts["vision"], tmp_path / "vision"))
    (parts["vision"] / "preprocessor_config.json").unlink()
    (parts["vision"] / "processor_config.json").write_text(json.dumps({"image_processor": PREPROCESSOR}))
    assemble_folder(**parts, out_dir=tmp_path / "out", connector_config=CAUSAL_QFORMER)
    video_processor = FavorProcessor.from_pretrained(tmp_path / "out").video_processor
    assert list(video_processor.image_std) == PREPROCESSOR["image_std"]


def test_a_chat_template_of_ones_own(sources, tmp_path):
    template = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    parts = parts_of(sources, vision="siglip")
    assemble_folder(**parts, out_dir=tmp_path / "out", connector_config=CAUSAL_QFORMER, chat_template=template)
    assert (tmp_path / "out" / "chat_template.jinja").read_text() == template


def test_provenance_names_sources_and_no_path(sources, tmp_path):
    report = assemble_folder(**parts_of(sources), out_dir=tmp_path / "out", connector_config=CAUSAL_QFORMER)
    content = json.loads((tmp_path / "out" / "assembly.json").read_text())
    assert content["parts"]["language_model"] == {"source": "llama", "model_type": "llama", "tensors": 21}
    assert content["parts"]["audio_tower"]["source"] == "whisper"
    assert content["parts"]["vision_tower"]["tensors"] == report.parts[2].tensors
    assert "must be trained" in content["connector"]
    for file in (tmp_path / "out").glob("*.json"):
        assert str(tmp_path.parent) not in file.read_text(), file.name


BROKEN = {
    "tokenizer.json": (
        "llm",
        lambda folder: (folder / "tokenizer.json").unlink(),
        r"llm .*llm holds no tokenizer: download its tokenizer files",
    ),
    "Llama's tokenizer without its files": (
        "llm",
        lambda folder: [
            (folder / "tokenizer.json").unlink(),
            (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer"}'),
        ],
        r"llm .*llm holds (no tokenizer|a tokenizer of \d+ tokens)",
    ),
    "qformer_tokenizer": (
        "vision",
        lambda folder: shutil.rmtree(folder / "qformer_tokenizer"),
        r"vision .*qformer_tokenizer does not exist",
    ),
    "picture values": (
        "vision",
        lambda folder: (folder / "preprocessor_config.json").unlink(),
        r"vision .* has no preprocessor_config.json",
    ),
    "mean": (
        "vision",
        lambda folder: (folder / "preprocessor_config.json").write_text('{"image_std": [1, 1, 1]}'),
        r"vision .*: its preprocessor_config.json has no image_mean",
    ),
    "mel bins": (
        "whisper",
        lambda folder: edit_json(folder / "preprocessor_config.json", {"feature_size": 16}),
        r"makes 16 mel bins, its encoder reads 8",
    ),
    "chunks": (
        "whisper",
        lambda folder: edit_json(folder / "preprocessor_config.json", {"nb_max_frames": 3000, "chunk_length": 30}),
        r"makes chunks of 3000 mel frames, its encoder reads 200",
    ),
}


def edit_json(file: Path, values: dict) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize("name", BROKEN)
def test_sources_that_lack_a_file_are_refused_and_nothing_is_left(sources, tmp_path, name):
    part, damage, message = BROKEN[name]
    parts = parts_of(sources)
    parts[part] = Path(shutil.copytree(parts[part], tmp_path / "sources" / part))
    damage(parts[part])
    with pytest.raises(ValueError, match=message):
        assemble_folder(**parts, out_dir=tmp_path / "out", connector_config=CAUSAL_QFORMER)
    assert [path.name for path in tmp_path.iterdir()] == ["sources"]


def test_a_failure_half_way_leaves_nothing_and_a_model_is_not_overwritten(sources, tmp_path, monkeypatch):
    parts = parts_of(sources, vision="siglip")
    out = tmp_path / "out"
    assemble_folder(**parts, out_dir=out, connector_config=CAUSAL_QFORMER)
    with pytest.raises(ValueError, match="not empty"):
        assemble_folder(**parts, out_dir=out, connector_config=CAUSAL_QFORMER)

    def fail(*arguments, **options):
        raise OSError("disk full")

    before = {file.name: file.read_bytes() for file in out.iterdir() if file.is_file()}
    monkeypatch.setattr("favor.assembly.model_parts.save_file", fail)
    with pytest.raises(OSError, match="disk full"):
        assemble_folder(**parts, out_dir=out, connector_config=CAUSAL_QFORMER, overwrite=True, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert {file.name: file.read_bytes() for file in out.iterdir() if file.is_file()} == before
    monkeypatch.undo()
    assemble_folder(**parts, out_dir=out, connector_config=CAUSAL_QFORMER, overwrite=True, seed=1)
    assert (out / "model.safetensors").read_bytes() != before["model.safetensors"]
