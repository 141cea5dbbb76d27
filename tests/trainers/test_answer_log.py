# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What a run says and logs while it trains stands in pages that open from disk, and goes on when it is resumed."""

import json
import re
from html.parser import HTMLParser

import pytest
import yaml

from favor.__main__ import main
from favor.trainers.answer_log import LOG, ON_PAGE, PAGE, add_answers, forget_answers_after
from favor.trainers.recipe import parse_recipe
from favor.trainers.recipe_run import run_recipe
from favor.trainers.training_curves import FILE, PAUSE, DrawCurves

SAID = {"prompt": "Which <b>?", "answer": 'A <script src="//x">', "reference": "A & B", "correct": False}


class Tags(HTMLParser):
    """The names of a page's tags, and of their attributes."""

    def __init__(self, page: str):
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_a_page_shows_texts_as_texts(tmp_path):
    add_answers(tmp_path, 3, "eval_<i>", [{**SAID, "task": "<u>", "media": ["<s>.mp4"]}, {**SAID, "correct": True}])
    add_answers(tmp_path, 4, "train", [{"prompt": "?", "answer": "-", "rewards": {"a<b": 0.5, "c": None}}])
    page = (tmp_path / PAGE).read_text()
    tags = Tags(page)
    assert tags.names <= {"html", "meta", "title", "style", "h1", "h2", "p", "div", "br", "table", "tr", "th", "td"}
    assert tags.attributes <= {"lang", "charset", "class"} and "http" not in page
    assert "step 3, eval_&lt;i&gt;: 1 of 2 as the reference" in page and "A &amp; B" in page
    assert "a&lt;b: 0.5<br>c: says nothing" in page and page.index("step 4, train") < page.index("step 3, ")
    assert re.findall(r'<td class="(right|wrong)">', page) == ["wrong", "right"]


def test_a_page_does_not_grow_without_end(tmp_path):
    add_answers(tmp_path, 1, "eval", [SAID] * ON_PAGE)
    add_answers(tmp_path, 2, "eval", [SAID] * 3)
    assert (tmp_path / PAGE).read_text().count("<td class=") == ON_PAGE
    assert len((tmp_path / LOG).read_text().splitlines()) == ON_PAGE + 3


def test_what_is_said_again_is_forgotten(tmp_path):
    forget_answers_after(tmp_path, 0)  # nothing was said
    for step in (1, 2, 3):
        add_answers(tmp_path, step, "eval", [{**SAID, "answer": f"line\u2028 {step}"}])
    with open(tmp_path / LOG, "a") as file:
        file.write('{"step": 3, "spl')  # a process was killed
    forget_answers_after(tmp_path, 2)
    assert [json.loads(line)["step"] for line in (tmp_path / LOG).read_text().split("\n")[:-1]] == [1, 2]
    assert "step 2" in (tmp_path / PAGE).read_text() and "step 3" not in (tmp_path / PAGE).read_text()


def test_drawing_takes_a_small_part_of_the_time(tmp_path, monkeypatch):
    clock, drawn = [0.0], []

    def draw(folder, history):
        drawn.append(clock[0])
        clock[0] += 1.0

    monkeypatch.setattr("favor.trainers.training_curves.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("favor.trainers.training_curves.write_curves", draw)
    callback = DrawCurves()
    run = type("Run", (), {"output_dir": str(tmp_path), "is_world_process_zero": True, "log_history": []})
    for _ in range(3 * PAUSE):
        callback.on_log(run, run, None)
        clock[0] += 1.0
    callback.on_train_end(run, run, None)
    assert drawn == [0.0, PAUSE + 1.0, 2 * (PAUSE + 1.0), clock[0] - 1.0]


@pytest.fixture
def asked(tiny_model_dir, training_dir, tmp_path):
    """A recipe of two steps, each evaluated and kept."""
    each = {f"{what}_strategy": "steps" for what in ("eval", "save", "logging")}
    steps = {f"{what}_steps": 1 for what in ("eval", "save", "logging")}
    options = {"per_device_train_batch_size": 2, "max_steps": 2, "per_device_eval_batch_size": 8}
    options |= {"report_to": "none", "activation_checkpointing": False}
    return {
        "model": str(tiny_model_dir),
        "train_data": str(training_dir / "train.jsonl"),
        "eval_data": {"sources": [{"path": str(training_dir / "train.jsonl"), "subset": 3}]},
        "output_dir": str(tmp_path / "run"),
        "sft": {**each, **steps, **options, "eval_answers": 2, "eval_max_new_tokens": 2},
    }


def test_each_stage_of_a_run_is_drawn(asked, tmp_path):
    folder = run_recipe(parse_recipe(asked | {"stages": [{}, {"sft": {"eval_answers": 1}}]}))
    for number, count in ((1, 2), (2, 1)):
        stage = folder / f"stage-{number}"
        picture = (stage / FILE).read_text()
        for name in ("loss", "cross_entropy", "diversity_loss", "eval_loss", "eval_exact_match"):
            assert f">{name}</text>" in picture, name
        assert ">learning_rate<" not in picture and "eval_runtime" not in picture
        page = (stage / PAGE).read_text()
        assert page.index("step 2, eval: ") < page.index("step 1, eval: ")
        assert page.count("<td class=") == 2 * count


def test_a_resumed_run_goes_on_with_its_curves_and_answers(asked, tmp_path):
    folder = run_recipe(parse_recipe(asked))
    drawn, said = (folder / FILE).read_text(), (folder / LOG).read_text()
    (folder / FILE).unlink()
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(asked | {"resume": str(folder / "checkpoint-1")}))
    assert main(["sft", str(tmp_path / "again.yaml")]) == 0
    assert (folder / LOG).read_text() == said
    assert (folder / FILE).read_text() == drawn
