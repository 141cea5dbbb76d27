# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""How one answer is to be generated; what is not said is as the model's own generation config says."""

from dataclasses import dataclass
from typing import Any

LOWEST_TEMPERATURE = 0.001


@dataclass(frozen=True)
class GenerationSettings:
    """How one answer is generated.

    Attributes:
        max_new_tokens: longest answer; None: the model's own bound, or 256.
        do_sample: draw tokens instead of taking the likeliest; None: as the model does.
        temperature, top_p: of drawing; None: the model's own. Below a temperature of 0.001 numbers overflow.
        seed: makes drawing repeatable; the question is then answered in a batch of its own.
        stop: strings that end the answer; they are no part of it.

    Raises `ValueError` for values out of range.
    """

    max_new_tokens: int | None = None
    do_sample: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_new_tokens is not None and self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1; got {self.max_new_tokens}.")
        if self.temperature is not None and not self.temperature >= LOWEST_TEMPERATURE:
            raise ValueError(
                f"temperature must be at least {LOWEST_TEMPERATURE}; got {self.temperature}. For no chance, "
                "do_sample=False."
            )
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1; got {self.top_p}.")

    def sampling(self) -> dict[str, Any]:
        """The arguments of `generate` that answers of one batch have to share."""
        names = ("do_sample", "temperature", "top_p")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def may_share_a_batch(self, other: "GenerationSettings") -> bool:
        """Whether one call of `generate` can answer both."""
        return self.seed is None and other.seed is None and self.sampling() == other.sampling()
