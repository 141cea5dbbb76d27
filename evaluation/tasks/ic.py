# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Image captioning: Flickr30k test."""

from ..answers import parse_short
from ..readers import captions
from ..task import EvalTask

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

TASKS = (
    EvalTask(
        name="ic",
        title="IC",
        dataset="Flickr30k test",
        size=1000,
        read=captions.flickr30k(PROMPT),
        annotation="flickr30k_captions.json",
        other_annotations=("dataset_flickr30k.json",),
        prompt=PROMPT,
        generation={"max_new_tokens": 64, "do_sample": False},
        parse=parse_short,
        metrics=("cider_d", "meteor", "bleu_1", "bleu_4"),
        paper_rows=PAPER_ROWS,
    ),
)
