# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The report: what it shows of one run and of several; it needs nothing from elsewhere, and text stays text."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch

from favor.evaluation.answerer import Answerer
from favor.evaluation.metrics import METRICS
from favor.evaluation.query_similarity import cosine_similarities, mean_similarity, measure_queries
from favor.evaluation.report import write_report
from favor.evaluation.report.runs import read_run
from favor.evaluation.report.tables import scale_of, score_tables
from favor.evaluation.sample import EvalSample
from favor.evaluation.tasks import TASKS
from favor.modeling_favor.connector_favor import diversity_loss

from .toy_tasks import ExactAnswer, UnavailableMetric, toy_task

ATTACK = "</dd><script>alert(1)</script><img src=x onerror=alert(2)> | `*_ $\\frac$"


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.text += data


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    for metric in (ExactAnswer(), UnavailableMetric()):
        monkeypatch.setitem(METRICS, metric.name, metric)
    monkeypatch.setitem(TASKS, "toy", toy_task())


def write_run(folder: Path, value: float, media: dict | None = None, answer: str = "red", **changes) -> Path:
    """A finished run of one task, without running it."""
    folder.mkdir()
    scores = {"value": value, "ci95": [value - 0.1, value + 0.1], "n": 8, "higher_is_better": True}
    missing = {"value": None, "ci95": None, "n": 0, "reason": "not computed: METEOR needs Java"}
    entry = {
        "title": "TOY",
        "dataset": "Toy",
        "metric": "toy_exact",
        **scores,
        "metrics": {"toy_exact": scores, "toy_unavailable": missing},
        "generation": {"num_beams": 2},
        "published_samples": 100,
        "answered": 8,
        "missing_samples": 3,
        "unreadable_samples": 0,
        "judge": {"name": "some-judge", "judged": 7, "failed": 1},
    }
    results = {
        "system": "favor",
        "model": "models/mine",
        "model_revision": "0123456789abcdef",
        "controls": {"audio": "on", "video": "on"},
        "facts": {"fps": 2.0, "window_frames": 10, "diversity_loss_weight": 0.01, "num_query_tokens": 32},
        "tasks": {"toy": entry},
    }
    results = {**results, **changes}
    (folder / "results.json").write_text(json.dumps(results))
    record = {
        "id": "1",
        "question": "What?",
        "references": ["red"],
        "answer": answer,
        "raw": answer,
        "media": media or {},
    }
    (folder / "toy.jsonl").write_text(json.dumps({**record, "seen": {"audio_seconds": 3.0}}) + "\n")
    similarity = {
        "sample": "1",
        "queries": 2,
        "similarity": [[1, 0.5], [0.5, 1]],
        "mean_similarity": 0.5,
        "samples": 1,
    }
    (folder / "toy.queries.json").write_text(json.dumps(similarity))
    return folder


def test_a_run_stands_beside_the_published_rows(tmp_path):
    write_report(tmp_path, [write_run(tmp_path / "run", 0.625)])
    report = (tmp_path / "report.md").read_text()
    assert "| **mine** | 62.5 [52.5, 72.5] |" in report
    assert "| FAVOR 13B | 50 |" in report
    for fact in (
        "METEOR needs Java",
        "some-judge, 7 answers; 1 failed",
        "3 samples left out",
        "num_beams 2",
        "| 100 |",
    ):
        assert fact in report
        assert fact.strip("| ") in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "report.json").read_text())["tables"][0]["rows"][0]["name"] == "mine"


def test_data_of_ones_own_stands_beside_no_published_result(tmp_path):
    entry = json.loads((write_run(tmp_path / "run", 0.625) / "results.json").read_text())["tasks"]["toy"]
    own = {**entry, "own_data": True, "dataset": "mine/toy.jsonl", "published_samples": None}
    write_report(tmp_path, [write_run(tmp_path / "own", 0.5, tasks={"toy": own})])
    for report in ((tmp_path / "report.md").read_text(), (tmp_path / "report.html").read_text()):
        assert "mine/toy.jsonl" in report and "FAVOR 13B" not in report and "are published" not in report
        assert "no published result is comparable with: TOY." in report
    write_report(tmp_path, [tmp_path / "run"])
    report = (tmp_path / "report.md").read_text()
    assert "| FAVOR 13B | 50 |" in report and "the others are published." in report and "one's own" not in report


def test_a_stand_in_has_its_own_column_and_says_for_what(tmp_path, monkeypatch):
    monkeypatch.setitem(
        TASKS,
        "toy",
        toy_task(
            metrics=("toy_unavailable", "toy_exact"),
            stand_in="toy_exact",
            paper_rows={"FAVOR 13B": {"toy_unavailable": 50.0}},
        ),
    )
    with_java = write_run(tmp_path / "java", 0.625)
    entry = json.loads((with_java / "results.json").read_text())["tasks"]["toy"]
    without = write_run(tmp_path / "without", 0.25, tasks={"toy": {**entry, "instead_of": "toy_unavailable"}})
    results = json.loads((without / "results.json").read_text())
    results["not_run"] = {"asr": "no file"}
    (without / "results.json").write_text(json.dumps(results))
    write_report(tmp_path, [without, with_java])
    report = (tmp_path / "report.md").read_text()
    assert "| system | TOY, toy_unavailable ↑ | TOY, toy_exact ↑ |" in report
    assert "| FAVOR 13B | 50 | - |" in report
    for page in (report, Page((tmp_path / "report.html").read_text()).text):
        assert "toy_exact stands in for toy_unavailable, which was not computed: METEOR needs Java" in page
        assert "Not run for want of annotations: asr." in page
    tables = score_tables([read_run(with_java)], [toy_task()])
    assert tables[0].header == ["TOY, toy_exact ↑"]


