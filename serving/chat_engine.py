# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Answers many users' chats about media: a pool of threads reads the media, questions are answered in batches.

A question goes through three places: a few threads that read and encode its clips (or find them in the cache), a
queue, and the one thread that generates. That thread answers what waits together; who comes later joins in.
"""

import copy
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import Any

from favor.processing import MediaSummary

from .answer import Answer, Event
from .answer_text import AnswerText
from .batch_generation import BatchGenerator, Question
from .chat_items import Chat, checked_chat, prompt_ids, text_length
from .encoded_clips import EncodedClips
from .generation_settings import GenerationSettings

DEFAULT_NEW_TOKENS = 256
LONGEST_TOKEN = 128  # characters


class TooManyRequests(RuntimeError):
    """As many answers are being made as the engine takes; ask again later."""


class ChatEngine:
    """
    A model that answers, shared by all users of a process.

    ```python
    with ChatEngine(load_pipeline()) as engine:
        answer = engine.ask([{"role": "user", "content": [{"type": "video", "path": "a.mp4"}, {"type": "text", ...}]}])
        for piece in answer:
            print(piece, end="", flush=True)
    ```

    Args:
        pipe: a `VideoTextToTextPipeline`.
        cache_bytes: of clips and query embeddings kept for further questions, in host memory.
        media_limits: bounds on what a media file may cost (see `MediaLimits`); the processor's own by default.
        max_batch_size: questions answered together.
        max_batch_tokens: of their prompts and longest answers, padding included: bounds the key-value cache. A
            question that is longer is answered alone.
        max_pending: answers that may wait or be in the making.
        media_workers: threads that read media; by default one per core, at least 4 and at most 8.
        batch_wait: seconds that the first question of a batch waits for others whose media are being read.

    Attributes:
        clips: the [`EncodedClips`].
        batches, batched_questions: how many there were. prompt_tokens, completion_tokens: of all ended answers.
    """

    def __init__(
        self,
        pipe: Any,
        cache_bytes: int = 2 << 30,
        media_limits: Mapping[str, Any] | None = None,
        max_batch_size: int = 32,
        max_batch_tokens: int = 16384,
        max_pending: int = 256,
        media_workers: int | None = None,
        batch_wait: float = 0.01,
    ):
        self.model, self.max_pending, self.batch_wait = pipe.model, max_pending, batch_wait
        self.max_batch_size, self.max_batch_tokens = max_batch_size, max_batch_tokens
        options = {} if media_limits is None else {"media_limits": dict(media_limits)}
        self.clips = EncodedClips(pipe.model, cache_bytes, options)
        self._processor = copy.deepcopy(pipe.processor)
        # A placeholder in an answer would be read as an item without media by the next step.
        never = (self._processor.video_token_id, self._processor.image_token_id, self._processor.audio_token_id)
        self._positions = getattr(pipe.model.config.text_config, "max_position_embeddings", None) or 1 << 40
        self._generate = BatchGenerator(pipe.model, copy.deepcopy(self._processor.tokenizer), never)
        self.batches = self.batched_questions = self.prompt_tokens = self.completion_tokens = 0
        self._preparing = self._generating = 0
        self._queue: deque[Question] = deque()
        self._pending: set[Answer] = set()
        self._changed = threading.Condition()
        self._closed = False
        self._own = threading.local()
        workers = media_workers or min(8, max(4, os.cpu_count() or 1))
        self._readers = ThreadPoolExecutor(workers, "favor-media", self._take_own_processor)
        self._thread = threading.Thread(target=self._run, name="favor-generate", daemon=True)
        self._thread.start()

    def ask(
        self,
        chat: Chat,
        settings: GenerationSettings | None = None,
        load_audio_from_video: bool = True,
        sink: Callable[[Event], None] | None = None,
    ) -> Answer:
        """Takes a question; returns at once.

        Args:
            chat: messages with `role` and `content`, the last one the user's; media as blocks with "path" or "bytes".
            settings: how to generate.
            load_audio_from_video: hear a video's own sound.
            sink: called with each piece, and at the end with None or an error, from the engine's threads; instead of
                the iteration.

        Raises `TooManyRequests`. What is wrong with the question, its media or its length (`ValueError`, `OSError`)
        is raised from the iteration.
        """
        answer = Answer(sink)
        with self._changed:
            if self._closed:
                raise RuntimeError("The engine is closed.")
            if len(self._pending) >= self.max_pending:
                self._forget_cancelled()
            if len(self._pending) >= self.max_pending:
                raise TooManyRequests(f"{len(self._pending)} answers are being made; the bound is {self.max_pending}.")
            self._pending.add(answer)
            self._preparing += 1
        self._readers.submit(self._read, answer, chat, settings or GenerationSettings(), load_audio_from_video)
        return answer

    @property
    def pending(self) -> int:
        """Questions that wait for their media, or for a batch, or are being answered."""
        return len(self._pending)

    @property
    def waiting(self) -> int:
        """Those that wait for a batch."""
        return len(self._queue)

    @property
    def generating(self) -> int:
        """Those whose answer is being generated."""
        return self._generating

    @property
    def default_new_tokens(self) -> int:
        """Longest answer where none is asked for."""
        return self.model.generation_config.max_new_tokens or DEFAULT_NEW_TOKENS

    @property
    def alive(self) -> bool:
        """Whether questions are still being answered."""
        return self._thread.is_alive() and not self._closed

    def close(self) -> None:
        """Gives up all answers and ends the threads."""
        with self._changed:
            self._closed = True
            answers = list(self._pending)
            self._changed.notify_all()
        for answer in answers:
            answer.cancel()
        self._readers.shutdown(cancel_futures=True)
        self._thread.join()

    def __enter__(self) -> "ChatEngine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Reading

    def _take_own_processor(self) -> None:
        """Tokenizers must not be used by two threads at a time."""
        with self._changed:
            self._own.processor = copy.deepcopy(self._processor)

    def _read(self, answer: Answer, chat: Chat, settings: GenerationSettings, load_audio_from_video: bool) -> None:
        question, failure = None, None
        try:
            if not answer.ended:
                question = self._question(answer, chat, settings, load_audio_from_video)
        except Exception as error:
            failure = error
        with self._changed:
            self._preparing -= 1
            if question is None or self._closed:
                self._pending.discard(answer)
            else:
                self._queue.append(question)
            self._changed.notify_all()
        # Outside of the lock: a sink may call the engine.
        if failure is not None:
            answer.fail(failure)

    def _question(
        self, answer: Answer, chat: Chat, settings: GenerationSettings, load_audio_from_video: bool
    ) -> Question | None:
        processor = self._own.processor
        turns = checked_chat(chat)
        self._check_text(turns)
        items = processor.chat_items(turns, load_audio_from_video)
        clips = []
        for item in items:
            if answer.ended:  # cancelled
                return None
            clips.append(self.clips.clip(item, processor))
        seen = [clip.summary for clip in clips]
        tokens = prompt_ids(turns, processor, [summary.query_tokens for summary in seen])
        room = self._room(len(tokens), settings)
        # As in the pipeline: what the connector leaves out is no item.
        answer.media = asdict(MediaSummary.of_items([summary for summary in seen if summary.query_tokens]))
        answer.prompt_tokens = len(tokens)
        embeddings = [
            self.clips.embeddings(item, clip, processor)
            for item, clip in zip(items, clips, strict=True)
            if clip.summary.query_tokens
        ]
        text = AnswerText(self._generate.tokenizer, settings.stop)
        return Question(tokens, embeddings, room, settings, answer, text)

    def _check_text(self, chat: Chat) -> None:
        """Refuses a text that cannot fit before the tokeniser takes minutes over it.

        Raises `ValueError`.
        """
        characters, bound = text_length(chat), self._positions * LONGEST_TOKEN
        if characters > bound:
            raise ValueError(
                f"The chat has {characters} characters; the language model takes {self._positions} tokens, which is "
                f"never more than {bound} characters. Write less."
            )

    def _room(self, prompt_tokens: int, settings: GenerationSettings) -> int:
        """New tokens that the answer may have.

        Raises `ValueError` if the language model was not made for so many.
        """
        positions = self._positions
        wanted = settings.max_new_tokens or self.default_new_tokens
        if settings.max_new_tokens is None:
            wanted = max(1, min(wanted, positions - prompt_tokens))
        if prompt_tokens + wanted > positions:
            raise ValueError(
                f"The prompt has {prompt_tokens} tokens and the answer may have {wanted}, but the language model "
                f"takes {positions} together. Ask about a shorter clip, or for a shorter answer."
            )
        return wanted

    # Generating

    def _run(self) -> None:
        left_over: list[Question] = []
        while batch := left_over + self._next_batch(left_over):
            self.batches += 1
            left_over = self._generate(batch, self._ended, partial(self._can_somebody_join, batch))

    def _next_batch(self, left_over: list[Question]) -> list[Question]:
        """Takes questions that go together, the oldest first; waits for them unless there are some left over.

        Empty when the engine is closed.
        """
        with self._changed:
            if left_over:
                return self._take_batch(left_over)
            while True:
                while not self._queue and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return []
                # A short wait for those whose media are being read: one prefill for all is cheaper than two.
                deadline = time.monotonic() + self.batch_wait
                while len(self._queue) < self.max_batch_size and self._preparing and not self._closed:
                    if not self._changed.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                        break
                batch = self._take_batch([])
                if batch:
                    return batch

    def _take_batch(self, left_over: list[Question]) -> list[Question]:
        """Newcomers; beside rows that are left over, only those with no other question before them."""
        self._forget_cancelled()
        batch: list[Question] = []
        passed_over: deque[Question] = deque()
        while self._queue and not (left_over and passed_over):
            question = self._queue.popleft()
            (batch if self._fits(question, left_over + batch) else passed_over).append(question)
        self._queue.extendleft(reversed(passed_over))
        self._generating = len(left_over) + len(batch)
        self.batched_questions += len(batch)
        return batch

    def _fits(self, question: Question, batch: list[Question]) -> bool:
        if not batch:
            return True
        tokens = max(one.tokens for one in [*batch, question]) * (len(batch) + 1)
        within = len(batch) < self.max_batch_size and tokens <= self.max_batch_tokens
        return within and batch[0].settings.may_share_a_batch(question.settings)

    def _can_somebody_join(self, batch: list[Question]) -> bool:
        # Asked token after token, so first without the lock: who is overlooked is seen a token later.
        if not self._queue:
            return False
        with self._changed:
            self._forget_cancelled()
            running = [question for question in batch if not question.answer.ended]
            return bool(self._queue and running) and self._fits(self._queue[0], running)

    def _forget_cancelled(self) -> None:
        for question in [question for question in self._queue if question.answer.ended]:
            self._queue.remove(question)
            self._pending.discard(question.answer)

    def _ended(self, question: Question) -> None:
        with self._changed:
            self._generating -= 1
            self._pending.discard(question.answer)
            self.prompt_tokens += question.answer.prompt_tokens
            self.completion_tokens += question.answer.completion_tokens
