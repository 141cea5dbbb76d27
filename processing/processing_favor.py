# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""FavorProcessor: text with `<video>`, `<image>` and `<audio>` placeholders, and media, to the model's inputs.

The number of placeholders is computed here and checked by the model; both use the same few numbers
(the connector's, see `FavorConfig.processor_values`), which the processor's JSON and the model's config carry.
"""

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub.errors import StrictDataclassFieldValidationError
from transformers import AutoFeatureExtractor, AutoTokenizer, PreTrainedConfig
from transformers.feature_extraction_utils import BatchFeature
from transformers.processing_utils import MultiModalData, ProcessorMixin, Unpack, VideosKwargs
from transformers.video_processing_utils import VideoProcessorMixin

from .chat_favor import chat_instructions, check_conversation, collect_media
from .item_inputs_favor import ItemInputsMixin
from .item_sizes_favor import count_by_size
from .items_favor import check_sampling, item_sources, load_item
from .media_limits_favor import MediaError
from .media_names_favor import PLACEHOLDERS
from .media_options_favor import (
    FavorProcessorKwargs,
    check_call_options,
    check_media_options,
    picture_options,
    plain_numbers,
)
from .prompts_favor import ChatInstructions, PromptItem, expand_items, find_items, token_types
from .query_tokens_favor import check_connector_values
from .running_video_favor import RunningVideoMixin
from .summary_favor import MediaSummary
from .video_processing_favor import FavorVideoProcessor

CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja")
QFORMER_TOKENIZER = "qformer_tokenizer"  # attribute, and sub-folder of a saved processor


class FavorProcessor(RunningVideoMixin, ItemInputsMixin, ProcessorMixin):
    """Turns prompts and media into what `FavorForConditionalGeneration` takes.

    Args:
        video_processor (`FavorVideoProcessor`): pictures to pixel values.
        feature_extractor (`WhisperFeatureExtractor`, or one of samples such as `Wav2Vec2FeatureExtractor`): sound to
            chunks of its `chunk_length` seconds.
        tokenizer: the language model's, with `<video>`, `<image>` and `<audio>` as special tokens.
        qformer_tokenizer (*optional*): the visual Q-Former's, for its copy of the instruction.
        chat_template (`str`, *optional*): Vicuna v1 by default.
        num_query_tokens (`int`, defaults to 32): query tokens per window.
        window_frames (`int` or None, defaults to 10): time steps per window; None: one window however long.
        frame_rate (`float`, defaults to 2.0): time steps per second, in Hz.
        synchronize (`bool`, defaults to `True`): picture and sound share windows.
        connector (`str`, defaults to `"causal_qformer"`): or `"projector"`, whose tokens the following values count.
        modalities (`str`, defaults to `"audio_visual"`): or `"audio"`, `"visual"`: what has tokens.
        visual_vectors_per_frame (`int`, *optional*): patches of a picture.
        visual_pooling (`str`, defaults to `"space_and_time"`): tokens per frame and per patch; or `"space"`, `"time"`.
        audio_pool_size (`int`, defaults to 1): audio encoder outputs per token.
        audio_stride (`int`, defaults to 2): frames (of log-mel, or samples) for each output of the audio encoder,
            Whisper's by default.
        connector_values (`dict`, *optional*): what else the count of the connector's tokens depends on.
        media_options (`dict`, *optional*): defaults of a call's `start`, `end`, `max_frames`, `long_video`,
            `num_frames`, `on_error`, `media_limits`, `video_track`, `audio_track` and `decode_threads`.

    Raises `ValueError` if the tokenizer lacks a placeholder, or a number is out of range.
    """

    valid_processor_kwargs = FavorProcessorKwargs
    _auto_class = "AutoProcessor"  # a processor that is saved brings its code along
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
        audio_stride=2,
        connector_values=None,
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
        self.audio_stride = audio_stride
        self.connector_values = connector_values
        check_connector_values(self.counting_values)
        # Raises where time steps do not hold a whole number of audio vectors.
        self.audio_vectors_per_frame()
        self.video_token, self.image_token, self.audio_token = (
            PLACEHOLDERS[kind] for kind in ("video", "image", "audio")
        )
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
        instructions: str | Sequence[str] | ChatInstructions | None = None,
        **kwargs: Unpack[FavorProcessorKwargs],
    ) -> BatchFeature:
        """Turns a batch of prompts and their media into model inputs.

        Each of `images`, `videos` and `audio` is one value, a flat list in the order of the placeholders over the
        batch, or a list with one list per sample.

        Args:
            images: a path, bytes, PIL picture or (H, W, 3) uint8 array for each `<image>`.
            text (`str` or `list[str]`): prompts with placeholders. `<audio>` directly after `<video>` or `<image>` is
                that item's sound.
            videos: a path, bytes, file object, (T, H, W, 3) uint8 array, list of PIL pictures or dict of "path",
                "bytes", "array" or "video" (also a list of picture files) for each `<video>`. Pictures in memory are
                taken to be at `fps`, unless `video_metadata` (or "fps" in the dict) tells their own rate.
            audio: a path, bytes, (array, rate) or (rate, array), {"array", "sampling_rate"} or array for each
                `<audio>`. Bare arrays are at `sampling_rate`, the feature extractor's by default. Sound of any length
                is kept, in chunks.
            instructions (`str` or `list[str]`, *optional*): for the visual Q-Former, one for all items or one per
                item. `apply_chat_template(tokenize=True)` gives those of the chat's messages. By default it is the
                text between the marks "USER:" and "ASSISTANT:" around the item, where the template is Vicuna's, else
                the whole text; without placeholders and special tokens.
            load_audio_from_video (`bool`, defaults to `True`): use a video file's own sound where no `<audio>` follows
                its `<video>`.
            fps (`float`, *optional*): time steps per second, in Hz. Only the processor's `frame_rate` where the
                model's connector cuts time into steps, as the causal Q-Former does.
            num_frames (`int`, *optional*): that many pictures, uniformly spaced, and the whole sound. Refused where
                picture and sound are synchronised: there the pictures follow the clock, as the sound does.
            start, end, max_frames, long_video, on_error, media_limits, video_track, audio_track, decode_threads: of
                `load_media`, for every file of the call; `media_options` holds the processor's own defaults.
            kwargs: of the tokenizer (`padding`, `truncation`, `return_tensors`, ...) and the video processor, which
                prepares images, too.

        Returns:
            `input_ids` and `attention_mask`, lists without `return_tensors`, and of the batch's items
            `pixel_values_videos` (items, F, 3, H, W) float32, `video_frame_indices` (items, T) int64, `input_features`
            (items, C, mel, frames) float32, `input_features_mask` (items, C, frames) int64 and, with a
            `qformer_tokenizer`, `qformer_input_ids` and `qformer_attention_mask` (items, Q) int64.

        Raises:
            FileNotFoundError: if a media path does not exist.
            ValueError: if a prompt is empty, placeholders and media differ in number, a file cannot be used, `fps` is
                not the model's, an option is unknown or cannot be had, or truncation would cut an item.
        """
        texts = self._check_text(text)
        check_call_options(kwargs, self.valid_processor_kwargs)
        try:
            merged = self._merge_kwargs(tokenizer_init_kwargs=self.tokenizer.init_kwargs, **plain_numbers(kwargs))
        except StrictDataclassFieldValidationError as error:  # transformers' check of types, which is no ValueError
            raise MediaError(" ".join(str(error.__cause__ or error).split()) + " See docs/options.md.") from error
        videos_kwargs = picture_options(merged["images_kwargs"], merged["videos_kwargs"])
        frame_rate = self.checked_frame_rate(videos_kwargs.get("fps"))
        prompts = [find_items(text) for text in texts]
        # Nothing is read before text, placeholders and media are known to fit.
        sources = item_sources(
            prompts,
            {"video": videos, "image": images, "audio": audio},
            merged["load_audio_from_video"],
            videos_kwargs.get("video_metadata"),
            merged["audio_kwargs"].get("sampling_rate"),
            self.item_instructions(texts, prompts, instructions),
        )
        check_sampling(sources, videos_kwargs, self.shares_steps)
        reading = self.media_reading(frame_rate, videos_kwargs)
        loaded = [load_item(source, reading) for source in sources]
        media, counts = self.media_inputs(loaded, frame_rate, videos_kwargs)
        media |= self.instruction_inputs([source.instruction for source in sources])
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

    def _text_inputs(self, texts: list[str], prompts: list[list[PromptItem]], counts: list[int], merged: dict) -> dict:
        """Expands the placeholders and tokenizes; checks that truncation left every item whole."""
        text_kwargs = dict(merged["text_kwargs"])
        # No options of the tokenizer: they are answered below, from the expanded text.
        for name in ("return_mm_token_type_ids", "return_text_replacement_offsets"):
            text_kwargs.pop(name, None)
        expanded, offsets, counts_of_texts, remaining = [], [], [], iter(counts)
        for text, items in zip(texts, prompts, strict=True):
            own = [next(remaining) for _ in items]
            text, text_offsets = expand_items(text, items, own, self.video_token)
            expanded.append(text)
            offsets.append(text_offsets)
            counts_of_texts.append(own)
        inputs = dict(self.tokenizer(expanded, **text_kwargs))
        for number, (ids, count) in enumerate(zip(inputs["input_ids"], map(sum, counts_of_texts), strict=True)):
            # Truncation may cut a run of placeholders, and the model would then refuse the item.
            kept = int((np.asarray(ids) == self.video_token_id).sum())
            if kept != count:
                raise ValueError(
                    f"Text {number} needs {count} query tokens for its media, but {kept} are left after tokenization. "
                    "Raise max_length, switch truncation off, or give shorter media."
                )
        if merged.get("return_text_replacement_offsets"):
            inputs["text_replacement_offsets"] = offsets
        if merged.get("return_mm_token_type_ids"):
            inputs["mm_token_type_ids"] = [
                token_types(np.asarray(ids).tolist(), items, own, self.video_token_id)
                for ids, items, own in zip(inputs["input_ids"], prompts, counts_of_texts, strict=True)
            ]
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
        "audio"; a video may be a list of picture files, messages and blocks may be objects. With the processor's own
        template the media of one message come before its text and pair up in order: the first audio is the sound of
        the first video or image. With every template the visual Q-Former reads the text of the message that holds the
        item.

        Raises:
            ValueError: if a user message has neither text nor media, another message has media, and as `__call__`
                does.
        """
        tokenize = bool(kwargs.get("tokenize"))
        conversation = check_conversation(conversation, drop_empty_audio=tokenize)
        if tokenize and "instructions" not in kwargs:
            # `__call__` gets rendered text, in which nobody can tell what a user wrote from what the template added.
            chats = [conversation] if isinstance(conversation[0], dict) else conversation
            own = chat_instructions(chats, self.special_tokens)
            kwargs["processor_kwargs"] = {"instructions": own, **(kwargs.get("processor_kwargs") or {})}
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
        """The JSON form; tells also whether there is a `qformer_tokenizer` folder.

        Newer fields are left out where they are what a file without them means.
        """
        others = copy.copy(self)
        others.qformer_tokenizer = None
        output = super(FavorProcessor, others).to_dict()
        del output["qformer_tokenizer"]
        for name, usual in (("audio_stride", 2), ("connector_values", None)):
            if output.get(name) == usual:
                output.pop(name, None)
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
