# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Clips to begin with: scenes of AVEB-mini's test split, rendered when the page starts."""

from dataclasses import dataclass
from pathlib import Path

SPLIT, SEED = "test", 2310  # as `favor demo`; no training run uses them
# Scenes without speech, whose rendering needs eSpeak NG, and a question for each.
SCENES = (
    (35, "What colour is the shape while the bell sounds?"),
    (25, "Which sound is heard while the shape is red?"),
    (4, "List colour, shape and sound for every half second."),
    (28, "Which sound is heard first?"),
    (0, "Which shape is shown?"),
)


@dataclass(frozen=True)
class Example:
    """A file, its kind ("video", "image" or "audio") and a question about it."""

    path: Path
    kind: str
    question: str


def render_examples(folder: Path) -> list[Example]:
    """Renders the example clips below `folder`."""
    from evaluation.aveb_mini.dataset import render_scene
    from evaluation.aveb_mini.scene import sample_scene

    (folder / "media").mkdir(parents=True)
    examples = []
    for index, question in SCENES:
        scene = sample_scene(SPLIT, SEED, index)
        examples.append(Example(render_scene(scene, folder), scene.medium, question))
    return examples
