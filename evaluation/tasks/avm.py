# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Matching of sound and picture: SpokenCOCO val2014 and VGGSS."""

from ..answers import parse_short
from ..readers import own_data, sounds
from ..task import AnswerRules, EvalTask, PublishedData

PAPER_ROWS = {
    "Video-LLaMA 7B": {"yes_no": 52.3},
    "FAVOR 7B": {"yes_no": 74.3},
    "FAVOR 13B": {"yes_no": 77.1},
    "FAVOR 13B without diversity loss": {"yes_no": 75.7},
    "FAVOR 13B without causal attention": {"yes_no": 74.8},
    "FAVOR 13B without sliding window": {"yes_no": 74.5},
    "FAVOR 13B without synchronisation": {"yes_no": 72.5},
    "FAVOR 13B without causal, diversity, sync": {"yes_no": 72.0},
}

DATA = PublishedData("SpokenCOCO val2014 and VGGSS", 1000, sounds.matching, "audiovisualmatching_combined.json")
ANSWERS = AnswerRules(parse_short, ("yes_no", "unparsable"), max_new_tokens=16)
TASKS = (EvalTask("avm", "AVM", DATA, ANSWERS, complete=own_data.with_yes_or_no, paper_rows=PAPER_ROWS),)
