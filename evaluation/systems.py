# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Which systems can be under test. Imports nothing heavy: the command line lists them."""

from dataclasses import dataclass

FAVOR, CONSTANT = "favor", "constant"
TEXT_ONLY = "text-only"
SYSTEMS = (FAVOR, "whisper", "instructblip", "chat", TEXT_ONLY, CONSTANT)


@dataclass(frozen=True)
class SystemUnderTest:
    """What answers.

    Args:
        kind: one of `SYSTEMS`.
        model: folder or Hub id that is loaded; a constant has none.
        name: in the results; by default `model`.
        fps: frames per second, if they are to be other than the model's own; of FAVOR alone.
        answer: what the constant says.
        on_error: what damaged files do, "raise" or "warn", as for `load_media`; by default what a model's own
            `media_options` say, else "raise".
    """

    kind: str = FAVOR
    model: str | None = None
    name: str | None = None
    fps: float | None = None
    answer: str | None = None
    on_error: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in SYSTEMS:
            raise ValueError(f"The system is {self.kind!r}; choose from {', '.join(SYSTEMS)} (--system).")
        if self.fps is not None and not (self.fps > 0 and self.kind == FAVOR):
            raise ValueError(f"fps must be a positive number, and of FAVOR alone (--fps, --system); got {self.fps}.")
        if self.on_error is not None and self.kind in (TEXT_ONLY, CONSTANT):
            raise ValueError(f"--on-error {self.on_error} has no effect: --system {self.kind} reads no media.")
        if (self.kind == CONSTANT) != (self.answer is not None):
            raise ValueError("The system 'constant' and its answer go together (--system constant, --answer TEXT).")
        if self.kind != CONSTANT and self.model is None:
            raise ValueError(f"--system {self.kind} needs --model PATH_OR_ID.")

    @property
    def shown_name(self) -> str:
        return f"constant answer {self.answer!r}" if self.kind == CONSTANT else f"{self.name or self.model}"
