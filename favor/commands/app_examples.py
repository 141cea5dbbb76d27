# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Clips to begin with: scenes of AVEB-mini's test split, rendered when the page starts."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from favor.serving.page.page import Example

SPLIT, SEED = "test", 2310  # as `favor demo`; no training run uses them
# Scenes without speech, whose rendering needs eSpeak NG, and a question for each.
SCENES = (
    (35, "What colour is the shape while the bell sounds?"),
    (25, "Which sound is heard while the shape is red?"),
    (4, "List colour, shape and sound for every half second."),
    (28, "Which sound is heard first?"),
    (0, "Which shape is shown?"),
)


def render_examples(folder: Path) -> "list[Example]":
    """Renders the example clips below `folder`."""
    from favor.serving.page.page import Example
    from favor.worlds.mini.moments import MomentsScene

    (folder / "media").mkdir(parents=True)
    examples = []
    for index, question in SCENES:
        ((kind, path),) = MomentsScene.sample(SPLIT, SEED, index).render(folder).items()
        examples.append(Example(path, kind, question))
    return examples