def test_the_page_needs_nothing_from_elsewhere_and_runs_nothing(tmp_path, media_dir):
    media = {"video": str(media_dir / "clip.mp4"), "audio": str(media_dir / "sound.wav")}
    write_report(tmp_path, [write_run(tmp_path / "run", 0.5, media)])
    page = Page((tmp_path / "report.html").read_text())
    sources = [value for name, value in page.attributes if name in ("src", "href", "data", "action")]
    assert len(sources) >= 5  # two figures and three frames
    assert all(source.startswith(("data:image/jpeg;", "data:image/svg+xml;")) for source in sources)
    assert not {"script", "iframe", "object", "link", "form"} & set(page.tags)
    assert "path" in page.tags  # loudness of the sound
    assert "://" not in (tmp_path / "report.html").read_text().split("</style>")[0]


def test_what_a_model_says_stays_text(tmp_path):
    run = write_run(tmp_path / "run", 0.5, answer=ATTACK, model=f"models/{ATTACK}")
    write_report(tmp_path, [run])
    page = Page((tmp_path / "report.html").read_text())
    assert ATTACK in page.text
    assert "script" not in page.tags
    assert not any(name.startswith("on") for name, _ in page.attributes)
    table = (tmp_path / "report.md").read_text()
    assert "<script" not in table
    rows = [line for line in table.splitlines() if line.startswith("| **")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows[:1])


def test_controls_are_compared_within_a_model(tmp_path):
    runs = [
        write_run(tmp_path / "full", 0.6),
        write_run(tmp_path / "deaf", 0.3, controls={"audio": "off", "video": "on"}),
        write_run(tmp_path / "other", 0.9, model="models/other", controls={"audio": "on", "video": "off"}),
    ]
    write_report(tmp_path, runs)
    controls = json.loads((tmp_path / "report.json").read_text())["controls"]
    assert [row["name"] for row in controls["rows"]] == ["full", "no audio"]
    assert controls["rows"][1]["cells"] == ["30.0 [20.0, 40.0]"]
    assert "What each modality contributes" in (tmp_path / "report.html").read_text()
    write_report(tmp_path, runs[:1])
    assert json.loads((tmp_path / "report.json").read_text())["controls"] is None


@pytest.mark.parametrize(
    ("fact", "values"), [("fps", [0.5, 1.0, 2.0]), ("window_frames", [5, 10]), ("diversity_loss_weight", [0.0, 0.1])]
)
def test_runs_that_differ_in_one_fact_are_a_sweep(fact, values, tmp_path):
    facts = {"fps": 2.0, "window_frames": 10, "diversity_loss_weight": 0.01, "num_query_tokens": 32}
    runs = [
        write_run(
            tmp_path / f"{position}",
            0.3 + 0.1 * position,
            facts={**facts, fact: value, "num_query_tokens": position},
            model_revision="same" if fact == "fps" else f"{position}",
        )
        for position, value in reversed(list(enumerate(values)))
    ]
    write_report(tmp_path, runs)
    sweeps = json.loads((tmp_path / "report.json").read_text())["sweeps"]
    assert [sweep["fact"] for sweep in sweeps] == [fact]
    line = sweeps[0]["lines"][0]
    assert line["positions"] == values
    assert line["values"] == pytest.approx([30 + 10 * position for position in range(len(values))])
    assert line["similarities"] == [0.5] * len(values)


def test_missing_results_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no finished run"):
        write_report(tmp_path, [tmp_path])


def test_the_papers_tables_are_shown_in_its_units(tmp_path):
    tables = score_tables([], list(TASKS.values()))
    rows = {row.name: dict(zip(table.header, row.cells, strict=True)) for table in tables[:1] for row in table.rows}
    assert rows["FAVOR 13B"]["ASR, wer ↓"] == "3.3"
    assert rows["FAVOR 13B"]["IC, meteor ↑"] == "27.5"
    assert rows["Whisper large-v2"]["AVM, yes_no ↑"] == "-"
    assert scale_of("judged_score") == 1.0
    assert scale_of("judged_accuracy") == 100.0


def test_similarities_are_those_of_the_diversity_loss():
    torch.manual_seed(0)
    states = torch.randn(3, 5, 8)  # (windows, queries, width)
    expected = diversity_loss(states, torch.zeros(3, dtype=torch.long), num_items=1)
    assert mean_similarity(states) == pytest.approx(expected.item(), abs=1e-6)
    matrix = cosine_similarities(states[0])
    torch.testing.assert_close(matrix.diagonal(), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(matrix, matrix.mT)


def test_systems_without_queries_have_no_matrix():
    sample = EvalSample("1", [], {"image": "a.png"}, [])

    class Projector(Answerer):
        facts = {}

        def answer(self, samples, generation):
            return []

    assert measure_queries(Projector(), [sample]) is None
    assert measure_queries(Projector(), []) is None


def test_favors_queries_are_measured(tiny_model_dir, media_dir):
    from favor.evaluation.answerer import FavorAnswerer
    from favor.model_loading import load_pipeline

    answerer = FavorAnswerer(load_pipeline(str(tiny_model_dir)))
    turns = [{"role": "user", "content": "Which sound is heard first?"}]
    samples = [EvalSample(name, turns, {"video": str(media_dir / name)}, []) for name in ("clip.mp4", "long_clip.mp4")]
    queries = measure_queries(answerer, [EvalSample("text", turns, {}, []), *samples])
    assert (queries.sample, queries.queries, queries.samples) == ("clip.mp4", 4, 2)
    assert len(queries.similarity) == 8  # 6 frames are 2 windows of 4 frames
    assert -1 <= queries.mean_similarity <= 1
