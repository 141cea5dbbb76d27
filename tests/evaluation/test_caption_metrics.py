# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Caption metrics equal coco-caption's on the published captions, and keep to their bounds whatever the text."""

import json
import random
import shutil
import stat
import sys
from importlib.util import find_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from favor.evaluation.metrics import METRICS, MetricUnavailable
from favor.evaluation.metrics import java as java_programs
from favor.evaluation.metrics.bleu import Bleu
from favor.evaluation.metrics.caption_tokens import tokenize, tokenize_ptb
from favor.evaluation.metrics.cider import CiderD
from favor.evaluation.metrics.meteor import _read
from favor.evaluation.sample import EvalSample
from tests.evaluation.published_data import SAVEBENCH

with_java = pytest.mark.skipif(
    shutil.which("java") is None or find_spec("pycocoevalcap") is None,
    reason="Java or the extra eval-java is not installed; the values below are checked without them",
)
RECORDS = json.loads((SAVEBENCH / "flickr30k_captions.json").read_text())
HYPOTHESES = [record["answer"][0] for record in RECORDS]  # one person's caption against the four others'
# pycocoevalcap 1.2 (PTB tokenizer, Java 17) on these captions: Bleu(4), Cider(), Meteor().
COCO_CAPTION = {
    "bleu_1": 0.5445544554401529,
    "bleu_4": 0.11558310626901852,
    "cider_d": 0.7837095069475053,
    "meteor": 0.2738515162635213,
}
# "SCORE" lines of METEOR 1.5 for a hypothesis and its references, and the score that it gives them together.
METEOR_LINES = {
    "a man rides a big horses on the beach | a man is riding a horse at a beach | two dogs": (
        "9.0 9.0 4.0 5.0 1.0 1.0 2.0 2.0 1.0 1.0 0.0 0.0 0.0 0.0 0.0 0.0 1.0 1.0 1.0 1.0 3.0 6.0 6.0"
    ),
    "a man rides | a man rides": (
        "3.0 3.0 1.0 1.0 2.0 2.0 1.0 1.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0 1.0 3.0 3.0"
    ),
    "(nothing) | a man is riding a horse at a beach": "0.0 9.0 0.0 5.0" + " 0.0" * 19,
}
METEOR_SCORES = [0.2540208607286355, 1.0, 0.0]
PTB = {
    "A man's t-shirt, red & blue, costs $5.": "a man 's t-shirt red & blue costs $ 5",
    "I can't, won't; cannot gonna DON\u2019T": "i ca n't wo n't can not gon na do n't",
    "two (2) dogs [sic]": "two -lrb- 2 -rrb- dogs -lsb- sic -rsb-",
    "at 10:30 a.m. in the U.S.": "at 10:30 a.m. in the u.s.",
    "a dive of 1 1/2 and/or 2.5": "a dive of 1\u00a01/2 and/or 2.5",
    "\u201chello\u201d ... world -- yes": "hello world yes",
    "inside a McDonald 's": "inside a mcdonald 's",
    "Mr. Smith's dogs' tails": "mr. smith 's dogs tails",
    "caf\u00e9 o'clock rock 'n' roll": "caf\u00e9 o'clock rock 'n' roll",
    "one\u2028two\rthree\x0bfour\u2029five\x85six\nseven": "one two three four five six seven",
}
TEXT = st.text(alphabet=st.sampled_from("ab dog.,'\u2028\r\u00e9()-!\U0001f600 0"), max_size=30)
WORDS = ["a", "the", "dog", "cat", "runs", "sits", "red", "on", "grass"]
CAPTION = st.lists(st.sampled_from(WORDS), min_size=1, max_size=9).map(" ".join)
CORPUS = st.lists(st.tuples(CAPTION, st.lists(CAPTION, min_size=1, max_size=3)), min_size=2, max_size=6)


def samples_of(references):
    return [EvalSample(str(number), [], {}, list(texts)) for number, texts in enumerate(references)]


def value(metric, references, hypotheses):
    metric = METRICS[metric] if isinstance(metric, str) else metric
    return metric.aggregate(metric.sample_statistics(samples_of(references), hypotheses))


@pytest.mark.parametrize("name", ["bleu_1", "bleu_4", "cider_d"])
def test_values_are_those_of_coco_caption(name):
    references = [record["answer"][1:] for record in RECORDS]
    assert value(name, references, HYPOTHESES) == pytest.approx(COCO_CAPTION[name], abs=1e-10)


