# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Metrics of the benchmark by name, from 0 to 1 unless their class says otherwise; `load_metric` is for `evaluate`.

Importing them needs none of the optional packages; computing one says which is missing.
"""

from .accuracy import Accuracy, by_source, score_gqa, score_ocr, score_textvqa, score_vqa
from .bleu import Bleu
from .choices import PositionBias, Unparsable, score_choice, score_exact_choice, score_yes_no
from .cider import CiderD
from .evaluate_metric import load_metric
from .judged import Judged
from .meteor import Meteor
from .metric import EvalMetric, MetricUnavailable
from .sound_class import score_class
from .spice import Spice, Spider
from .word_error_rate import WordErrorRate

_ALL: tuple[EvalMetric, ...] = (
    WordErrorRate(),
    Bleu(1),
    Bleu(4),
    CiderD(),
    Meteor(),
    Spice(),
    Spider(),
    Accuracy("aveb_ocr", score_ocr),
    Accuracy("textvqa_accuracy", score_textvqa),
    Accuracy("aveb_vqa", score_vqa),
    Accuracy("gqa_accuracy", score_gqa),
    Accuracy("aveb_isqa", by_source(score_ocr, score_vqa)),
    Accuracy("standard_isqa", by_source(score_textvqa, score_gqa)),
    Accuracy("aveb_choice", score_exact_choice),
    Accuracy("choice_accuracy", score_choice),
    Accuracy("yes_no", score_yes_no),
    Unparsable(),
    PositionBias(),
    Accuracy("class_match", score_class),
    Judged("judged_accuracy", "correct"),
    Judged("judged_score", "score"),
)
METRICS: dict[str, EvalMetric] = {metric.name: metric for metric in _ALL}

__all__ = ["METRICS", "EvalMetric", "MetricUnavailable", "load_metric"]
