# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Answers as people and models write them: symbols, glued words, forms of letters, labels, and names of options."""

import unicodedata

import pytest

from favor.evaluation.metrics import METRICS
from favor.evaluation.metrics.answer_words import words_of
from favor.evaluation.metrics.caption_tokens import tokenize
from favor.evaluation.metrics.choices import chosen
from favor.evaluation.sample import EvalSample
from favor.evaluation.tasks import TASKS

OPTIONS = ["clap", "sit down", "lie", "jump", "floor"]
LETTERS = "Which? A. clap B. sit down C. lie D. jump E. floor"
NUMBERS = "Which? (1) clap (2) sit down (3) lie (4) jump (5) floor"
FROM_ZERO = "Which? 0) clap 1) sit down 2) lie 3) jump 4) floor"
NEITHER = "Which? Choose one from: clap; sit down; lie; jump; floor"
HINDI, THAI, KANA = "हिन्दी किताब", "ไทยนี้", "がっこう"


def score(metric, reference, answer, people=1):
    one = EvalSample("1", [], {}, [reference] * people)
    return METRICS[metric].aggregate(METRICS[metric].sample_statistics([one], [answer]))


@pytest.mark.parametrize(
    "reference, other",
    [
        *[("$5", "5"), ("C++", "C"), ("-5", "5"), ("50%", "50"), ("C#", "C"), ("#1", "1"), ("\u20ac20", "20")],
        *[("A+", "A"), (".5", "5"), ("<3", "3"), ("@home", "home"), ("i \u2764 ny", "i ny"), ("5\u00b0", "5")],
        *[("2+2", "2 2"), ("a & b", "a b"), ("*69", "69"), ("10:30", "1030"), ("1/2", "12"), ("\u22125", "5")],
    ],
)
def test_symbols_that_mean_something_count(reference, other):
    assert score("aveb_ocr", reference, reference, 10) == 1.0
    assert score("aveb_ocr", reference, other, 10) == score("aveb_ocr", other, reference, 10) == 0.0


@pytest.mark.parametrize(
    "reference, same",
    [
        *[("5", "5."), ("stop", "**STOP!**"), ("red", "*red*"), ("x", "`x`"), ("$5", "$ 5"), ("50%", "50 %")],
        *[
            ("-5", "\u22125"),
            ("don't", "Don\u2019t"),
            ("acme", "Acme\u00ae"),
            ("5", "*5*"),
            ("t-shirt", "T\u2011shirt"),
        ],
    ],
)
def test_symbols_that_mean_nothing_do_not(reference, same):
    assert score("aveb_ocr", reference, same, 10) == 1.0


@pytest.mark.parametrize(
    "reference, answer, right",
    [
        *[("yes", "yes,it is", 1), ("red", "red/white", 1), ("no", "no problem, the dog is black.Yes", 0)],
        *[
            ("yes", "It is.Yes", 1),
            ("dog", "cat;dog", 1),
            ("yes", "yes/no", 0),
            ("5", "no.5", 1),
            ("blue", "red|blue", 1),
        ],
        *[("1", "1,000", 0), ("10", "10:30", 0), ("u", "the U.S. flag", 0), ("shirt", "a t-shirt", 0)],
    ],
)
def test_words_that_punctuation_glues_are_parted(reference, answer, right):
    assert score("aveb_vqa", reference, answer) == right


@pytest.mark.parametrize("text", ["caf\u00e9", "\u00c5ngstr\u00f6m", "ti\u1ebfng Vi\u1ec7t", "\uac00\ub098"])
@pytest.mark.parametrize("metric", ["aveb_ocr", "textvqa_accuracy", "aveb_vqa", "gqa_accuracy", "bleu_1", "wer"])
def test_a_letter_is_the_same_composed_or_not(metric, text):
    composed, apart = unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)
    assert composed != apart
    best = METRICS[metric].higher_is_better
    assert score(metric, composed, apart, 10) == score(metric, apart, composed, 10) == pytest.approx(float(best))


def test_marks_belong_to_their_letter():
    for text in (HINDI, THAI, KANA):
        assert words_of(text) == tokenize(text) == text.split()
    assert score("wer", HINDI, HINDI.split()[0]) == 0.5  # two words, not seven pieces
    assert score("wer", "\u0915\u0941", "\u0915") == score("wer", "\u304c", "\u304b") == 1.0
    assert score("aveb_vqa", "\u0939", HINDI) == 0.0


@pytest.mark.parametrize("text", ["answer: 7", "Answer: 7", "**Answer:** 7", '"7"', "Final answer: 7", "Caption: 7"])
def test_references_are_cleaned_as_answers_are(text):
    rules = TASKS["ocr"].answers
    one = EvalSample("1", [], {}, [text] * 10)
    for reference, answer in ((text, text), (text, "7"), ("7", text)):
        cleaned = rules.cleaned(EvalSample("1", [], {}, [reference] * 10))
        statistics = METRICS["aveb_ocr"].sample_statistics([cleaned], [rules.parse(answer, one)])
        assert METRICS["aveb_ocr"].aggregate(statistics) == 1.0
    assert rules.cleaned(EvalSample("1", [], {}, ["answer:"])).references == ["answer:"]


@pytest.mark.parametrize(
    "answer, place",
    [
        *[("The answer is B", 1), ("**B**", 1), ("Option 2", 1), ("(B)", 1), ("answer: b", 1), ("B because of it", 1)],
        *[("The correct option is: (C).", 2), ("I would go with D.", 3), ("\\boxed{B}", 1), ("The second option", 1)],
        *[("Option two", 1), ("Option A is wrong, the answer is B.", 1), ("The answer is B, since he sits there", 1)],
        *[
            ("The answer is a dog", None),
            ("The answer is not B", None),
            ("A or B", None),
            ("A child", None),
            ("F", None),
        ],
        *[("Option 9", None), ("The answer is B: jump", 3), ("There are 2 dogs", None)],
        *[("B is correct", 1), ("B is the answer.", 1), ("B seems right to me", 1), ("B, because A is wrong", 1)],
        *[("<answer>B</answer>", 1), ("The answer is 'B'", 1), ("The answer is \u201cB\u201d.", 1), ('"B"', 1)],
        *[("It must be B", 1), ("ans: B", 1), ("B\nExplanation: it is not A", 1), ("\uff22", 1), ("B\u3002", 1)],
        *[("B is not correct", None), ("B is the wrong one", None), ("A is seen", None), ("A\nB", None)],
        *[("It must be a, hm, dog", None), ("A, as in a dog", 0), ("B\njump", 3)],
    ],
)
def test_an_option_is_named_in_many_forms(answer, place):
    for question in (LETTERS, NEITHER):
        one = EvalSample("1", [{"role": "user", "content": question}], {}, OPTIONS[:1], OPTIONS)
        assert chosen(one, answer) == place


@pytest.mark.parametrize(
    "question, answer, place",
    [
        *[(NUMBERS, "2", 1), (NUMBERS, "(2)", 1), (NUMBERS, "The answer is 2.", 1), (NUMBERS, "**Option 2**", 1)],
        *[(FROM_ZERO, "2", 2), (FROM_ZERO, "Option 0", 0), (LETTERS, "2", None), (NEITHER, "2.", None)],
        (NUMBERS, "There are 2.", None),
    ],
)
def test_numbers_are_read_where_the_question_shows_them(question, answer, place):
    one = EvalSample("1", [{"role": "user", "content": question}], {}, OPTIONS[:1], OPTIONS)
    assert chosen(one, answer) == place
