# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""From items to what the model takes: reading them, media tensors, instructions, tokens of prompts.

Everybody who prepares items goes through these methods of `FavorProcessor`: its own call, training, the encoder cache,
the serving engine and the page.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch.nn.utils.rnn import pad_sequence

from .chat_favor import chat_instructions, check_conversation, collect_media, without_sources
from .items_favor import IS_VALUE, ItemSource, MediaItem, MediaReading, check_sampling, item_sources, load_item
from .log_mel_favor import frame_frequency, sound_chunks
from .media_favor import MediaClip, load_media, media_kind
from .media_limits_favor import MediaError
from .media_options_favor import (
    MEDIA_OPTIONS,
    SAMPLING_KWARGS,
    check_call_options,
    merge_media_options,
    plain_numbers,
)
from .media_sources_favor import is_media_source
from .prompts_favor import (
    ASSISTANT_MARKER,
    USER_MARKER,
    ChatInstructions,
    PromptItem,
    clean_instruction,
    expanded_places,
    find_items,
    texts_of_items,
    turn_around,
)
from .query_tokens_favor import ConnectorTokens, audio_vectors, audio_vectors_per_frame, connector_tokens
from .summary_favor import MediaSummary

UNLIMITED = 1 << 20  # a tokenizer that knows no limit says that its texts may have more tokens than this


@dataclass(frozen=True)
class PromptTokens:
    """A prompt's tokens, placeholders expanded.

    Attributes:
        input_ids (`list[int]`): the tokens.
        answers (`list[int]` or None): 1 for those that the assistant says.
    """

    input_ids: list[int]
    answers: list[int] | None


