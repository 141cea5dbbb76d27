# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""One call of `generate` for several questions: padded on the left, each row with its own text, bounds and end.

So that nobody need wait for the longest answer, a call can be broken off: its unfinished rows go on in another call,
with what they have said so far as part of their prompts. When a call fails, its rows are tried again in halves, until
the one whose numbers end a call is alone.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from favor.modeling_favor.outputs_favor import FavorMediaOutput

from .answer import Answer
from .answer_text import AnswerText
from .generation_settings import GenerationSettings

JOIN_FACTOR = 4  # a call runs this many times as long as its prefill before it is broken off


class GenerationFailed(RuntimeError):
    """The model, not the question, is at fault; `__cause__` tells how."""


@dataclass(eq=False)
class Question:
    """A prompt that is ready for the language model.

    Attributes:
        input_ids: its tokens.
        embeddings: (tokens, text width) of each item, in the order of the placeholders.
        max_new_tokens: longest answer.
        settings, answer: how to generate, and where the pieces go.
        text: of the tokens so far.
        said: these tokens.
        begun: it was in a call.
        suspect: a call with it has failed; it goes on without newcomers.
        random_states: of its own chance, where the call before was broken off; one a device.
        had: seconds of the model's time so far; what a call takes is shared by its questions.
        since: when it was ready, by `time.monotonic`.
        client: whose it is.
    """

    input_ids: list[int]
    embeddings: list[torch.Tensor]
    max_new_tokens: int
    settings: GenerationSettings
    answer: Answer
    text: AnswerText
    said: list[int] = field(default_factory=list)
    begun: bool = False
    suspect: bool = False
    random_states: list[torch.Tensor] = field(default_factory=list)
    had: float = 0.0
    since: float = field(default_factory=time.monotonic)
    client: str = ""

    @property
    def tokens(self) -> int:
        """Of prompt and longest answer: what the key-value cache must hold."""
        return len(self.input_ids) + self.max_new_tokens


class BatchGenerator:
    """
    Answers batches of questions with one model.

    Args:
        model: a `FavorForConditionalGeneration`.
        tokenizer: the language model's.
        never: token ids that no answer may contain.

    Attributes:
        moved: when a call last began or made a token, by `time.monotonic`.
    """

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase, never: Sequence[int]):
        self.model, self.tokenizer, self.never = model, tokenizer, list(never)
        end = model.generation_config.eos_token_id
        self.end_ids = set([end] if isinstance(end, int) else end or [])
        padding = (tokenizer.pad_token_id, model.generation_config.pad_token_id, *self.end_ids, 0)
        self.pad_token_id = next(token for token in padding if token is not None)
        # That bound is counted from the beginning of a call.
        self.can_be_broken_off = not model.generation_config.min_new_tokens
        self.moved = time.monotonic()

    def __call__(
        self,
        questions: Sequence[Question],
        ended: Callable[[Question], None],
        wanted: Callable[[Sequence[Question], float], bool],
    ) -> list[list[Question]]:
        """Generates until every answer has ended, or somebody wants the model.

        Args:
            questions: whose settings are ones that share a batch.
            ended: called for each as soon as its row is free.
            wanted: whether somebody is due before these questions, which have been running for so many seconds.

        Returns the batches that are to go on: one if the call was broken off, two halves if it failed. A question that
        fails alone ends with [`GenerationFailed`].
        """

        def moved() -> None:
            self.moved = time.monotonic()

        moved()
        # Other devices' chance cannot be taken up again.
        goes_on = questions[0].settings.seed is None or self.model.device.type in ("cpu", "cuda")
        wanted = wanted if self.can_be_broken_off and goes_on else lambda _, __: False
        watch = _RowWatch(questions, self.end_ids, ended, wanted, moved)
        try:
            with _chance_of(questions[0], self.model.device):
                self.model.generate(
                    **self._inputs(questions),
                    **questions[0].settings.sampling(),
                    max_new_tokens=max(question.max_new_tokens - len(question.said) for question in questions),
                    # `generate` streams no beams, whatever the model's own generation config says.
                    num_beams=1,
                    pad_token_id=self.pad_token_id,
                    suppress_tokens=self.never,
                    streamer=watch,
                    stopping_criteria=StoppingCriteriaList([_RowsDone(watch)]),
                )
        except Exception as error:
            return watch.after_failure(error)
        left_over = watch.left_over()
        return [left_over] if left_over else []

    def _inputs(self, questions: Sequence[Question]) -> dict[str, Any]:
        prompts = [question.input_ids + question.said for question in questions]
        longest = max(map(len, prompts))
        padding = [longest - len(prompt) for prompt in prompts]
        ids = [[self.pad_token_id] * pad + prompt for prompt, pad in zip(prompts, padding, strict=True)]
        mask = [[0] * pad + [1] * (longest - pad) for pad in padding]
        device = self.model.get_input_embeddings().weight.device
        inputs = {"input_ids": torch.tensor(ids, device=device), "attention_mask": torch.tensor(mask, device=device)}
        items = [states.to(device) for question in questions for states in question.embeddings]
        if items:
            inputs["mm_encoder_outputs"] = {"video": FavorMediaOutput(pooler_output=items)}
        return inputs


