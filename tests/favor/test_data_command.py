# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor data`: what it counts, what it calls broken, and a page of samples that needs no server and runs nothing."""

import json
import re
from html.parser import HTMLParser

import pytest

from favor.cli import main
from favor.data_page import histogram, survey_page
from favor.trainers import FavorDataCollator, load_manifest
from favor.trainers.data_survey import see, survey

QUESTION = 'What is <b>"it"</b> & why?'
ANSWER = {"role": "assistant", "content": "A <script>alert(1)</script>."}


@pytest.fixture(scope="module")
def manifest(media_dir, tmp_path_factory):
    """Five good samples, and one of each kind of broken ones."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "media").symlink_to(media_dir)
    (folder / "broken.mp4").write_bytes(b"no video")
    turns = [{"role": "user", "content": QUESTION}, ANSWER]
    blocks = [{"type": "video", "path": "media/silent.mp4"}, {"type": "image", "path": "media/photo.png"}]
    asked = {"role": "user", "content": [*blocks, {"type": "text", "text": "Which?"}]}
    lines = [
        {"messages": turns, "video": "media/clip.mp4", "task": "colours"},
        {"messages": turns, "image": "media/photo.png", "task": "colours"},
        {"messages": turns, "audio": "media/sound.wav", "family": "sounds"},
        {"messages": turns},
        {"messages": [asked, ANSWER]},
        {"messages": turns, "video": "broken.mp4"},
        {"messages": turns, "video": "gone.mp4"},
        {"messages": turns[:1]},
        {"messages": turns, "videos": "media/clip.mp4"},
        [1],
    ]
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_what_is_counted_and_what_is_broken(manifest, tiny_parts):
    processor = tiny_parts[1]
    found = survey(str(manifest), processor, show=2)
    assert found.kinds == {"video": 1, "image": 1, "audio": 1, "text alone": 1, "video + image": 1}
    assert found.tasks == {"colours": 2, "sounds": 1}
    assert [error.reason for error in found.broken] == [
        *("unreadable media", "malformed", "no answer", "malformed", "malformed")
    ]
    assert [re.search(r"line (\d+)", str(error))[1] for error in found.broken] == ["6", "7", "8", "9", "10"]
    assert found.seen == [3.0, found.seen[1]] and found.heard == pytest.approx([3.0, 2.5], abs=0.1)
    assert len(found.shown) == 1 and found.samples == 10  # of places 0 and 9, of which the second is broken
    rows = list(load_manifest(manifest, limit=5))
    lengths = [int(FavorDataCollator(processor)([row])["attention_mask"].sum()) for row in rows]
    assert found.tokens == lengths


def test_a_sample_is_shown_as_the_model_sees_it(manifest, tiny_parts):
    processor = tiny_parts[1]
    row = load_manifest(manifest, limit=1)[0]
    seen = see(processor, row)
    (item,) = seen.items
    batch = FavorDataCollator(processor)([row])
    assert item.pictures.shape[1:] == (32, 32, 3) and len(item.pictures) == batch["pixel_values_videos"].shape[1]
    assert item.query_tokens == int((batch["input_ids"] == processor.video_token_id).sum())
    learnt = [text for text, is_learnt in seen.texts if is_learnt]
    said = batch["labels"][0]
    assert learnt == [processor.tokenizer.decode(said[said != -100])]
    assert f"[{item.query_tokens} query tokens]" in [text for text, _ in seen.texts]


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_the_page_is_one_file_and_its_text_is_text(manifest, tiny_parts):
    page = survey_page('<i>"data"</i>', survey(str(manifest), tiny_parts[1], limit=5, show=5))
    parser = Tags()
    parser.feed(page)
    assert {tag for tag, _ in parser.found} == {
        *("html", "meta", "title", "style", "h1", "h2", "pre", "p", "span", "section", "img", "svg", "rect")
    }
    pictures = [attributes["src"] for tag, attributes in parser.found if tag == "img"]
    assert len(pictures) > 3 and all(source.startswith("data:image/jpeg;base64,") for source in pictures)
    assert "http" not in re.sub(r"data:image/jpeg;base64,[\w+/=]+", "", page)
    assert page.count("<section>") == 5 and page.count("<svg") == 2
    assert "<title>&lt;i&gt;&quot;data&quot;&lt;/i&gt;</title>" in page


def test_the_command(manifest, tiny_model_dir, tmp_path, capsys):
    page = tmp_path / "pages" / "data.html"
    assert main(["data", str(manifest), "--model", str(tiny_model_dir), "--page", str(page), "--samples", "3"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"{manifest}: 10 samples, 5 of them broken" and printed[-1] == str(page)
    assert "media: 1 audio, 1 image, 1 text alone, 1 video, 1 video + image" in printed
    assert sum(line.startswith("broken (") for line in printed) == 5
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert main(["data", str(manifest), "--samples", "0"]) == 2
    assert main(["data", str(manifest.with_name("gone.jsonl"))]) == 2


def test_histogram():
    assert histogram([]) == []
    assert [line.split()[-1] for line in histogram([3, 4, 25])] == [*"2000000", "1"]
    assert sum(int(line.split()[-1]) for line in histogram(list(range(100)))) == 100
    assert histogram([7]) == [f"  7 to 7 {'#' * 40} 1"]


@pytest.mark.parametrize("name", ["wandb", "trackio", "mlflow"])
def test_tools_that_are_not_installed_are_refused(name, tmp_path, monkeypatch):
    from favor import FavorDPOConfig, FavorGRPOConfig, FavorSFTConfig

    monkeypatch.setattr("favor.trainers.shared_options.get_available_reporting_integrations", lambda: ["tensorboard"])
    for config in (FavorSFTConfig, FavorDPOConfig, FavorGRPOConfig):
        with pytest.raises(ValueError, match=f"report_to names {name}, which is not installed: pip install {name}"):
            config(output_dir=str(tmp_path), report_to=["tensorboard", name])
    monkeypatch.setattr("favor.trainers.shared_options.get_available_reporting_integrations", lambda: [name])
    assert FavorSFTConfig(output_dir=str(tmp_path), report_to=name).report_to == [name]
