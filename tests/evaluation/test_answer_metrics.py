# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Word errors, short answers, choices and verdicts: rules equal their references, and keep to their bounds."""

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from favor.evaluation.metrics import METRICS, MetricUnavailable, load_metric, without_judge, word_error_rate
from favor.evaluation.metrics.choices import chosen
from favor.evaluation.metrics.textvqa_text import process_answer
from favor.evaluation.metrics.word_error_rate import normalize_english
from favor.evaluation.sample import EvalSample
from favor.evaluation.tasks import TASKS
from tests.evaluation.published_data import SAVEBENCH

HOW2 = [record["answer"] for record in json.loads((SAVEBENCH / "how2_test.json").read_text())]
TEXTVQA = TASKS["ocr"].data.read(SAVEBENCH / "textvqa.json", None)
# What OpenAI's normaliser (openai-whisper 20250625) makes of these.
NORMALISED = {
    "Dr. O'Neil's two hundred and five": "doctor 0 neil is 205",
    "The colour isn't grey, um, okay": "the color is not gray okay",
    "you cause pressure": "you cause pressure",  # whisper-normalizer's own code says "because"
    "I'd've gone [laughs] (x)": "i would have gone",
    "um uh": "",
}
# What EvalAIAnswerProcessor (MMF; copied in lmms-eval 0.7.3) makes of these.
PROCESSED = {
    "the  red, white & blue": "red white & blue",
    "1,000 dollars": "1000 dollars",
    "one two ten none": "1 2 10 0",
    "dont stop": "don't stop",
    "it's 5.0 p.m.": "it 's 5.0 pm",
    "what's on-line?": "what 's on line",
    "e-mail (me) now": "e mail me now",
    "somebody'd": "somebodyd",
    "x-ray 1,000": "x ray 1000",
    "\tline\nbreak": "line break",
    "the the a": "",
    "'twas ow's'at": "'twas ow 's'at",
    "x." * 40: "x" * 32 + "x." * 8,  # it removes no more than 32 full stops
}
OPTIONS = ["clap proudly", "the lady sitting down", "lay on floor", "just picked it up", "floor"]
ANSWER = st.text(alphabet=st.sampled_from("yesno 1,.'-aé\u2028\U0001f600B)"), max_size=12)
SHORT = st.sampled_from(["yes", "no", "dog", "two dogs", "22", "the dog"])


def sample(*references, choices=None, **extra):
    return EvalSample("id", [], {}, list(references), choices, extra)


def score(name, one, hypothesis):
    return value(name, [one], [hypothesis])


def value(name, samples, hypotheses):
    return METRICS[name].aggregate(METRICS[name].sample_statistics(samples, hypotheses))


@pytest.mark.parametrize("text", NORMALISED)
def test_the_normaliser_is_whispers(text):
    assert normalize_english()(text) == NORMALISED[text]


def test_word_error_rate_is_that_of_the_corpus():
    import jiwer

    normalize = normalize_english()
    heard = [" ".join(word for place, word in enumerate(text.split()) if place % 10 != 3) for text in HOW2]
    expected = jiwer.wer([normalize(text) for text in HOW2], [normalize(text) for text in heard])
    assert value("wer", [sample(text) for text in HOW2], heard) == pytest.approx(expected) == 0.10638297872340426
    assert jiwer.wer(HOW2, [normalize(text) for text in HOW2]) > 0.2  # what case and punctuation alone cost
    assert value("wer", [sample(text) for text in HOW2], [text.upper() for text in HOW2]) == 0.0
    mean = sum(score("wer", sample(text), answer) for text, answer in zip(HOW2, heard, strict=True)) / len(HOW2)
    assert mean != pytest.approx(expected, abs=1e-3)  # the mean over utterances is another number


def test_word_errors_of_nothing():
    assert score("wer", sample("two words"), "") == 1.0
    assert score("wer", sample("go"), "we all go now") == 3.0
    assert (
        value("wer", [sample("um"), sample("go on")], ["hello", "go on"]) == 0.5
    )  # "um" is no word, "hello" an error
    assert METRICS["wer"].aggregate([]) != METRICS["wer"].aggregate([])
    assert score("wer", sample("go on", "come in"), "come in") == 0.0


def test_what_word_errors_need_is_said_exactly(monkeypatch):
    monkeypatch.setattr(word_error_rate.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MetricUnavailable, match=r"wer needs whisper-normalizer.*`pip install 'favor\[eval\]'`"):
        word_error_rate.normalize_english.__wrapped__()
    monkeypatch.setitem(sys.modules, "jiwer", None)
    with pytest.raises(MetricUnavailable, match=r"wer needs jiwer, which is not installed: run"):
        score("wer", sample("a"), "a")


@pytest.mark.parametrize("text", PROCESSED)
def test_textvqa_processing_is_the_evaluation_servers(text):
    assert process_answer(text) == PROCESSED[text]


