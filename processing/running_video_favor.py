# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A video window by window, as it runs: the model's inputs for each, and for a question about what was seen so far.

The windows are the causal Q-Former's. The log-mel chunk that is still open is given anew with each window, from its
start, because the audio encoder reads a chunk as a whole; complete chunks are given once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers.feature_extraction_utils import BatchFeature

from .items_favor import MediaItem, distinct_pictures
from .log_mel_favor import chunk_samples
from .media_favor import MediaClip, iterate_media
from .media_limits_favor import MediaError
from .media_sources_favor import MediaSource
from .prompts_favor import find_items


@dataclass
class VideoWindow:
    """One window of a running video.

    Attributes:
        start, end (`float`): seconds from the video's start.
        inputs (`BatchFeature`): the arguments of `FavorMediaStream.add`, PyTorch tensors.
    """

    start: float
    end: float
    inputs: BatchFeature


class RunningVideoMixin:
    """What `FavorProcessor` does for videos that are watched while they run."""

    def stream(
        self: Any, source: MediaSource, instruction: str = "", load_audio_from_video: bool = True, **options: Any
    ) -> Iterator[VideoWindow]:
        """Reads a video or sound window by window, in memory that does not grow.

        Feed `model.media_stream()` with it; a question may be asked after any window.

        Args:
            source (path, bytes or binary file object): as for `load_media`.
            instruction (`str`): for the visual Q-Former, which reads it with every picture; the answer to a question
                equals that of a call with `instructions=instruction` on what was seen so far.
            load_audio_from_video (`bool`, defaults to `True`): use the file's sound.
            options: `start`, `end`, `on_error`, `media_limits`, ... of `load_media`.

        Raises:
            ValueError: if the model's connector has no synchronised windows, or the file cannot be used.
        """
        if not self.shares_steps or self.window_steps is None:
            raise MediaError(
                "Only models whose connector has synchronised windows can watch a running video. This one has "
                f"connector={self.connector!r}, synchronize={self.synchronize}, window_frames={self.window_frames}."
            )
        pieces = iterate_media(
            source,
            self.frame_rate,
            self.window_steps / self.frame_rate,
            size=self.video_processor.frame_size,
            sampling_rate=self.feature_extractor.sampling_rate,
            with_audio=load_audio_from_video,
            **{**self.media_options, **options, "num_frames": None},
        )
        return self._window_inputs(pieces, self.instruction_inputs([instruction]))

    def _window_inputs(self: Any, pieces: Iterator[MediaClip], instructions: dict) -> Iterator[VideoWindow]:
        chunk = chunk_samples(self.feature_extractor)
        sound = np.zeros(0, dtype=np.float32)  # of the chunk that is still open
        for piece in pieces:
            item = MediaItem(still=piece.still)
            if piece.frames is not None and len(piece.frames):
                rows, item.frame_indices = distinct_pictures(piece.frames)
                item.frames = piece.frames[rows]
            if piece.audio is not None:
                item.audio = sound = np.concatenate([sound, piece.audio])
                sound = sound[len(sound) // chunk * chunk :]
            media, _ = self.media_inputs([item])
            if media:
                end = piece.start + piece.duration
                yield VideoWindow(piece.start, end, BatchFeature({**media, **instructions}, tensor_type="pt"))

    def stream_prompt(self: Any, conversation: str | list[dict], num_tokens: int) -> BatchFeature:
        """The prompt for a question about a running video.

        Args:
            conversation (`str` or `list[dict]`): the question, or a chat with strings as contents. The video belongs
                to its first user turn.
            num_tokens (`int`): query tokens of what was seen so far, `FavorMediaStream.num_tokens`.

        Returns:
            `input_ids` and `attention_mask` (1, length) int64.

        Raises:
            ValueError: if the chat has no user turn, or names other media.
        """
        if isinstance(conversation, str):
            conversation = [{"role": "user", "content": conversation}]
        users = [number for number, turn in enumerate(conversation) if turn["role"] == "user"]
        if not users or not all(isinstance(turn["content"], str) for turn in conversation):
            raise ValueError("The conversation must have a user turn, and strings as contents: the video is running.")
        named = sum(len(find_items(turn["content"])) for turn in conversation)
        if named:
            raise ValueError(f"The conversation names {named} media beside the running video; take them out.")
        first = conversation[users[0]]
        blocks = [{"type": "video"}, {"type": "text", "text": first["content"]}]
        turns = [*conversation[: users[0]], {**first, "content": blocks}, *conversation[users[0] + 1 :]]
        ids = self.prompt_tokens(turns, [num_tokens], add_generation_prompt=True).input_ids
        return BatchFeature({"input_ids": [ids], "attention_mask": [[1] * len(ids)]}, tensor_type="pt")


__all__ = ["RunningVideoMixin", "VideoWindow"]
