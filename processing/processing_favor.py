# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""FavorProcessor: text with `<video>`, `<image>` and `<audio>` placeholders, and media, to the model's inputs.

The number of placeholders is computed here and checked by the model; both use the same few numbers
(the connector's, see `FavorConfig.processor_values`), which the processor's JSON and the model's config carry.
"""

import copy
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoFeatureExtractor, AutoTokenizer, PreTrainedConfig
from transformers.feature_extraction_utils import BatchFeature
from transformers.processing_utils import MultiModalData, ProcessorMixin, Unpack, VideosKwargs
from transformers.video_processing_utils import VideoProcessorMixin

from .chat_favor import check_conversation, collect_media
from .item_sizes_favor import count_by_size
from .items_favor import (
    MediaItem,
    PromptItem,
    expand_items,
    find_items,
    is_audio_value,
    is_image_value,
    is_video_value,
    load_image_item,
    load_sound,
    load_video_item,
    match_media,
)
from .log_mel_favor import log_mel_chunks
from .media_options_favor import (
    SAMPLING_KWARGS,
    FavorProcessorKwargs,
    check_media_options,
    merge_media_options,
    sound_options,
)
from .query_tokens_favor import audio_vectors_per_frame, check_connector_values, item_tokens
from .running_video_favor import RunningVideoMixin
from .summary_favor import MediaSummary, audio_vector_counts
from .video_processing_favor import FavorVideoProcessor

CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja")
QFORMER_TOKENIZER = "qformer_tokenizer"  # attribute, and sub-folder of a saved processor


class FavorProcessor(RunningVideoMixin, ProcessorMixin):
    """Turns prompts and media into what `FavorForConditionalGeneration` takes.

    Args:
        video_processor (`FavorVideoProcessor`): pictures to pixel values.
        feature_extractor (`WhisperFeatureExtractor`): sound to log-mel chunks of `chunk_length` seconds.
        tokenizer: the language model's, with `<video>`, `<image>` and `<audio>` as special tokens.
        qformer_tokenizer (*optional*): the visual Q-Former's, for its copy of the instruction.
        chat_template (`str`, *optional*): Vicuna v1 by default.
        num_query_tokens (`int`, defaults to 32): query tokens a window.
        window_frames (`int` or None, defaults to 10): time steps a window; None: one window however long.
        frame_rate (`float`, defaults to 2.0): time steps a second, in Hz.
        synchronize (`bool`, defaults to `True`): picture and sound share windows.
        connector (`str`, defaults to `"causal_qformer"`): or `"projector"`, whose tokens the following values count.
        modalities (`str`, defaults to `"audio_visual"`): or `"audio"`, `"visual"`: what has tokens.
        visual_vectors_per_frame (`int`, *optional*): patches of a picture.
        visual_pooling (`str`, defaults to `"space_and_time"`): a token a frame, one a patch; or `"space"`, `"time"`.
        audio_pool_size (`int`, defaults to 1): audio encoder outputs a token.
        media_options (`dict`, *optional*): defaults of a call's `start`, `end`, `max_frames`, `long_video`,
            `num_frames`, `on_error`, `media_limits`, `video_track`, `audio_track` and `decode_threads`.

    Raises `ValueError` if the tokenizer lacks a placeholder, or a number is out of range.
    """

    valid_processor_kwargs = FavorProcessorKwargs
    load_audio_from_video = True

    def __init__(
        self,
        video_processor,
        feature_extractor,
        tokenizer,
        qformer_tokenizer=None,
        chat_template=None,
        num_query_tokens=32,
        window_frames=10,
        frame_rate=2.0,
        synchronize=True,
        connector="causal_qformer",
        modalities="audio_visual",
        visual_vectors_per_frame=None,
        visual_pooling="space_and_time",
        audio_pool_size=1,
        media_options=None,
    ):
        if chat_template is None and CHAT_TEMPLATE.is_file():
            chat_template = CHAT_TEMPLATE.read_text(encoding="utf-8")
        super().__init__(video_processor, feature_extractor, tokenizer, chat_template=chat_template)
        self.qformer_tokenizer = qformer_tokenizer
        self.num_query_tokens = num_query_tokens
        self.window_frames = window_frames
        self.frame_rate = frame_rate
        self.synchronize = synchronize
        self.connector = connector
        self.modalities = modalities
        self.visual_vectors_per_frame = visual_vectors_per_frame
        self.visual_pooling = visual_pooling
        self.audio_pool_size = audio_pool_size
        self.media_options = check_media_options(media_options)
        check_connector_values(vars(self))
        self.audio_vectors_per_frame()
        self.video_token, self.image_token, self.audio_token = "<video>", "<image>", "<audio>"
        self.video_token_id = self._token_id(self.video_token)
        self.image_token_id = self._token_id(self.image_token)
        self.audio_token_id = self._token_id(self.audio_token)

    def _token_id(self, token: str) -> int:
        if token not in self.tokenizer.get_added_vocab():
            raise ValueError(
                f"The tokenizer lacks the special token {token}. Add all three before making the processor: "
                'tokenizer.add_special_tokens({"extra_special_tokens": ["<video>", "<image>", "<audio>"]}), '
                "and resize the model's token embeddings."
            )
        return self.tokenizer.convert_tokens_to_ids(token)

    @property
    def model_input_names(self) -> list[str]:
        """Every name that a call may return."""
        names = ["pixel_values_videos", "video_frame_indices", "input_features", "input_features_mask"]
        if self.qformer_tokenizer is not None:
            names += ["qformer_input_ids", "qformer_attention_mask"]
        return [*self.tokenizer.model_input_names, *names]

    # Length arithmetic: the same in the model (docs/architecture.md).

    def audio_vectors_per_frame(self, frame_rate: float | None = None) -> int:
        """Audio encoder outputs a time step.

        Raises:
            ValueError: if it is not a whole number.
        """
        encoder_rate = self.feature_extractor.sampling_rate / self.feature_extractor.hop_length / 2
        return audio_vectors_per_frame(encoder_rate, self.frame_rate if frame_rate is None else frame_rate)

    def query_token_count(self, visual_frames: int, audio_vectors: int, frame_rate: float | None = None) -> int:
        """Language model tokens of one item.

        Args:
            visual_frames (`int`): time steps that show a picture.
            audio_vectors (`int`): audio encoder outputs, summed over chunks.
            frame_rate (`float`, *optional*): the processor's own by default.
        """
        return item_tokens(vars(self), visual_frames, audio_vectors, self.audio_vectors_per_frame(frame_rate))

    def _get_num_multimodal_tokens(
        self,
        image_sizes: Sequence[tuple[int, int]] | None = None,
        video_sizes: Sequence[tuple[int, int, int]] | None = None,
        audio_lengths: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> MultiModalData:
        """Tokens of items whose sizes alone are known, as vLLM asks for them: see `count_by_size`."""
        return count_by_size(self, image_sizes, video_sizes, audio_lengths)

    # Calling

    def __call__(
        self,
        images: Any = None,
        text: str | Sequence[str] | None = None,
        videos: Any = None,
        audio: Any = None,
        instructions: str | Sequence[str] | None = None,
        **kwargs: Unpack[FavorProcessorKwargs],
    ) -> BatchFeature:
        """Turns a batch of prompts and their media into model inputs.

        Each of `images`, `videos` and `audio` is one value, a flat list in the order of the placeholders over the
        batch, or a list with one list a sample.

        Args:
            images: a path, bytes, PIL picture or (H, W, 3) uint8 array for each `<image>`.
            text (`str` or `list[str]`): prompts with placeholders. `<audio>` directly after `<video>` or `<image>` is
                that item's sound.
            videos: a path, bytes, file object, (T, H, W, 3) uint8 array, list of PIL pictures or dict of "path",
                "bytes" or "array" for each `<video>`. Pictures in memory are taken to be at `fps`, unless
                `video_metadata` (or "fps" in the dict) tells their own rate.
            audio: a path, bytes, (array, rate), {"array", "sampling_rate"} or array for each `<audio>`. Bare arrays
                are at `sampling_rate`, the feature extractor's by default. Sound of any length is kept, in chunks.
            instructions (`str` or `list[str]`, *optional*): for the visual Q-Former, one for all items or one an item;
                by default the text of the user turn that holds the item.
            load_audio_from_video (`bool`, defaults to `True`): use a video file's own sound where no `<audio>` follows
                its `<video>`.
            fps (`float`, *optional*): time steps a second, in Hz; the model's `frame_rate` must then be the same.
            num_frames (`int`, *optional*): that many pictures, uniformly spaced, and the whole sound. It has no effect
                where picture and sound are synchronised: there the pictures follow the clock, as the sound does.
            start, end, max_frames, long_video, on_error, media_limits, video_track, audio_track, decode_threads: of
                `load_media`, for every file of the call; `media_options` holds the processor's own defaults.
            kwargs: of the tokenizer (`padding`, `truncation`, `return_tensors`, ...) and the video processor.

        Returns:
            `input_ids` and `attention_mask`, lists without `return_tensors`, and of the batch's items
            `pixel_values_videos` (items, F, 3, H, W) float32, `video_frame_indices` (items, T) int64, `input_features`
            (items, C, mel, frames) float32, `input_features_mask` (items, C, frames) int64 and, with a
            `qformer_tokenizer`, `qformer_input_ids` and `qformer_attention_mask` (items, Q) int64.

        Raises:
            FileNotFoundError: if a media path does not exist.
            ValueError: if a prompt is empty, placeholders and media differ in number, a file cannot be used, or
                truncation would cut an item.
        """
        texts = self._check_text(text)
        merged = self._merge_kwargs(tokenizer_init_kwargs=self.tokenizer.init_kwargs, **kwargs)
        frame_rate = merged["videos_kwargs"].get("fps") or self.frame_rate
        self.audio_vectors_per_frame(frame_rate)
        prompts = self._find_items(texts)
        loaded = self._load_items(prompts, images, videos, audio, frame_rate, merged)
        media, counts = self._media_inputs(loaded, frame_rate, merged["videos_kwargs"])
        media |= self._instruction_inputs([item for items in prompts for item in items], instructions)
        text_inputs = self._text_inputs(texts, prompts, counts, merged)
        return_tensors = merged["text_kwargs"].get("return_tensors")
        if return_tensors == "np":
            media = {name: tensor.numpy() for name, tensor in media.items()}
        return BatchFeature(
            {**text_inputs, **media}, tensor_type=return_tensors, skip_tensor_conversion=self.skip_tensor_conversion
        )

    def _check_text(self, text: Any) -> list[str]:
        if text is None:
            raise ValueError("You need to provide `text`: media are named in it by <video>, <image> and <audio>.")
        texts = [text] if isinstance(text, str) else list(text)
        if not texts or not all(isinstance(sample, str) for sample in texts):
            raise ValueError("`text` must be a string or a list of at least one string.")
        for number, sample in enumerate(texts):
            if not sample.strip():
                raise ValueError(f"Text {number} is empty. Write a question, or at least a media placeholder.")
        return texts

    def _find_items(self, texts: list[str]) -> list[list[PromptItem]]:
        tokens = {"video": self.video_token, "image": self.image_token, "audio": self.audio_token}
        other_tokens = [str(token) for token in self.tokenizer.all_special_tokens]
        return [find_items(text, tokens, other_tokens) for text in texts]

    def _load_items(
        self, prompts: list[list[PromptItem]], images: Any, videos: Any, audio: Any, frame_rate: float, merged: dict
    ) -> list[MediaItem]:
        """Reads every item's media, in the order of the placeholders."""

        def matched(values, argument, placeholder, is_value, belongs):
            counts = [sum(map(belongs, items)) for items in prompts]
            return iter(match_media(values, counts, is_value, placeholder, argument))

        pictures = matched(images, "images", self.image_token, is_image_value, lambda item: item.kind == "image")
        clips = matched(videos, "videos", self.video_token, is_video_value, lambda item: item.kind == "video")
        sounds = matched(audio, "audio", self.audio_token, is_audio_value, lambda item: item.separate_audio)
        videos_kwargs = merged["videos_kwargs"]
        do_resize = videos_kwargs.get("do_resize", self.video_processor.do_resize)
        size = (videos_kwargs.get("size") or self.video_processor.frame_size) if do_resize else None
        metadata = videos_kwargs.get("video_metadata")
        metadata = iter(metadata if isinstance(metadata, (list, tuple)) else [metadata] * sum(map(len, prompts)))
        sampling_rate = self.feature_extractor.sampling_rate
        uniform_sampling = not self.synchronize or self.connector != "causal_qformer"
        options = merge_media_options(self.media_options, videos_kwargs, uniform_sampling)
        loaded = []
        for item in (item for items in prompts for item in items):
            media = MediaItem()
            own = {**options, "long_video": "error"} if item.separate_audio else options  # two files thin differently
            if item.kind == "image":
                media = load_image_item(next(pictures), size, options.get("media_limits"))
            elif item.kind == "video":
                with_audio = merged["load_audio_from_video"] and not item.separate_audio
                media = load_video_item(
                    next(clips), frame_rate, sampling_rate, size, with_audio, next(metadata, None), own
                )
            if item.separate_audio:
                rate = merged["audio_kwargs"].get("sampling_rate")
                sound = options if item.kind == "audio" else own
                media.audio = load_sound(next(sounds), rate, sampling_rate, frame_rate, sound_options(sound))
            loaded.append(media)
        return loaded

    def _media_inputs(self, loaded: list[MediaItem], frame_rate: float, videos_kwargs: dict) -> tuple[dict, list[int]]:
        """The media tensors, and each item's number of query tokens."""
        data, audio_vectors = self._audio_inputs(loaded)
        per_frame = self.audio_vectors_per_frame(frame_rate)
        indices = []
        for media, vectors in zip(loaded, audio_vectors, strict=True):
            steps = media.frame_indices or []
            if media.still:
                steps = steps * max(1, math.ceil(vectors / per_frame))
            indices.append(torch.tensor(steps, dtype=torch.int64))
        counts = [
            self.query_token_count(len(steps), vectors, frame_rate)
            for steps, vectors in zip(indices, audio_vectors, strict=True)
        ]
        seen = [number for number, media in enumerate(loaded) if media.frames is not None]
        if seen:
            kwargs = {key: value for key, value in videos_kwargs.items() if key not in SAMPLING_KWARGS}
            pixels = self.video_processor([loaded[number].frames for number in seen], **kwargs)["pixel_values_videos"]
            rows = [pixels[0].new_zeros(0, *pixels[0].shape[1:])] * len(loaded)
            for number, frames in zip(seen, pixels, strict=True):
                rows[number] = frames
            padded = rows[0][None] if len(rows) == 1 else pad_sequence(rows, batch_first=True)  # one is not copied
            data["pixel_values_videos"] = padded  # (items, F, 3, H, W)
            data["video_frame_indices"] = pad_sequence(indices, batch_first=True, padding_value=-1)  # (items, T)
        return data, counts

    def _audio_inputs(self, loaded: list[MediaItem]) -> tuple[dict, list[int]]:
        """Log-mel features and mask of chunks, and each item's number of audio encoder outputs.

        No argument of the call reaches the feature extractor: the tokenizer's `padding`, `max_length` or `truncation`
        would cut the sound.
        """
        extracted = [
            log_mel_chunks(media.audio, self.feature_extractor)
            if media.audio is not None and len(media.audio)
            else None
            for media in loaded
        ]
        heard = [chunks for chunks in extracted if chunks is not None]
        if not heard:
            return {}, [0] * len(loaded)
        most = max(len(features) for features, _ in heard)
        features = torch.zeros(len(loaded), most, *heard[0][0].shape[1:])  # (items, C, mel, frames)
        mask = torch.zeros(len(loaded), most, features.shape[-1], dtype=torch.int64)  # (items, C, frames)
        for item, chunks in enumerate(extracted):
            if chunks is not None:
                features[item, : len(chunks[0])], mask[item, : len(chunks[1])] = chunks
        return {"input_features": features, "input_features_mask": mask}, audio_vector_counts(mask)

    @property
    def _limits_instructions(self) -> bool:
        return self.qformer_tokenizer.model_max_length < 1 << 20  # beyond: the tokenizer knows no limit

    def instruction_ids(self, instruction: str) -> list[int]:
        """The visual Q-Former's tokens of one instruction, cut at the longest that it takes."""
        return self.qformer_tokenizer([instruction], truncation=self._limits_instructions)["input_ids"][0]

    def _instruction_inputs(self, items: list[PromptItem], instructions: str | Sequence[str] | None) -> dict:
        if self.qformer_tokenizer is None or not items:
            return {}
        if instructions is None:
            instructions = [item.instruction for item in items]
        elif isinstance(instructions, str):
            instructions = [instructions] * len(items)
        if len(instructions) != len(items):
            raise ValueError(
                f"{len(instructions)} instructions were given for {len(items)} items. "
                "Give one string, or one for each item."
            )
        tokens = self.qformer_tokenizer(
            list(instructions),
            padding=True,
            padding_side="right",
            truncation=self._limits_instructions,
            return_tensors="pt",
        )
        return {"qformer_input_ids": tokens["input_ids"], "qformer_attention_mask": tokens["attention_mask"]}

    def _text_inputs(self, texts: list[str], prompts: list[list[PromptItem]], counts: list[int], merged: dict) -> dict:
        """Expands the placeholders and tokenizes; checks that truncation left every item whole."""
        text_kwargs = dict(merged["text_kwargs"])
        for name in ("return_mm_token_type_ids", "return_text_replacement_offsets"):
            text_kwargs.pop(name, None)
        expanded, offsets, expected, remaining = [], [], [], iter(counts)
        for text, items in zip(texts, prompts, strict=True):
            own = [next(remaining) for _ in items]
            text, text_offsets = expand_items(text, items, own, self.video_token)
            expanded.append(text)
            offsets.append(text_offsets)
            expected.append(sum(own))
        inputs = dict(self.tokenizer(expanded, **text_kwargs))
        for number, (ids, count) in enumerate(zip(inputs["input_ids"], expected, strict=True)):
            kept = int((np.asarray(ids) == self.video_token_id).sum())
            if kept != count:
                raise ValueError(
                    f"Text {number} needs {count} query tokens for its media, but {kept} are left after tokenization. "
                    "Raise max_length, switch truncation off, or give shorter media."
                )
        if merged.get("return_text_replacement_offsets"):
            inputs["text_replacement_offsets"] = offsets
        if merged.get("return_mm_token_type_ids"):
            inputs["mm_token_type_ids"] = self.create_mm_token_type_ids(inputs["input_ids"])
        return inputs

    # Chats

    def apply_chat_template(  # type: ignore[override]  # the rest is by keyword, as all of transformers passes it
        self,
        conversation: list,
        chat_template: str | None = None,
        *,
        load_audio_from_video: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Renders a chat, or a batch of chats, and with `tokenize=True` reads its media.

        As in transformers, but a video's own sound is used unless `load_audio_from_video=False`. Contents are strings
        or lists of blocks: {"type": "text", "text"}, or {"type": T, "path" | "bytes" | T} with T "video", "image" or
        "audio". The media of one message come before its text and pair up in order: the first audio is the sound of
        the first video or image.

        Raises:
            ValueError: if a user message has neither text nor media, and as `__call__` does.
        """
        conversation = check_conversation(conversation, drop_empty_audio=bool(kwargs.get("tokenize")))
        return super().apply_chat_template(
            conversation, chat_template, load_audio_from_video=load_audio_from_video, **kwargs
        )

    def _multimodal_inputs_from_conversations(
        self, conversations: list, audio_loading_params: dict, load_audio_from_video: bool = False
    ) -> tuple[list, list, list, dict]:
        """Collects the blocks' media without decoding; `__call__` reads them, with PyAV."""
        media = collect_media(conversations)
        audio = media["audio"] if any(media["audio"]) else []
        return media["image"], media["video"], audio, {"load_audio_from_video": load_audio_from_video}

    # Looking at inputs

    def media_summary(self, inputs: Any, fps: float | None = None) -> list[MediaSummary]:
        """Tells, sample by sample, how many pictures and how much sound the inputs hold, read off the tensors.

        Args:
            inputs (`BatchFeature` or `dict`): what a call returned.
            fps (`float`, *optional*): if the call had one.
        """
        frames, seconds, vectors = [], [], []
        if "video_frame_indices" in inputs:
            frames = (torch.as_tensor(inputs["video_frame_indices"]) >= 0).sum(dim=-1).tolist()
        if "input_features_mask" in inputs:
            mask = torch.as_tensor(inputs["input_features_mask"])
            vectors = audio_vector_counts(mask)
            mel_rate = self.feature_extractor.sampling_rate / self.feature_extractor.hop_length
            seconds = [count / mel_rate for count in mask.sum(dim=(-1, -2)).tolist()]
        items = max(len(frames), len(vectors))
        frames, seconds, vectors = (column or [0] * items for column in (frames, seconds, vectors))
        queries = [self.query_token_count(*pair, fps) for pair in zip(frames, vectors, strict=True)]
        frames = [0] * items if self.modalities == "audio" else frames  # what the model masks does not reach it
        seconds = [0] * items if self.modalities == "visual" else seconds
        summaries, item = [], 0
        for ids in inputs["input_ids"]:
            tokens = int((torch.as_tensor(ids) == self.video_token_id).sum())
            first, left = item, tokens
            while left > 0 and item < items:
                left -= queries[item]
                item += 1
            own = slice(first, item)
            summaries.append(MediaSummary(item - first, sum(frames[own]), float(sum(seconds[own])), tokens))
        return summaries

    # Saving and loading

    @classmethod
    def get_attributes(cls) -> list[str]:
        """The parts that every processor has; the optional `qformer_tokenizer` is saved and loaded here."""
        return ["video_processor", "feature_extractor", "tokenizer"]

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
        """As in transformers, but without its `VideoProcessorMixin` export, which is missing without torchvision."""
        if argument_name != "video_processor":
            return super().check_argument_for_proper_class(argument_name, argument)
        if not isinstance(argument, VideoProcessorMixin):
            raise TypeError(f"Received a {type(argument).__name__} as video_processor; give a FavorVideoProcessor.")
        return VideoProcessorMixin

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; tells also whether there is a `qformer_tokenizer` folder."""
        others = copy.copy(self)
        others.qformer_tokenizer = None
        output = super(FavorProcessor, others).to_dict()
        del output["qformer_tokenizer"]
        return {**output, "has_qformer_tokenizer": self.qformer_tokenizer is not None}

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs) -> list[str]:
        """Saves the processor and its parts; the Q-Former's tokenizer goes to the sub-folder `qformer_tokenizer`."""
        for tokenizer in (self.tokenizer, self.qformer_tokenizer):
            if hasattr(tokenizer, "backend_tokenizer"):  # the last call's padding is no part of a tokenizer
                tokenizer.backend_tokenizer.no_padding()
                tokenizer.backend_tokenizer.no_truncation()
        files = super().save_pretrained(save_directory)
        if self.qformer_tokenizer is not None:
            self.qformer_tokenizer.save_pretrained(os.path.join(save_directory, QFORMER_TOKENIZER))
        if push_to_hub:
            self.push_to_hub(kwargs.pop("repo_id", Path(save_directory).name), **kwargs)
        return files

    @classmethod
    def _get_arguments_from_pretrained(cls, pretrained_model_name_or_path, processor_dict=None, **kwargs) -> list:
        """Loads the parts without `AutoVideoProcessor`, which needs torchvision."""
        processor_dict = processor_dict or {}
        subfolder = kwargs.pop("subfolder", "")
        if "video_processor" in processor_dict:
            changes = {name: kwargs[name] for name in VideosKwargs.__annotations__ if name in kwargs}
            video_processor = FavorVideoProcessor.from_dict(processor_dict["video_processor"], **changes)
        else:
            video_processor = FavorVideoProcessor.from_pretrained(
                pretrained_model_name_or_path, subfolder=subfolder, **kwargs
            )
        # Without a config the tokenizers' loader would read the model's, and ask to run the model's code for it.
        tokenizer_kwargs = {"config": PreTrainedConfig(), **kwargs}
        parts = [
            video_processor,
            AutoFeatureExtractor.from_pretrained(pretrained_model_name_or_path, subfolder=subfolder, **kwargs),
            AutoTokenizer.from_pretrained(pretrained_model_name_or_path, subfolder=subfolder, **tokenizer_kwargs),
        ]
        if processor_dict.get("has_qformer_tokenizer"):
            folder = os.path.join(subfolder, QFORMER_TOKENIZER) if subfolder else QFORMER_TOKENIZER
            parts.append(
                AutoTokenizer.from_pretrained(pretrained_model_name_or_path, subfolder=folder, **tokenizer_kwargs)
            )
        return parts


__all__ = ["FavorProcessor", "MediaSummary"]
