# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Requests to prompts, by the rules of `favor serve`: its checks, its media access, its instructions per item.

vLLM's own renderer would fetch what an address names, decode a video without its sound, and take `</s>` or `<video>`
in a user's text for the token.
"""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vllm.config import VllmConfig
from vllm.exceptions import VLLMValidationError
from vllm.renderers.hf import HfRenderer
from vllm.renderers.params import ChatParams

from favor.processing.items_favor import ItemSource, item_sources
from favor.processing.media_names_favor import MEDIA_KINDS
from favor.processing.prompts_favor import find_items
from favor.serving.chat_engine import decoding_by
from favor.serving.chat_items import Chat, check_count, check_size, checked_chat, prompt_ids
from favor.serving.decoding_workers import DecodingWorkers
from favor.serving.media_access import MediaAccess

from .clips import ClipReader, FavorItem, PreparedClip
from .messages import Refusing, chat_of, text_of
from .processing import MODALITY, FavorProcessingInfo
from .settings import OWN_SOUND, FavorSettings

PROMPT_WORKERS = 2
# What vLLM itself adds to a request, by the value that changes nothing.
USUAL_TEMPLATE_OPTIONS = {
    "add_generation_prompt": True,
    "continue_final_message": False,
    "documents": None,
    "reasoning_effort": None,
    "enable_thinking": None,
    "tools": None,
}
VLLMS_OWN = ("tokenize", "cohere_format")  # which it says to every renderer, whatever the model


@dataclass(frozen=True)
class Question:
    """A checked chat, its items, and their clips as far as they are known."""

    chat: Chat
    items: list[ItemSource]
    clips: list[PreparedClip | None]

    @property
    def pairs(self) -> list[tuple[ItemSource, PreparedClip | None]]:
        """Items with their clips."""
        return list(zip(self.items, self.clips, strict=True))


class FavorRenderer(HfRenderer):
    """Makes prompts of chats, and of texts with placeholders and media beside them.

    Reading goes on in threads of its own, so that nobody who asks about text or a known clip waits for decoding.
    """

    def __init__(self, config: VllmConfig, tokenizer: Any):
        super().__init__(config, tokenizer)
        model_config = config.model_config
        settings = FavorSettings.of_model(model_config)
        info: FavorProcessingInfo = self.get_mm_processor().info
        self._settings, self._positions = settings, model_config.max_model_len
        self._decoders = DecodingWorkers(settings.media_workers)  # strangers' files, each in a process of its own
        processor = decoding_by(info.processor, self._decoders)
        self._reader = ClipReader(processor, settings.media_limits, settings.cache_bytes, model_config.dtype)
        folder = model_config.allowed_local_media_path
        self._access = MediaAccess(Path(folder) if folder else None)
        self._prompts = ThreadPoolExecutor(PROMPT_WORKERS, "favor-prompts")
        self._media = ThreadPoolExecutor(settings.media_workers, "favor-media")

    def shutdown(self) -> None:
        """As inherited."""
        self._prompts.shutdown(wait=False, cancel_futures=True)
        self._media.shutdown(wait=False, cancel_futures=True)
        self._decoders.close()
        super().shutdown()

    @property
    def clips_read(self) -> tuple[int, int]:
        """How often a clip was known, and how often one had to be read."""
        return self._reader.cache.hits, self._reader.cache.misses

    # Chats

    def render_messages(self, messages: Sequence[Mapping[str, Any]], params: ChatParams) -> tuple[list, Any]:
        """Messages in OpenAI's form to tokens, one placeholder for each item, and the items.

        Raises:
            VLLMValidationError: for what `favor serve` refuses, too.
        """
        question = self._question(messages, params)
        clips = [self._read(item) if clip is None else clip for item, clip in question.pairs]
        return self._prompt(question, clips)

    async def render_messages_async(
        self, messages: Sequence[Mapping[str, Any]], params: ChatParams
    ) -> tuple[list, Any]:
        """The same for the server; a request that is given up leaves what waits to be read unread."""
        loop = asyncio.get_running_loop()
        question = await loop.run_in_executor(self._prompts, self._question, messages, params)
        coming = [self._coming(item) for item, clip in question.pairs if clip is None]
        read = iter(await asyncio.gather(*coming))
        clips = [next(read) if clip is None else clip for clip in question.clips]
        return await loop.run_in_executor(self._prompts, self._prompt, question, clips)

    def _coming(self, item: ItemSource) -> "asyncio.Future[PreparedClip]":
        return asyncio.get_running_loop().run_in_executor(self._media, self._read, item)

    def _read(self, item: ItemSource) -> PreparedClip:
        with Refusing(self._access):
            return self._reader.clip(item)

    def _question(self, messages: Sequence[Mapping[str, Any]], params: ChatParams) -> Question:
        own_sound = self._own_sound(params)
        with Refusing(self._access):
            check_count(len(messages), "messages", self._positions)
            chat = checked_chat(chat_of(messages, self._access))
            check_size(chat, self._positions)
            items = self._reader.processor.chat_items(chat, own_sound)
            check_count(len(items), "media", self._positions)
            return Question(chat, items, [self._reader.known(item) for item in items])

    def _prompt(self, question: Question, clips: Sequence[PreparedClip]) -> tuple[list, Any]:
        with Refusing(self._access):
            # As in the pipeline: what the connector leaves out is no item.
            ids = prompt_ids(question.chat, self._reader.processor, [min(clip.tokens, 1) for clip in clips])
        pairs = zip(question.items, clips, strict=True)
        items = [self._reader.item(source, clip) for source, clip in pairs if clip.tokens]
        prompt: dict[str, Any] = {"prompt_token_ids": ids}
        if items:
            prompt["multi_modal_data"] = {MODALITY: items}
        shown = [{"role": turn["role"], "content": text_of(turn)} for turn in question.chat]
        return shown, prompt

    def _own_sound(self, params: ChatParams) -> bool:
        """Whether videos are heard; refuses every option that would be passed over.

        Raises `VLLMValidationError`.
        """
        options = dict(params.chat_template_kwargs)
        for name in VLLMS_OWN:
            options.pop(name, None)
        own_sound = options.pop(OWN_SOUND, None)
        for name, value in options.items():
            usual = USUAL_TEMPLATE_OPTIONS.get(name)
            if name not in USUAL_TEMPLATE_OPTIONS or (value is not None and value != usual):
                raise VLLMValidationError(f"{name} is not supported by FAVOR.", parameter=name)
        if params.chat_template is not None:
            raise VLLMValidationError("chat_template is not taken: the model's own is used.")
        if params.media_io_kwargs:
            raise VLLMValidationError("media_io_kwargs change nothing for FAVOR.", parameter="media_io_kwargs")
        by_processor = self._sound_option(params.mm_processor_kwargs)
        own_sound = by_processor if own_sound is None else own_sound
        if not isinstance(own_sound, bool):
            raise VLLMValidationError(f"{OWN_SOUND} must be true or false.", parameter=OWN_SOUND)
        return own_sound

    def _sound_option(self, options: Mapping[str, Any] | None) -> Any:
        """Of `mm_processor_kwargs`, whether videos are heard.

        Raises `VLLMValidationError` for what a request cannot choose.
        """
        started_with = self.model_config.get_multimodal_config().mm_processor_kwargs or {}
        for name, value in (options or {}).items():
            if name != OWN_SOUND and (name not in started_with or started_with[name] != value):
                raise VLLMValidationError(f"{name} is chosen when the server starts.", parameter="mm_processor_kwargs")
        return (options or {}).get(OWN_SOUND, self._settings.load_audio_from_video)

    # Prompts with placeholders

    def _process_tokens(self, prompt: Any, *, skip_mm_cache: bool = False) -> Any:
        sources = self._sources(prompt)
        if sources is not None:
            self._set_items(prompt, sources, [self._read(source) for source in sources])
        return super()._process_tokens(prompt, skip_mm_cache=skip_mm_cache)

    async def _process_tokens_async(self, prompt: Any, *, skip_mm_cache: bool = False) -> Any:
        sources = self._sources(prompt)
        if sources is not None:
            self._set_items(prompt, sources, await asyncio.gather(*map(self._coming, sources)))
        return await super()._process_tokens_async(prompt, skip_mm_cache=skip_mm_cache)

    def _sources(self, prompt: Mapping[str, Any]) -> list[ItemSource] | None:
        """The media of a prompt that is no chat's; None of a chat's, whose items are known.

        Raises `VLLMValidationError` if placeholders and media do not fit: a placeholder without media may lie beyond
        the vocabulary, and would end the engine.
        """
        data, ids = prompt.get("multi_modal_data") or {}, prompt["prompt_token_ids"]
        processor = self._reader.processor
        items = data.get(MODALITY) or ()
        if any(isinstance(item, FavorItem) for item in items):
            named = ids.count(processor.video_token_id)
            if named != len(items):
                raise VLLMValidationError(
                    f"The prompt was cut and names {named} of {len(items)} media: leave out truncate_prompt_tokens.",
                    parameter="truncate_prompt_tokens",
                )
            return None
        if prompt.get("multi_modal_uuids"):
            raise VLLMValidationError("multi_modal_uuids are not taken: media are known by their content.")
        unknown = sorted(set(data) - set(MEDIA_KINDS))
        if unknown:
            raise VLLMValidationError(
                f"multi_modal_data holds {', '.join(unknown)}; FAVOR takes {', '.join(MEDIA_KINDS)}."
            )
        placeholders = (processor.video_token_id, processor.image_token_id, processor.audio_token_id)
        if not data and not any(token in placeholders for token in ids):
            return None
        own_sound = self._sound_option(prompt.get("mm_processor_kwargs"))
        # Of the tokens, not of the text that they may have come from: they are what the model gets.
        text = processor.tokenizer.decode(ids)
        with Refusing(self._access):
            prompts = [find_items(text)]
            return item_sources(prompts, data, own_sound, instructions=processor.item_instructions([text], prompts))

    def _set_items(self, prompt: Any, sources: Sequence[ItemSource], clips: Sequence[PreparedClip]) -> None:
        """Puts the items in place of the media, and one placeholder in place of each item's."""
        processor = self._reader.processor
        separate = [source.sound is not None for source in sources]
        ids, place = [], 0
        second = False
        for token in prompt["prompt_token_ids"]:
            if token not in (processor.video_token_id, processor.image_token_id, processor.audio_token_id):
                ids.append(token)
            elif second:
                second = False
            else:
                ids += [processor.video_token_id] * min(clips[place].tokens, 1)
                second = separate[place]
                place += 1
        pairs = zip(sources, clips, strict=True)
        items = [self._reader.item(source, clip) for source, clip in pairs if clip.tokens]
        prompt["prompt_token_ids"] = ids
        prompt["multi_modal_data"] = {MODALITY: items} if items else {}
