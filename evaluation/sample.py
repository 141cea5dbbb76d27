# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""One question of the benchmark: chat turns up to the answer, media files, references."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .json_fields import JsonObject


@dataclass(frozen=True)
class EvalSample:
    """What a model is asked, and what its answer is compared with.

    Attributes:
        id: unique within the task, and the same in every run.
        messages: chat turns up to the question, {"role", "content"} with string contents; earlier turns of a
            dialogue hold the reference answers.
        media: "video", "image" or "audio" -> path of a file that belongs to the first user turn; "audio" beside a
            video or an image takes the place of the video's own sound.
        references: all acceptable answers.
        choices: options of a multiple-choice question, in the order in which the prompt shows them.
        extra: facts for reports and metrics, for example the source or the type of the question.
        use_own_audio: whether the sound of a video without "audio" belongs to the question.
    """

    id: str
    messages: list[dict[str, str]]
    media: dict[str, str]
    references: list[str]
    choices: list[str] | None = None
    extra: JsonObject = field(default_factory=dict)
    use_own_audio: bool = True

    @property
    def question(self) -> str:
        """The text of the last turn, which the model is to answer."""
        return self.messages[-1]["content"]

    def fact(self, name: str) -> str | None:
        """A text among `extra`, if it is there."""
        value = self.extra.get(name)
        return value if isinstance(value, str) else None


def missing_media(samples: Iterable[EvalSample]) -> dict[str, list[str]]:
    """Sample id -> paths of its media that are not files; samples whose media are all there are left out."""
    known: dict[str, bool] = {}  # dialogues and questions share files, which may lie on slow disks
    missing: dict[str, list[str]] = {}
    for sample in samples:
        for path in sample.media.values():
            if path not in known:
                known[path] = Path(path).is_file()
            if not known[path]:
                missing.setdefault(sample.id, []).append(path)
    return missing