class ItemInputsMixin:
    """What `FavorProcessor` does for items, one by one or all of a batch.

    Attributes:
        media_loader (callable): decodes the files of a call: `load_media`, or what takes the same arguments and
            returns the same, as one that decodes in other processes. It is not saved.
    """

    media_loader: Callable[..., MediaClip] = staticmethod(load_media)

    # Length arithmetic: the same in the model (docs/architecture.md).

    @property
    def counting_values(self) -> dict[str, Any]:
        """The fields on which the number of query tokens depends, among others."""
        return {**vars(self), **(vars(self)["connector_values"] or {})}

    @property
    def connector_tokens(self) -> ConnectorTokens:
        """What is known of the model's connector."""
        return connector_tokens(vars(self))

    @property
    def window_steps(self) -> int | None:
        """Time steps of a window; None of a model without windows."""
        return self.connector_tokens.window_steps(self.counting_values)

    @property
    def shares_steps(self) -> bool:
        """Whether picture and sound share time steps of 1 / `frame_rate` seconds."""
        return self.connector_tokens.shares_steps(self.counting_values)

    def audio_vectors_per_frame(self: Any, frame_rate: float | None = None) -> int:
        """Audio encoder outputs per time step.

        Raises:
            ValueError: if it is not a whole number.
        """
        encoder_rate = frame_frequency(self.feature_extractor) / self.audio_stride
        return audio_vectors_per_frame(encoder_rate, self.frame_rate if frame_rate is None else frame_rate)

    def audio_vector_count(self: Any, frames: int) -> int:
        """Audio encoder outputs of one chunk with so many real frames (of log-mel, or samples)."""
        return audio_vectors(frames, self.audio_stride)

    def query_token_count(self: Any, visual_frames: int, audio_vectors: int, frame_rate: float | None = None) -> int:
        """Language model tokens of one item.

        Args:
            visual_frames (`int`): time steps that show a picture.
            audio_vectors (`int`): audio encoder outputs, summed over chunks.
            frame_rate (`float`, *optional*): the processor's own by default.
        """
        per_frame = self.audio_vectors_per_frame(frame_rate)
        return self.connector_tokens.tokens(self.counting_values, visual_frames, audio_vectors, per_frame)

    def checked_frame_rate(self: Any, fps: float | None) -> float:
        """The time steps per second of a call.

        Raises:
            ValueError: if the audio encoder's rate is no multiple of `fps`, or the model would take the steps for ones
                of another length, which no count of tokens would tell.
        """
        if fps is None:
            return self.frame_rate
        self.audio_vectors_per_frame(fps)
        if fps != self.frame_rate and self.connector_tokens.follows_clock(self.counting_values):
            raise MediaError(
                f"fps={fps:g} was asked for, but the model takes every time step for one of frame_rate "
                f"{self.frame_rate:g} Hz. Change both sides instead: processor.frame_rate = {fps:g}, "
                f"model.config.frame_rate = {fps:g} and model.config.fill_connector_config()."
            )
        return fps

    # Reading

    @property
    def file_options(self) -> tuple[str, ...]:
        """Names of a call's arguments that say how files are read."""
        return ("fps", *MEDIA_OPTIONS)

    def is_medium(self, kind: str, value: Any) -> bool:
        """Whether a value is one medium of a kind ("video", "image" or "audio"), and not a list of them."""
        return IS_VALUE[kind](value)

    def media_kind(self: Any, source: Any, on_error: str | None = None, media_limits: Any = None) -> str:
        """What a file, or a PIL picture, holds: "video", "image" or "audio".

        Args:
            source: the file.
            on_error (`"raise"` or `"warn"`, *optional*): of a damaged one, see `load_media`.
            media_limits (`MediaLimits` or `dict`, *optional*): bounds on what the file may cost.

        Raises:
            FileNotFoundError: if a file does not exist.
            ValueError: if it is no media, or an array, whose kind its shape does not tell.
        """
        if isinstance(source, Image.Image):
            return "image"
        if not is_media_source(source):
            raise MediaError(f"A {type(source).__name__} alone does not tell its kind: say video=, image= or audio=.")
        on_error = self.media_options.get("on_error", "raise") if on_error is None else on_error
        media_limits = self.media_options.get("media_limits") if media_limits is None else media_limits
        return media_kind(source, on_error, media_limits, self.media_loader)

    def media_reading(
        self: Any, frame_rate: float | None = None, videos_kwargs: Mapping[str, Any] | None = None
    ) -> MediaReading:
        """How items are read: by the processor's `media_options`, and the call's over them."""
        given = videos_kwargs or {}
        resized = given.get("do_resize", self.video_processor.do_resize)
        size = self.video_processor.checked_size(given.get("size")) if resized else None
        rate = self.frame_rate if frame_rate is None else frame_rate
        options = merge_media_options(self.media_options, given, uniform_sampling=not self.shares_steps)
        return MediaReading(rate, self.feature_extractor.sampling_rate, size, options, self.media_loader)

    def load_item(self: Any, source: ItemSource, **options: Any) -> MediaItem:
        """Reads one item as a call does.

        Args:
            source (`ItemSource`): for instance one of [`~FavorProcessor.chat_items`].
            options: `start`, `end`, `media_limits`, ... of a call.

        Raises:
            FileNotFoundError: if a file does not exist.
            ValueError: if it cannot be used, or an option is none of a call.
        """
        check_call_options(options, self.valid_processor_kwargs)
        options = plain_numbers(options)
        check_sampling([source], options, self.shares_steps)
        return load_item(source, self.media_reading(self.checked_frame_rate(options.get("fps")), options))

    def chat_items(self: Any, conversation: Sequence[dict], load_audio_from_video: bool = True) -> list[ItemSource]:
        """The items of a chat as a call finds them, each with its instruction; reads nothing.

        Raises:
            ValueError: if a message is empty or cannot hold media, or the template leaves out media.
        """
        chat = check_conversation(conversation, drop_empty_audio=True)
        prompt = self._prompt_items(chat)
        media = {kind: values[0] for kind, values in collect_media([chat]).items()}
        texts = texts_of_items(prompt, chat_instructions([chat], self.special_tokens).texts[0])
        return item_sources([prompt], media, load_audio_from_video, instructions=texts)

    def _prompt_items(self: Any, chat: Sequence[dict]) -> list[PromptItem]:
        """The items of a checked chat where the template puts them, whatever the texts look like."""
        if not any(not isinstance(message.get("content"), str) for message in chat):
            return []
        shape = [without_sources(message, text="x") for message in chat]
        return find_items(self.tokenizer.apply_chat_template(shape, chat_template=self.chat_template, tokenize=False))

    # Media tensors

    def media_inputs(
        self: Any,
        items: Sequence[MediaItem],
        frame_rate: float | None = None,
        videos_kwargs: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, torch.Tensor], list[int]]:
        """The media tensors of these items (see `__call__`), and each item's number of query tokens."""
        data, audio_vectors = self._audio_inputs(items)
        per_frame = self.audio_vectors_per_frame(frame_rate)
        indices = []
        for media, vectors in zip(items, audio_vectors, strict=True):
            steps = media.frame_indices or []
            if media.still:
                # A still is shown as long as its sound lasts (paper, section 3.1).
                steps = steps * max(1, math.ceil(vectors / per_frame))
            indices.append(torch.tensor(steps, dtype=torch.int64))
        counts = [
            self.query_token_count(len(steps), vectors, frame_rate)
            for steps, vectors in zip(indices, audio_vectors, strict=True)
        ]
        seen = [number for number, media in enumerate(items) if media.frames is not None]
        if seen:
            kwargs = {key: value for key, value in (videos_kwargs or {}).items() if key not in SAMPLING_KWARGS}
            pixels = self.video_processor([items[number].frames for number in seen], **kwargs)["pixel_values_videos"]
            rows = [pixels[0].new_zeros(0, *pixels[0].shape[1:])] * len(items)
            for number, frames in zip(seen, pixels, strict=True):
                rows[number] = frames
            padded = rows[0][None] if len(rows) == 1 else pad_sequence(rows, batch_first=True)  # one is not copied
            data["pixel_values_videos"] = padded  # (items, F, 3, H, W)
            data["video_frame_indices"] = pad_sequence(indices, batch_first=True, padding_value=-1)  # (items, T)
        return data, counts

    def log_mel(self: Any, item: MediaItem) -> tuple[torch.Tensor, torch.Tensor] | None:
        """An item's sound as (C, mel, frames) float32 chunks and their (C, frames) int64 mask; None without sound.

        No argument of a call reaches the feature extractor: the tokenizer's `padding`, `max_length` or `truncation`
        would cut the sound.
        """
        if item.log_mel is None and item.audio is not None and len(item.audio):
            return sound_chunks(item.audio, self.feature_extractor)
        return item.log_mel

    def _audio_inputs(self, items: Sequence[MediaItem]) -> tuple[dict[str, torch.Tensor], list[int]]:
        """Log-mel features and mask of chunks, and each item's number of audio encoder outputs."""
        extracted = [self.log_mel(media) for media in items]
        heard = [chunks for chunks in extracted if chunks is not None]
        if not heard:
            return {}, [0] * len(items)
        most = max(len(features) for features, _ in heard)
        features = torch.zeros(len(items), most, *heard[0][0].shape[1:])  # (items, C, mel, frames)
        mask = torch.zeros(len(items), most, features.shape[-1], dtype=torch.int64)  # (items, C, frames)
        for item, chunks in enumerate(extracted):
            if chunks is not None:
                features[item, : len(chunks[0])], mask[item, : len(chunks[1])] = chunks
        return {"input_features": features, "input_features_mask": mask}, self._audio_vector_counts(mask)

    def _audio_vector_counts(self: Any, mask: torch.Tensor) -> list[int]:
        """Each item's audio encoder outputs for a mel mask (items, C, frames)."""
        return audio_vectors(mask.sum(dim=-1), self.audio_stride).sum(dim=-1).tolist()

    # Instructions for the visual Q-Former

    @property
    def special_tokens(self: Any) -> list[str]:
        """Those of the language model's tokenizer, which are no part of an instruction."""
        return [str(token) for token in self.tokenizer.all_special_tokens]

    @property
    def _limits_instructions(self: Any) -> bool:
        return self.qformer_tokenizer.model_max_length < UNLIMITED

    def instruction_ids(self: Any, instruction: str) -> list[int] | None:
        """The visual Q-Former's tokens of one instruction, cut at the longest that it takes; None if it reads none."""
        if self.qformer_tokenizer is None:
            return None
        return self.qformer_tokenizer([instruction], truncation=self._limits_instructions)["input_ids"][0]

    def instruction_inputs(self: Any, instructions: Sequence[str]) -> dict[str, torch.Tensor]:
        """`qformer_input_ids` and `qformer_attention_mask` (items, Q), one instruction per item."""
        if self.qformer_tokenizer is None or not instructions:
            return {}
        tokens = self.qformer_tokenizer(
            list(instructions),
            padding=True,
            padding_side="right",
            truncation=self._limits_instructions,
            return_tensors="pt",
        )
        return {"qformer_input_ids": tokens["input_ids"], "qformer_attention_mask": tokens["attention_mask"]}

    def item_instructions(
        self: Any,
        texts: Sequence[str],
        prompts: Sequence[Sequence[PromptItem]],
        instructions: str | Sequence[str] | ChatInstructions | None = None,
    ) -> list[str]:
        """The instruction of every item of a batch of prompts, see `__call__`.

        Raises:
            ValueError: if there are more or fewer instructions than items.
        """
        items = [item for sample in prompts for item in sample]
        if isinstance(instructions, str):
            return [instructions] * len(items)
        if instructions is None or isinstance(instructions, ChatInstructions):
            chats = [None] * len(texts) if instructions is None else instructions.texts
            pairs = zip(texts, prompts, chats, strict=True)
            return [text for sample in pairs for text in self._instructions_of_prompt(*sample)]
        if len(instructions) != len(items):
            raise ValueError(
                f"{len(instructions)} instructions were given for {len(items)} items. "
                "Give one string, or one for each item."
            )
        return list(instructions)

    def _instructions_of_prompt(
        self: Any, text: str, items: Sequence[PromptItem], chat: Mapping[str, Sequence[str]] | None
    ) -> list[str]:
        known = None if chat is None else texts_of_items(items, chat)
        if known is not None:
            return known
        template = str(self.chat_template or "")
        marks = not template or (USER_MARKER in template and ASSISTANT_MARKER in template)
        return [clean_instruction(turn_around(text, item, marks), self.special_tokens) for item in items]

    # Tokens of prompts

    def prompt_tokens(
        self: Any, conversation: Sequence[dict], query_tokens: Sequence[int], **options: Any
    ) -> PromptTokens:
        """A chat's tokens with the placeholders of its items expanded, as a call gives them.

        Args:
            conversation (`list[dict]`): the chat.
            query_tokens (`list[int]`): of each item, in the order of [`~FavorProcessor.chat_items`].
            options: of the tokenizer's `apply_chat_template`: `add_generation_prompt`, `sanitize_control_tokens`,
                `return_assistant_tokens_mask`.

        Raises:
            ValueError: if the chat has another number of items.
        """
        chat = check_conversation(conversation, drop_empty_audio=True)
        items = self._prompt_items(chat)
        if len(items) != len(query_tokens):
            raise ValueError(f"The chat has {len(items)} items, but query_tokens are given for {len(query_tokens)}.")
        tokenized = self.tokenizer.apply_chat_template(
            [without_sources(message) for message in chat],
            chat_template=self.chat_template,
            tokenize=True,
            return_dict=True,
            **options,
        )
        before, after = self._special_tokens_around(tokenized["input_ids"])
        ids = [*before, *tokenized["input_ids"], *after]
        placeholders = (self.video_token_id, self.image_token_id, self.audio_token_id)
        places = expanded_places(ids, items, query_tokens, placeholders)
        expanded = [self.video_token_id if ids[place] in placeholders else ids[place] for place in places]
        answers = None
        if "assistant_masks" in tokenized:
            said = [*[0] * len(before), *tokenized["assistant_masks"], *[0] * len(after)]
            answers = [said[place] for place in places]
        return PromptTokens(expanded, answers)

    def _special_tokens_around(self: Any, ids: Sequence[int]) -> tuple[list[int], list[int]]:
        """What the tokenizer puts before and after a prompt whose template does not begin with its BOS token."""
        bos = self.tokenizer.bos_token_id
        if (bos is not None and list(ids[:1]) == [bos]) or not self.tokenizer.num_special_tokens_to_add():
            return [], []
        around = self.tokenizer("x", return_special_tokens_mask=True)
        own = [place for place, special in enumerate(around["special_tokens_mask"]) if not special]
        return around["input_ids"][: own[0]], around["input_ids"][own[-1] + 1 :]

    # Looking at inputs

    def item_summaries(self: Any, media: Mapping[str, Any], fps: float | None = None) -> list[MediaSummary]:
        """Tells, item by item, how many pictures and how much sound the media tensors hold, read off them.

        Args:
            media (`dict`): what [`~FavorProcessor.media_inputs`] or a call returned.
            fps (`float`, *optional*): if the call had one.
        """
        frames, seconds, vectors = [], [], []
        if "video_frame_indices" in media:
            frames = (torch.as_tensor(media["video_frame_indices"]) >= 0).sum(dim=-1).tolist()
        if "input_features_mask" in media:
            mask = torch.as_tensor(media["input_features_mask"])
            vectors = self._audio_vector_counts(mask)
            frequency = frame_frequency(self.feature_extractor)
            seconds = [count / frequency for count in mask.sum(dim=(-1, -2)).tolist()]
        items = max(len(frames), len(vectors))
        frames, seconds, vectors = (column or [0] * items for column in (frames, seconds, vectors))
        queries = [self.query_token_count(*pair, fps) for pair in zip(frames, vectors, strict=True)]
        frames = [0] * items if self.modalities == "audio" else frames  # what the model masks does not reach it
        seconds = [0] * items if self.modalities == "visual" else seconds
        columns = zip(frames, seconds, queries, strict=True)
        return [MediaSummary(1, seen, float(heard), tokens) for seen, heard, tokens in columns]

    def media_summary(self: Any, inputs: Any, fps: float | None = None) -> list[MediaSummary]:
        """Tells, sample by sample, how many pictures and how much sound the inputs hold, read off the tensors.

        Args:
            inputs (`BatchFeature` or `dict`): what a call returned.
            fps (`float`, *optional*): if the call had one.
        """
        remaining = iter(self.item_summaries(inputs, fps))
        return [MediaSummary.of_items(self._items_of_sample(ids, remaining)) for ids in inputs["input_ids"]]

    def _items_of_sample(self: Any, ids: Any, remaining: Iterator[MediaSummary]) -> list[MediaSummary]:
        left = int((torch.as_tensor(ids) == self.video_token_id).sum())
        own = []
        while left > 0 and (item := next(remaining, None)) is not None:
            left -= item.query_tokens
            own.append(item)
        return own


__all__ = ["ItemInputsMixin", "PromptTokens"]