def test_both_ocr_rules_on_published_answers():
    answers = ["dakota", "copenhagen", "stone", "bowmore islay", "10", "the 22"]
    # lmms-eval 0.7.3's textvqa_process_results on these records
    assert [score("textvqa_accuracy", *pair) for pair in zip(TEXTVQA, answers, strict=True)] == pytest.approx(
        [1, 1, 0.3, 0.6, 0.3, 1]
    )
    assert score("textvqa_accuracy", TEXTVQA[0], "dakota digital") == pytest.approx(0.9)
    assert [score("aveb_ocr", *pair) for pair in zip(TEXTVQA, answers, strict=True)] == pytest.approx(
        [1, 1, 1 / 3, 2 / 3, 1 / 3, 0]
    )
    assert score("aveb_ocr", TEXTVQA[0], "Dakota Digital.") == 1.0


@pytest.mark.parametrize(
    "reference, answer, contained, exact",
    [
        ("yes", "Yes.", 1, 1),
        ("yes", "yes, the man is", 1, 0),
        ("yes", "yes and no", 0, 0),
        ("no", "No, it is clear.", 1, 0),
        ("no", "nothing", 0, 0),
        ("keyboard", "The device is a keyboard.", 1, 0),
        ("keyboard", "keyboards", 0, 0),
        ("traffic light", "a traffic light", 1, 0),
        ("traffic light", "light traffic", 0, 0),
        ("t-shirt", "T-Shirt!", 1, 1),
        ("22", "22\u2028", 1, 1),
        ("women", "", 0, 0),
        ("caf\u00e9", "The Caf\u00e9", 1, 0),
        ("left", "no, left", 1, 0),
    ],
)
def test_vqa_rules(reference, answer, contained, exact):
    assert score("aveb_vqa", sample(reference), answer) == contained
    assert score("gqa_accuracy", sample(reference), answer) == exact


def test_the_contained_word_rule_rewards_length_and_the_exact_rule_does_not():
    samples = TASKS["vqa"].data.read(SAVEBENCH / "testdev_balanced_questions_with_images.json", None)
    sentences = [one.extra["full_answer"] for one in samples]
    assert value("aveb_vqa", samples, sentences) == 1.0 and value("gqa_accuracy", samples, sentences) == 0.0


def test_spoken_questions_take_the_rule_of_their_source():
    read, seen = sample(*["22"] * 2 + ["x"] * 8, source="textvqa"), sample("yes", source="gqa")
    assert score("aveb_isqa", read, "22") == pytest.approx(2 / 3) and score("aveb_isqa", seen, "yes it is") == 1.0
    assert (
        score("standard_isqa", read, "22") == pytest.approx(0.6) and score("standard_isqa", seen, "yes it is") == 0.0
    )
    with pytest.raises(ValueError, match="has the source None; it must be one of textvqa, gqa"):
        score("aveb_isqa", sample("yes"), "yes")


@pytest.mark.parametrize(
    "answer, place",
    [
        ("lay on floor", 2),
        ("Lay on floor.", 2),
        ("C", 2),
        ("(c)", 2),
        ("C. lay on floor", 2),
        ("Option B", 1),
        ("The baby lay on floor", 2),  # contains "floor", too, which is within it
        ("it is the floor", 4),
        ("A baby", None),  # an article, not the first option
        ("B. lay on floor", 2),  # the words count, where letter and words disagree
        ("clap proudly or just picked it up", None),
        ("F", None),
        ("", None),
        ("dances", None),
    ],
)
def test_options_named(answer, place):
    assert chosen(sample("floor", choices=OPTIONS), answer) == place


def test_exact_choice_is_stricter_than_the_option_named():
    one = sample("lay on floor", choices=OPTIONS)
    for answer, exact, named in (("Lay on floor.", 1, 1), ("C", 0, 1), ("the baby lay on floor", 0, 1), ("x", 0, 0)):
        assert (score("aveb_choice", one, answer), score("choice_accuracy", one, answer)) == (exact, named)
        assert score("unparsable", one, answer) == float(answer == "x")


def test_position_bias():
    samples = [sample(option, choices=OPTIONS) for option in OPTIONS]
    assert value("position_bias", samples, OPTIONS) == 0.0
    assert value("position_bias", samples, OPTIONS[1:] + OPTIONS[:1]) == 0.0  # all wrong, yet no place is preferred
    assert value("position_bias", samples, ["C"] * 5) == pytest.approx(0.8)
    assert value("position_bias", samples, ["C"] * 4 + ["?"]) == pytest.approx(0.75)
    assert value("position_bias", samples, ["?"] * 5) != value("position_bias", samples, ["?"] * 5)


@pytest.mark.parametrize(
    "answer, said, right", [("Yes", 1, 1), ("No", 1, 0), ("yes, it does", 1, 1), ("yes or no", 0, 0), ("maybe", 0, 0)]
)
def test_yes_and_no(answer, said, right):
    assert score("yes_no", sample("Yes"), answer) == right
    assert score("unparsable", sample("Yes"), answer) == 1 - said