class _RowWatch(BaseStreamer):
    """Takes the tokens of all rows, hands out their text, and says which rows are done."""

    def __init__(
        self,
        questions: Sequence[Question],
        end_ids: set[int],
        ended: Callable[[Question], None],
        wanted: Callable[[Sequence[Question], float], bool],
        moved: Callable[[], None],
    ):
        self.questions, self.end_ids, self.ended, self.wanted, self.moved = questions, end_ids, ended, wanted, moved
        self.done = [False] * len(questions)
        self.broken_off = False
        self._is_prompt = True
        self._started = time.monotonic()
        self._prefill: float | None = None

    def put(self, value: torch.Tensor) -> None:
        """(batch,) new tokens; the first call brings the prompts."""
        if self._is_prompt:
            self._is_prompt = False
            return
        self.moved()
        for row, token in enumerate(value.tolist()):
            if not self.done[row]:
                self._take(row, token)
        seconds = time.monotonic() - self._started
        # Breaking a call off costs another prefill; its length is known with the first tokens.
        self._prefill = self._prefill or seconds
        running = [question for question, done in zip(self.questions, self.done, strict=True) if not done]
        enough = bool(running) and seconds >= JOIN_FACTOR * self._prefill
        self.broken_off = enough and self.wanted(running, seconds * len(running) / len(self.questions))

    def rows_to_end(self) -> list[bool]:
        """The rows that no further token is wanted of."""
        return [
            self.broken_off or done or question.answer.ended
            for question, done in zip(self.questions, self.done, strict=True)
        ]

    def end(self) -> None:
        """Called by `generate`."""

    def left_over(self) -> list[Question]:
        """The questions whose answers go on; all others end."""
        unfinished = [row for row, done in enumerate(self.done) if not done]
        if self.broken_off:
            return [self.questions[row] for row in unfinished]
        for row in unfinished:
            self._finish(row, "length")
        return []

    def after_failure(self, error: Exception) -> list[list[Question]]:
        """The unfinished questions in two batches; a question that was alone ends with the error."""
        unfinished = [question for question, done in zip(self.questions, self.done, strict=True) if not done]
        if len(self.questions) > 1:
            for question in unfinished:
                question.suspect = True
            half = (len(unfinished) + 1) // 2
            return [batch for batch in (unfinished[:half], unfinished[half:]) if batch]
        failure = GenerationFailed(f"Generation failed: {error}")
        failure.__cause__ = error
        for question in unfinished:
            self.ended(question)
            question.answer.fail(failure)
        return []

    def _take(self, row: int, token: int) -> None:
        question = self.questions[row]
        if question.answer.ended:  # cancelled
            self._finish(row, "cancelled")
            return
        question.answer.completion_tokens += 1
        question.said.append(token)
        if token in self.end_ids:
            self._finish(row, "stop")
            return
        question.answer.add(question.text.add(token))
        if question.text.stopped:
            self._finish(row, "stop")
        elif len(question.said) >= question.max_new_tokens:
            self._finish(row, "length")

    def _finish(self, row: int, reason: str) -> None:
        question = self.questions[row]
        self.done[row] = True
        if reason != "cancelled":
            question.answer.add(question.text.finish())
        self.ended(question)  # first: who sees the end may ask again
        question.answer.finish(reason)


class _RowsDone(StoppingCriteria):
    def __init__(self, watch: _RowWatch):
        self.watch = watch

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs: Any) -> torch.BoolTensor:
        # `put` sees a step's tokens after this: what it decides takes effect with the next one.
        return torch.tensor(self.watch.rows_to_end(), device=input_ids.device)


@contextmanager
def _chance_of(question: Question, device: torch.device) -> Iterator[None]:
    """Chance that a question's seed decides, or nothing does; the process's own random state is left as it was.

    A seeded question's chance goes on where it was broken off. The process's state is one for all threads: a second
    engine in the process would disturb the first one's.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if question.settings.seed is None:
            torch.seed()
        elif question.random_states:
            torch.set_rng_state(question.random_states[0])
            for state in question.random_states[1:]:
                torch.cuda.set_rng_state(state, device)
        else:
            torch.manual_seed(question.settings.seed)
        yield
        if question.settings.seed is not None:
            on_device = [torch.cuda.get_rng_state(device)] if device.type == "cuda" else []
            question.random_states = [torch.get_rng_state(), *on_device]