def test_meteor_scores_what_its_program_counts():
    meteor = METRICS["meteor"]
    rows = [_read(line) for line in METEOR_LINES.values()]
    assert [meteor.aggregate([row]) for row in rows] == pytest.approx(METEOR_SCORES, abs=1e-15)
    assert meteor.aggregate([rows[1]] * 3) == 1.0
    assert meteor.aggregate(rows) == meteor.aggregate(rows[::-1])
    with pytest.raises(MetricUnavailable, match="instead of 23 numbers"):
        _read("Error: specify SCORE or EVAL or quit")


@pytest.mark.slow  # it reads 62 MB of paraphrases
@with_java
def test_meteor_is_that_of_coco_caption():
    references = [record["answer"][1:] for record in RECORDS]
    texts = [["a man rides"], ["two|||dogs \u2028 run"], ["a man"]]
    statistics = METRICS["meteor"].sample_statistics(
        samples_of([*references, *texts]), [*HYPOTHESES, "a man rides", "two dogs run", ""]
    )
    assert METRICS["meteor"].aggregate(statistics[:6]) == pytest.approx(COCO_CAPTION["meteor"], abs=1e-13)
    scores = [METRICS["meteor"].aggregate([row]) for row in statistics[6:]]
    assert scores[0] == 1.0 and scores[1] > 0 and scores[2] == 0.0


@pytest.mark.parametrize("text", PTB)
def test_tokens_are_those_of_the_penn_treebank(text):
    assert " ".join(tokenize(text)) == PTB[text]


@with_java
def test_the_java_tokenizer_agrees_and_keeps_captions_apart():
    texts = [*PTB, *(caption for record in RECORDS for caption in record["answer"]), ""]
    assert tokenize_ptb(texts) == [tokenize(text) for text in texts]


@with_java
def test_cider_and_bleu_equal_the_reference_scorers_on_random_captions():
    from pycocoevalcap.bleu.bleu import Bleu as ReferenceBleu
    from pycocoevalcap.cider.cider import Cider

    rng = random.Random(0)

    def caption():
        return " ".join(rng.choice(WORDS) for _ in range(rng.randint(4, 9)))

    for _ in range(20):
        references = [[caption() for _ in range(rng.randint(1, 4))] for _ in range(rng.randint(2, 6))]
        hypotheses = [f"{texts[0]} {caption()}" for texts in references]
        expected, given_ = dict(enumerate(references)), {number: [text] for number, text in enumerate(hypotheses)}
        assert value("cider_d", references, hypotheses) == pytest.approx(Cider().compute_score(expected, given_)[0])
        bleu, _ = ReferenceBleu(4).compute_score(expected, given_, verbose=0)
        for order in (1, 4):
            assert value(f"bleu_{order}", references, hypotheses) == pytest.approx(bleu[order - 1], abs=1e-9)


def test_bleu_is_sacrebleus():
    from sacrebleu import corpus_bleu

    references = [record["answer"][1:] for record in RECORDS]
    columns = [[" ".join(tokenize(texts[index])) for texts in references] for index in range(4)]
    hypotheses = [" ".join(tokenize(text)) for text in HYPOTHESES]
    expected = corpus_bleu(hypotheses, columns, tokenize="none", smooth_method="none", force=True).score
    assert 100 * value("bleu_4", references, HYPOTHESES) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(CORPUS, st.randoms())
def test_order_of_samples_does_not_matter(corpus, rng):
    shuffled = list(corpus)
    rng.shuffle(shuffled)
    for metric in (Bleu(1), Bleu(4), CiderD()):
        first = value(metric, [texts for _, texts in corpus], [hypothesis for hypothesis, _ in corpus])
        second = value(metric, [texts for _, texts in shuffled], [hypothesis for hypothesis, _ in shuffled])
        assert first == second
        assert 0 <= first <= (10 + 1e-9 if metric.name == "cider_d" else 1 + 1e-12)


@settings(deadline=None)
@given(CORPUS)
def test_the_reference_itself_is_the_best_caption(corpus):
    references = [texts[:1] for _, texts in corpus]
    for metric in (Bleu(1), Bleu(4), CiderD()):
        best = value(metric, references, [texts[0] for texts in references])
        assert best >= value(metric, references, [hypothesis for hypothesis, _ in corpus]) - 1e-9


