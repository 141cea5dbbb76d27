# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Names encoder outputs by everything that they depend on: the file, the encoder's weights, how media are prepared.

What they do not depend on (query tokens, windows, the language model, dropout, the text but for the visual Q-Former's
instruction) is in no name, so that changing it costs nothing.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from favor.processing.items_favor import ItemSource
from favor.processing.media_names_favor import MEDIA_KINDS
from favor.processing.media_sources_favor import as_array, is_data_url, local_path

VERSION = 1  # of what is stored under a name
# Config values that change no output of an encoder in eval mode whose weights are known.
UNUSED_CONFIG = (
    *("_name_or_path", "architectures", "transformers_version", "dtype", "initializer", "init_std", "dropout"),
    *("layerdrop", "decoder", "vocab_size", "token_id", "use_cache", "output_", "return_dict", "tie_word"),
    *("mask_time", "mask_feature", "apply_spec_augment", "suppress_tokens", "max_length", "max_target_positions"),
    *("chunk_size_feed_forward", "id2label", "label2id", "problem_type", "classifier", "_attn_implementation"),
    "auto_map",  # written when a processor is saved
)


class FeatureKeys:
    """
    Keys of the visual and the audio states of items, for one model and processor.

    Args:
        model: a `FavorForConditionalGeneration`.
        processor: its `FavorProcessor`.
        dtype: of the stored states.
        identify_files_by: "stat" tells files by path, size and time of change (nothing is read; a file that is moved
            is encoded again), "content" by the SHA-256 of their bytes (each file is read once per run).
    """

    def __init__(
        self,
        model: torch.nn.Module,
        processor: Any,
        dtype: torch.dtype,
        identify_files_by: Literal["stat", "content"] = "stat",
    ):
        if identify_files_by not in ("stat", "content"):
            raise ValueError(f"identify_files_by must be 'stat' or 'content', but it is {identify_files_by!r}.")
        self.identify_files_by = identify_files_by
        self._files: dict[str, list] = {}
        backbone, config = model.model, model.config
        media = [VERSION, str(dtype), media_settings(processor)]
        self.visual_settings = digest(
            *media,
            used_settings(processor.video_processor.to_dict()),
            used_settings(config.vision_config.to_dict()),
            [config.vision_feature_layer, config.vision_pool_size],
            used_settings(config.qformer_config.to_dict()) if config.qformer_config is not None else None,
            weights_fingerprint(backbone.vision_tower),
            weights_fingerprint(backbone.visual_qformer),
        )
        self.audio_settings = digest(
            *media,
            used_settings(processor.feature_extractor.to_dict()),
            used_settings(config.audio_config.to_dict()),
            weights_fingerprint(backbone.audio_tower),
        )

    def clip(self, item: ItemSource) -> str:
        """Name of an item's media: items of one name are decoded once."""
        seen = {kind: self.medium(item.media) if item.kind == kind else None for kind in MEDIA_KINDS}
        if item.sound is not None:
            seen["audio"] = self.medium(item.sound)
        return digest(*seen.values(), item.own_sound)

    def visual(self, item: ItemSource, instruction_ids: Sequence[int] | None) -> str | None:
        """Name of the picture states, None without a picture.

        Args:
            item: as the processor finds it in a chat.
            instruction_ids: what the visual Q-Former reads, None if it reads nothing.
        """
        if item.kind == "audio":
            return None
        # A video's pictures last as long as its own sound; a still given as a video, as long as another sound.
        sound = [item.own_sound, self.medium(item.sound)] if item.kind == "video" else None
        instruction = None if instruction_ids is None else list(instruction_ids)
        return "visual-" + digest(self.visual_settings, item.kind, self.medium(item.media), sound, instruction)

    def audio(self, item: ItemSource) -> str | None:
        """Name of the sound states, None without a sound."""
        heard = item.media if item.kind == "audio" else item.sound
        if heard is not None:
            return "audio-" + digest(self.audio_settings, "audio", self.medium(heard))
        return "audio-" + digest(self.audio_settings, "video", self.medium(item.media)) if item.own_sound else None

    def medium(self, value: Any) -> Any:
        """What tells one medium from another, and a file from itself after a change."""
        if value is None or isinstance(value, Number):
            return value
        if isinstance(value, Mapping):
            return {str(key): self.medium(held) for key, held in value.items() if held is not None}
        if isinstance(value, (list, tuple)):
            return [self.medium(part) for part in value]
        if isinstance(value, (bytes, bytearray)):
            return ["bytes", hashlib.sha256(value).hexdigest()]
        if isinstance(value, (str, os.PathLike)):
            return self.file(os.fspath(value))
        pixels = np.asarray(value) if isinstance(value, Image.Image) else as_array(value)
        mode = getattr(value, "mode", None)
        contents = hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()
        return ["array", mode, str(pixels.dtype), list(pixels.shape), contents]

    def file(self, path: str) -> list:
        """What tells a file, or data in a URL, by its path."""
        if is_data_url(path):
            return ["bytes", hashlib.sha256(path.encode()).hexdigest()]
        if path not in self._files:
            name = local_path(path)
            if self.identify_files_by == "content":
                with open(name, "rb") as file:
                    self._files[path] = ["content", hashlib.file_digest(file, "sha256").hexdigest()]
            else:
                state = os.stat(name)
                self._files[path] = ["stat", os.path.abspath(name), state.st_size, state.st_mtime_ns]
        return self._files[path]


def digest(*values: Any) -> str:
    """A short name of JSON values."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def weights_fingerprint(module: torch.nn.Module | None) -> str | None:
    """SHA-256 over the names, dtypes, shapes and bytes of a module's weights."""
    if module is None:
        return None
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        total.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


def used_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Config values without those that change no encoder output."""
    return {name: value for name, value in values.items() if not any(unused in name for unused in UNUSED_CONFIG)}


def media_settings(processor: Any) -> list:
    """How the processor reads media, beyond its video processor and feature extractor."""
    options = getattr(processor, "media_options", None) or {}
    settings = [float(processor.frame_rate), getattr(processor, "modalities", None), dict(options)]
    if options.get("num_frames"):  # it has an effect only where the streams are not synchronised
        settings += [getattr(processor, "connector", None), processor.synchronize]
    return settings
