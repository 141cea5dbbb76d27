# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Image captioning: Flickr30k test."""

from ..answers import parse_short
from ..readers import captions
from ..task import AnswerRules, EvalTask, PublishedData

PAPER_ROWS = {
    "InstructBLIP 13B": {"cider_d": 84.5, "meteor": 26.0},
    "InstructBLIP 13B fine-tuned": {"cider_d": 78.9, "meteor": 26.1},
    "Video-LLaMA 7B": {"cider_d": 22.0, "meteor": 16.6},
    "FAVOR 13B visual-only": {"cider_d": 74.0, "meteor": 26.5},
    "FAVOR 7B": {"cider_d": 78.1, "meteor": 26.3},
    "FAVOR 13B": {"cider_d": 86.0, "meteor": 27.5},
    "FAVOR 13B without diversity loss": {"cider_d": 71.9, "meteor": 26.1},
    "FAVOR 13B without causal attention": {"cider_d": 72.1, "meteor": 26.0},
    "FAVOR 13B without sliding window": {"cider_d": 76.8, "meteor": 26.4},
    "FAVOR 13B without synchronisation": {"cider_d": 85.6, "meteor": 26.7},
    "FAVOR 13B without causal, diversity, sync": {"cider_d": 71.9, "meteor": 26.0},
}

PROMPT = "Describe this image in one short sentence."

DATA = PublishedData(
    "Flickr30k test", 1000, captions.flickr30k(PROMPT), "flickr30k_captions.json", "dataset_flickr30k.json"
)
ANSWERS = AnswerRules(parse_short, ("cider_d", "meteor", "bleu_1", "bleu_4"), max_new_tokens=64)
TASKS = (EvalTask("ic", "IC", DATA, ANSWERS, prompt=PROMPT, paper_rows=PAPER_ROWS),)