@settings(deadline=None)
@given(st.lists(TEXT, min_size=2, max_size=5))
def test_any_text_is_scored(texts):
    references = [[text + " dog"] for text in texts]
    for name in ("bleu_1", "bleu_4", "cider_d"):
        spaced = value(name, references, ["\u2028" + text.replace(" ", " \r\n") for text in texts])
        assert spaced == value(name, references, texts) >= 0


def test_cider_of_one_sample_is_zero():
    assert value("cider_d", [["a dog runs on grass"]], ["a dog runs on grass"]) == 0.0
    assert value("cider_d", [["a dog runs on grass"], ["two cats sit there"]], ["", ""]) == 0.0


def test_nothing_is_no_number():
    for name in ("bleu_4", "cider_d", "meteor"):
        assert METRICS[name].aggregate([]) != METRICS[name].aggregate([])


def test_spider_is_never_half(monkeypatch):
    monkeypatch.delenv("CORENLP_HOME", raising=False)
    monkeypatch.setattr("favor.evaluation.metrics.spice.jar", lambda metric, path: SAVEBENCH / path)
    for name in ("spice", "spider"):
        with pytest.raises(MetricUnavailable) as error:
            value(name, [["a dog"]], ["a dog"])
        assert str(error.value) == (
            "spice needs stanford-corenlp-3.6.0.jar and stanford-corenlp-3.6.0-models.jar, which no package brings: "
            "unpack stanford-corenlp-full-2015-12-09.zip (CoreNLP 3.6.0, GPL) and set CORENLP_HOME to its folder."
        )


def test_spice_hands_its_program_captions_and_reads_its_scores(tmp_path, monkeypatch):
    """A stand-in for Java writes the scores that SPICE would: half for every caption, none for the empty one."""
    program = tmp_path / "java"
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        "arguments = sys.argv[1:]\n"
        "assert '--add-opens=java.base/java.lang=ALL-UNNAMED' in arguments\n"
        "assert 'stanford-corenlp-3.6.0-models.jar' in arguments[arguments.index('-cp') + 1]\n"
        "items = json.load(open(arguments[arguments.index('edu.anu.spice.SpiceScorer') + 1]))\n"
        "scores = [{'image_id': i['image_id'], 'scores': {'All': {'f': 0.5 if i['test'] else None}}} for i in items]\n"
        "json.dump(scores[::-1], open(arguments[arguments.index('-out') + 1], 'w'))\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    for name in ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar"):
        (tmp_path / name).touch()
    monkeypatch.setenv("CORENLP_HOME", str(tmp_path))
    monkeypatch.setattr(java_programs, "_find_java", lambda: str(program))
    monkeypatch.setattr("favor.evaluation.metrics.spice.jar", lambda metric, path: tmp_path / path)
    monkeypatch.setattr(
        "favor.evaluation.metrics.spice.tokenize_ptb", lambda texts: [tokenize(text) for text in texts]
    )
    references = [["a dog runs on grass"], ["two cats sit there"], ["a bell"]]
    assert value("spice", references, ["a dog", "cats", ""]) == pytest.approx(1 / 3)
    cider = value("cider_d", references, ["a dog", "cats", ""])
    assert value("spider", references, ["a dog", "cats", ""]) == pytest.approx((1 / 3 + cider) / 2)


def test_what_is_missing_is_said_exactly(monkeypatch):
    monkeypatch.setattr(java_programs, "_find_java", lambda: None)
    with pytest.raises(
        MetricUnavailable, match=r"needs Java, which is not on the PATH: run `apt-get install openjdk-17"
    ):
        java_programs.run_java("meteor", ["-version"])
    monkeypatch.setattr(java_programs.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MetricUnavailable, match=r"meteor needs pycocoevalcap.*run `pip install 'favor\[eval-java\]'`"):
        java_programs.jar("meteor", "meteor/meteor-1.5.jar")
    monkeypatch.setitem(sys.modules, "sacrebleu.metrics", None)
    with pytest.raises(MetricUnavailable, match=r"bleu_4 needs sacrebleu.*run `pip install 'favor\[eval\]'`"):
        value("bleu_4", [["a"]], ["a"])
