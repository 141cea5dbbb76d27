# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Questions about videos with five options: NExT-QA test."""

from ..answers import parse_short
from ..readers import own_data, questions
from ..task import AnswerRules, EvalTask, PublishedData

PAPER_ROWS = {
    "InstructBLIP 13B": {"aveb_choice": 21.0},
    "InstructBLIP 13B fine-tuned": {"aveb_choice": 24.7},
    "Video-LLaMA 7B": {"aveb_choice": 22.5},
    "FAVOR 13B visual-only": {"aveb_choice": 44.8},
    "FAVOR 7B": {"aveb_choice": 42.5},
    "FAVOR 13B": {"aveb_choice": 49.3},
    "FAVOR 13B without diversity loss": {"aveb_choice": 47.1},
    "FAVOR 13B without causal attention": {"aveb_choice": 42.8},
    "FAVOR 13B without sliding window": {"aveb_choice": 44.8},
    "FAVOR 13B without synchronisation": {"aveb_choice": 47.4},
    "FAVOR 13B without causal, diversity, sync": {"aveb_choice": 41.8},
}

DATA = PublishedData("NExT-QA test", 1000, questions.nextqa, "nextqa_test.json", "NExT-QA/test.csv", "nextqa/test.csv")
ANSWERS = AnswerRules(
    parse_short, ("aveb_choice", "choice_accuracy", "unparsable", "position_bias"), max_new_tokens=32
)
TASKS = (EvalTask("video_qa", "Video QA", DATA, ANSWERS, complete=own_data.with_options, paper_rows=PAPER_ROWS),)