@pytest.mark.parametrize(
    "name, answer, named",
    [
        ("playing double bass", "Someone plays the double bass.", 1),
        ("playing double bass", "A bass is played", 0),
        ("people belly laughing", "The sound of a belly laugh", 1),
        ("chainsawing trees", "chainsawing a tree", 1),
        ("pigeon, dove cooing", "a dove is cooing", 1),
        ("pigeon, dove cooing", "a pigeon coos", 1),
        ("pigeon, dove cooing", "a pigeon", 0),
        ("train whistling", "The train whistles", 1),
        ("train whistling", "A train horn", 0),
        ("running electric fan", "", 0),
        ("people running", "A man runs", 1),
    ],
)
def test_classes_named_without_a_judge(name, answer, named):
    assert score("class_match", sample(name, **{"class": name}), answer) == named


def test_published_sentences_name_their_class_and_no_other():
    samples = TASKS["avssd"].data.read(SAVEBENCH / "testdata_formatted.json", None)
    sentences = [one.references[0] for one in samples]
    assert value("class_match", samples, sentences) == 1.0
    assert value("class_match", samples, sentences[1:] + sentences[:1]) == 0.0


def test_failed_verdicts_do_not_count():
    judged = METRICS["judged_accuracy"]
    assert judged.aggregate(judged.verdict_statistics([1.0, 0.0, None, 1.0])) == pytest.approx(2 / 3)
    assert judged.verdict_statistics([1.0, None]) == [{"judged": 1.0, "correct": 1.0}, {"judged": 0.0, "correct": 0.0}]
    assert judged.aggregate(judged.verdict_statistics([None])) != 0
    assert METRICS["judged_score"].aggregate(METRICS["judged_score"].verdict_statistics([4.8, 2.0])) == pytest.approx(
        3.4
    )
    assert list(without_judge(["wer", "judged_accuracy", "yes_no"])) == ["wer", "yes_no"]


@settings(deadline=None)
@given(st.lists(st.tuples(SHORT, ANSWER), min_size=1, max_size=8), st.randoms())
def test_scores_are_shares_and_do_not_depend_on_the_order(pairs, rng):
    shuffled = list(pairs)
    rng.shuffle(shuffled)
    for name in (
        "aveb_ocr",
        "textvqa_accuracy",
        "aveb_vqa",
        "gqa_accuracy",
        "aveb_choice",
        "unparsable",
        "yes_no",
        "wer",
    ):
        first, second = (
            value(name, [sample(reference) for reference, _ in order], [answer for _, answer in order])
            for order in (pairs, shuffled)
        )
        assert first == second and (0 <= first <= 1 or name == "wer")


@settings(deadline=None)
@given(SHORT, st.sampled_from(["", " ", "\u2028", "\r\n", "\u00a0"]), st.sampled_from(["", ".", " \n"]))
def test_the_reference_is_right_whatever_stands_around_it(reference, before, after):
    answer = f"{before}{reference.upper()}{after}"
    for name in ("aveb_ocr", "textvqa_accuracy"):
        assert score(name, sample(*[reference] * 10), answer) == pytest.approx(1.0)
    for name in ("aveb_vqa", "gqa_accuracy", "aveb_choice"):
        assert score(name, sample(reference), answer) == 1.0
    assert score("wer", sample(reference), answer) == 0.0


def test_metrics_are_evaluate_metrics_without_network(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", refuse)
    import evaluate

    wer = load_metric("wer")
    wer.add(prediction="go on", references=["go on then"])
    wer.add_batch(predictions=["stop"], references=[["stop"]])
    assert wer.compute() == {"wer": 0.25}
    both = evaluate.combine([load_metric("aveb_vqa"), load_metric("gqa_accuracy")])
    assert both.compute(predictions=["yes it is"], references=[["yes"]]) == {"aveb_vqa": 1.0, "gqa_accuracy": 0.0}
    choice = load_metric("choice_accuracy")
    assert choice.compute(predictions=["B"], references=[["y"]], choices=[["x", "y"]]) == {"choice_accuracy": 1.0}
    isqa = load_metric("aveb_isqa").compute(predictions=["a dog"], references=[["dog"]], source=["gqa"])
    assert isqa == {"aveb_isqa": 1.0}
    assert load_metric("class_match").compute(predictions=["a bell"], references=[["bell"]], **{"class": ["bell"]})
    assert load_metric("judged_score").compute(predictions=[4.0, 2.0]) == {"judged_score": 3.0}
    with pytest.raises(ValueError, match="unknown metric 'werr'; choose from wer, exact_transcript, bleu_1"):
        load_metric("werr")


def test_metrics_are_imported_without_their_packages():
    import subprocess

    code = (
        "import sys\n"
        "for name in ('jiwer', 'sacrebleu', 'evaluate', 'datasets', 'pycocoevalcap', 'whisper_normalizer'):\n"
        "    sys.modules[name] = None\n"
        "from favor.evaluation.metrics import METRICS\n"
        "from favor.evaluation.task import find_tasks\n"
        "print(len(METRICS), len(find_tasks('all')), 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(len(METRICS)), str(len(TASKS)), "False"]
