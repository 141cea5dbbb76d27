# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Answers many users' chats about media: files are read in a lane of their own, questions are answered in batches.

A question goes through three lanes: "prompts", threads that check it and find its clips in the cache; "media", only if
a clip must be read, threads that read and encode it; and "answers", the one thread that generates, batch by batch in
turn. So nobody who asks about text or a known clip waits for the decoding of others.
"""

import copy
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from favor.processing import MediaSummary
from favor.processing.items_favor import ItemSource

from .answer import Answer, Event
from .answer_text import AnswerText
from .batch_generation import BatchGenerator, Question
from .chat_items import Chat, check_count, check_size, checked_chat, prompt_ids
from .decoding_workers import WORKERS, DecodingWorkers
from .encoded_clips import EncodedClip, EncodedClips
from .engine_state import EngineState, EngineStopped, TooManyRequests
from .generation_settings import GenerationSettings
from .lanes import Lane, LaneState
from .turns import Turns

DEFAULT_NEW_TOKENS = 256
PROMPT_WORKERS = 2
# Seconds of a call in which no prompt is made: each would take the interpreter from it a hundred times, and its
# question could not join the call anyway.
UNDISTURBED = 0.1
LONGEST_WAITS = 4  # times `batch_wait` that a batch waits at most while one prompt after the other gets ready


@dataclass(frozen=True)
class _Asked:
    """A question as it came, and whose it is."""

    answer: Answer
    chat: Chat
    settings: GenerationSettings
    own_sound: bool
    client: str


def decoding_by(processor: Any, decoders: DecodingWorkers | None) -> Any:
    """A copy of a processor that decodes files in these processes, or here if there are none.

    Raises `ValueError` for a processor whose code, a model folder's own, knows no other way than its own.
    """
    processor = copy.deepcopy(processor)
    if decoders is not None:
        if not hasattr(processor, "media_loader"):
            raise ValueError(
                "The model's own processor cannot decode in other processes: its code is older than this. Export the "
                "model again, or have its files decoded in the server's own process."
            )
        processor.media_loader = decoders.load_media
    return processor


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
        media_workers: threads that read media; by default as many as `decoders` has, else one per core, 4 to 8.
        batch_wait: seconds that the first question of a batch waits for others whose prompts are being made, or whose
            media are being read; with each prompt that gets ready while there are more, so long again.
        decoders: processes in which files are decoded, as those of strangers should be; this one by default.

    Attributes:
        clips: the [`EncodedClips`].
        positions: tokens that the language model takes.
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
        decoders: DecodingWorkers | None = None,
    ):
        self.model, self.max_pending, self.batch_wait = pipe.model, max_pending, batch_wait
        options = {} if media_limits is None else {"media_limits": dict(media_limits)}
        self.clips = EncodedClips(pipe.model, cache_bytes, options)
        self.decoders = decoders
        self._processor = decoding_by(pipe.processor, decoders)
        # A placeholder in an answer would be read as an item without media by the next step.
        never = (self._processor.video_token_id, self._processor.image_token_id, self._processor.audio_token_id)
        self.positions = getattr(pipe.model.config.text_config, "max_position_embeddings", None) or 1 << 40
        self._generate = BatchGenerator(pipe.model, copy.deepcopy(self._processor.tokenizer), never)
        self.batches = self.batched_questions = self.prompt_tokens = self.completion_tokens = 0
        self._generating = 0
        self._turns = Turns(max_batch_size, max_batch_tokens)
        self._pending: set[Answer] = set()
        self._preparing: set[Answer] = set()  # those that are not ready
        self._checking: set[Answer] = set()  # of these, those in the lane of prompts
        self._between_calls = threading.Event()
        self._between_calls.set()
        self._call_began = 0.0
        self._changed = threading.Condition()
        self._closed = False
        self._own = threading.local()
        workers = media_workers or (WORKERS if decoders is None else decoders.workers)
        self._prompts = Lane("prompts", PROMPT_WORKERS, self._take_own_processor)
        self._media = Lane("media", workers, self._take_own_processor)
        self._thread = threading.Thread(target=self._run, name="favor-generate", daemon=True)
        self._thread.start()

    def ask(
        self,
        chat: Chat,
        settings: GenerationSettings | None = None,
        load_audio_from_video: bool = True,
        sink: Callable[[Event], None] | None = None,
        client: str = "",
        every_piece: bool = True,
    ) -> Answer:
        """Takes a question; returns at once.

        Args:
            chat: messages with `role` and `content`, the last one the user's; media as blocks with "path" or "bytes".
            settings: how to generate.
            load_audio_from_video: hear a video's own sound.
            sink: called with each piece, and at the end with None or an error, from the engine's threads; instead of
                the iteration.
            client: whose question it is; first come the files and answers of clients on whom little time was spent.
            every_piece: False: of the pieces only the first is told, for whoever waits for the whole text.

        Raises `TooManyRequests`, and `EngineStopped`. What is wrong with the question, its media or its length
        (`ValueError`, `OSError`) is raised from the iteration.
        """
        answer = Answer(sink, self._left, every_piece)
        with self._changed:
            if not self.alive:
                raise EngineStopped("The engine is closed.")
            if len(self._pending) >= self.max_pending:
                raise TooManyRequests(f"{len(self._pending)} answers are being made; the bound is {self.max_pending}.")
            self._pending.add(answer)
            self._preparing.add(answer)
            self._checking.add(answer)
        asked = _Asked(answer, chat, settings or GenerationSettings(), load_audio_from_video, client)
        self._prompts.submit(client, answer, partial(self._prepare, asked))
        return answer

    @property
    def pending(self) -> int:
        """Questions that wait for their media, or for a batch, or are being answered."""
        return len(self._pending)

    @property
    def waiting(self) -> int:
        """Those that wait for a batch."""
        return self._turns.new

    @property
    def generating(self) -> int:
        """Those whose answer has begun, whether it is their turn or not."""
        return self._generating

    @property
    def lanes(self) -> list[LaneState]:
        """How the lanes get on."""
        still = time.monotonic() - self._generate.moved if self._generating else 0.0
        answers = LaneState("answers", self.waiting, self._generating, still)
        return [self._prompts.state, self._media.state, answers]

    @property
    def standing_still(self) -> list[str]:
        """The lanes in which nothing has moved for long while questions wait."""
        return self.state.standing_still

    @property
    def state(self) -> EngineState:
        """How it gets on, in numbers."""
        clips, decoders = self.clips, self.decoders
        return EngineState(
            alive=self.alive,
            lanes=self.lanes,
            pending=self.pending,
            cache_bytes=clips.bytes,
            cache_max_bytes=clips.max_bytes,
            cache_hits=clips.hits,
            cache_misses=clips.misses,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            batches=self.batches,
            batched_questions=self.batched_questions,
            decoders_ended=None if decoders is None else dict(decoders.ended),
            decoder_restarts=0 if decoders is None else decoders.restarts,
        )

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
        self._prompts.close()
        self._media.close()
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

    def _prepare(self, asked: _Asked) -> None:
        """In the lane of prompts: what needs no reading is made ready, anything else goes to the lane of media."""
        question, failure = None, None
        self._between_calls.wait(max(0.0, self._call_began + UNDISTURBED - time.monotonic()))
        try:
            chat, items = self._items(asked)
            clips = [clip for clip in map(self.clips.known, items) if clip is not None]
            if len(clips) < len(items):
                self._media.submit(asked.client, asked.answer, partial(self._read, asked, chat, items))
                self._checked(asked.answer)
                return
            question = self._question(asked, chat, items, clips)
        except Exception as error:
            failure = error
        self._ready(asked.answer, question, failure)

    def _read(self, asked: _Asked, chat: Chat, items: list[ItemSource]) -> None:
        """In the lane of media."""
        question, failure, clips = None, None, []
        try:
            for item in items:
                if asked.answer.ended:  # cancelled
                    return
                clips.append(self.clips.clip(item, self._own.processor))
            question = self._question(asked, chat, items, clips)
        except Exception as error:
            failure = error
        self._ready(asked.answer, question, failure)

    def _checked(self, answer: Answer) -> None:
        with self._changed:
            self._checking.discard(answer)
            self._changed.notify_all()

    def _ready(self, answer: Answer, question: Question | None, failure: Exception | None) -> None:
        with self._changed:
            self._preparing.discard(answer)
            self._checking.discard(answer)
            if question is not None and not answer.ended and not self._closed:
                self._turns.add(question)
            self._changed.notify_all()
        # Outside of the lock: a sink may call the engine.
        if failure is not None:
            answer.fail(failure)

    def _left(self, answer: Answer) -> None:
        """An answer has ended, perhaps since nobody waits for it: its place is free at once, wherever it is."""
        self._prompts.withdraw(answer)
        self._media.withdraw(answer)
        with self._changed:
            self._preparing.discard(answer)
            self._checking.discard(answer)
            self._pending.discard(answer)
            set_aside = self._turns.withdraw(answer)
            if set_aside is not None:
                self._ended(set_aside)
            self._changed.notify_all()

    def _items(self, asked: _Asked) -> tuple[Chat, list[ItemSource]]:
        """The checked chat, and its media.

        Raises `ValueError` for what cannot fit, before any work is done over it.
        """
        check_count(len(asked.chat), "messages", self.positions)
        chat = checked_chat(asked.chat)
        check_size(chat, self.positions)
        items = self._own.processor.chat_items(chat, asked.own_sound)
        check_count(len(items), "media", self.positions)
        return chat, items

    def _question(self, asked: _Asked, chat: Chat, items: list[ItemSource], clips: list[EncodedClip]) -> Question:
        processor, answer, settings = self._own.processor, asked.answer, asked.settings
        seen = [clip.summary for clip in clips]
        tokens = prompt_ids(chat, processor, [summary.query_tokens for summary in seen])
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
        return Question(tokens, embeddings, room, settings, answer, text, client=asked.client)

    def _room(self, prompt_tokens: int, settings: GenerationSettings) -> int:
        """New tokens that the answer may have.

        Raises `ValueError` if the language model was not made for so many.
        """
        positions = self.positions
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
        try:
            while batch := self._next_batch():
                self.batches += 1
                self._call_began = time.monotonic()
                self._between_calls.clear()
                left_over = self._generate(batch, self._ended, self._is_somebody_due)
                self._between_calls.set()
                with self._changed:
                    self._turns.charge(batch, time.monotonic() - self._call_began)
                for questions in left_over:
                    self._set_aside(questions)
        finally:  # whatever happened, nobody is to wait for what does not come
            self._between_calls.set()
            with self._changed:
                self._closed = True
                answers = list(self._pending)
            for answer in answers:
                answer.fail(EngineStopped("The engine has stopped."))

    def _next_batch(self) -> list[Question]:
        """The batch whose turn it is; waits for one, and for others that may soon share it.

        Empty when the engine is closed.
        """
        with self._changed:
            idle = not self._turns
            while not self._turns and not self._closed:
                self._changed.wait()
            # A short wait for those whose prompts are being made, and if there is no hurry for those whose media are
            # being read: one prefill for all is cheaper than two.
            deadline = time.monotonic() + self.batch_wait
            latest = deadline + (LONGEST_WAITS - 1) * self.batch_wait
            awaited = self._preparing if idle else self._checking
            while awaited and self._turns.new < self._turns.max_batch_size and not self._closed:
                ready = self._turns.new
                self._changed.wait(deadline - time.monotonic())
                now = time.monotonic()
                if self._turns.new > ready and self._checking:  # who just misses a call waits for all of it
                    deadline = min(now + self.batch_wait, latest)
                if now >= deadline:
                    break
            if self._closed:
                return []
            if not self._turns:  # all were cancelled meanwhile
                return self._next_batch()
            batch = self._turns.next()
            for question in batch:
                self._generating += not question.begun
                self.batched_questions += not question.begun
                question.begun = True
            return batch

    def _is_somebody_due(self, running: Sequence[Question], seconds: float) -> bool:
        with self._changed:
            return self._turns.are_due(running, seconds)

    def _set_aside(self, batch: list[Question]) -> None:
        with self._changed:
            cancelled = [question for question in batch if question.answer.ended]
            for question in cancelled:
                self._ended(question)
            if len(cancelled) < len(batch):
                self._turns.set_aside([question for question in batch if question not in cancelled])

    def _ended(self, question: Question) -> None:
        with self._changed:
            self._generating -= 1
            self._pending.discard(question.answer)
            self.prompt_tokens += question.answer.prompt_tokens
            self.completion_tokens += question.answer.completion_tokens
