# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Files to begin with: scenes of AVEB-mini's test split, rendered when the page starts, or the demo's real things."""

import shutil
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


REAL = (  # files of `favor demo`, and a question about each
    ("name_picture_000002.jpg", "image", "What is in the picture?"),
    ("spoken_thing_000000.wav", "audio", "Which thing is named?"),
    ("asr_000005.wav", "audio", "Transcribe the speech into text."),
    ("video_qa_000053.mp4", "video", "What is shown while someone says 'donkey'?"),
)


def examples_for(model: str | None, folder: Path) -> "list[Example]":
    """Examples of what a model knows: shapes for favor-tiny, and real things for every other."""
    from favor.model_loading import is_bundled

    return render_examples(folder) if is_bundled(model) else copy_examples(folder)


def copy_examples(folder: Path) -> "list[Example]":
    """Copies files that come with the package to `folder`, which the page may link into others."""
    from favor.serving.page.page import Example

    from .demo_real import demo_items

    folder.mkdir(parents=True)
    return [
        Example(Path(shutil.copyfile(demo_items() / "media" / name, folder / name)), kind, question)
        for name, kind, question in REAL
    ]


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
