# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What the benchmark asks of a system: answers to a batch of samples, and FAVOR as such a system."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

import torch

from favor.processing.media_names_favor import MEDIA_KINDS

from .json_fields import Json, JsonObject
from .sample import EvalSample

if TYPE_CHECKING:
    from favor.modeling_favor import VideoTextToTextPipeline

MEDIA_INPUTS = (
    "pixel_values_videos",
    "video_frame_indices",
    "input_features",
    "input_features_mask",
    "qformer_input_ids",
    "qformer_attention_mask",
)


@dataclass(frozen=True)
class Answer:
    """A system's raw text, and what of the media reached it (`processing.MediaSummary`'s fields, if known)."""

    text: str
    seen: JsonObject = field(default_factory=dict)


class Answerer(Protocol):
    """A system under test.

    Attributes:
        facts: what is worth knowing about it beside its name (window, frame rate, ...); goes into the results.
    """

    facts: JsonObject

    def answer(self, samples: Sequence[EvalSample], generation: JsonObject) -> list[Answer]:
        """One answer per sample. An answer must not depend on what else is in the batch.

        Args:
            generation: arguments of `generate()`.
        """
        ...

    def query_states(self, sample: EvalSample) -> torch.Tensor | None:
        """The connector's queries of the sample's first item, (windows, queries, width); None if it has none."""
        return None


class FavorAnswerer(Answerer):
    """FAVOR, or any other model that the `video-text-to-text` pipeline runs.

    Args:
        pipe: the pipeline.
        fps: time steps per second, other than the model was trained with (figure 3 c of the paper).

    Raises `ValueError` if the audio encoder's rate is no whole multiple of `fps`.
    """

    def __init__(self, pipe: "VideoTextToTextPipeline", fps: float | None = None):
        self.pipe = pipe
        config, connector = pipe.model.config, pipe.model.config.connector_config
        if fps is not None:
            pipe.processor.audio_vectors_per_frame(fps)  # refuses what does not fit
            config.frame_rate = pipe.processor.frame_rate = fps
            config.fill_connector_config()
        windows = connector.to_dict()  # another connector has no windows
        self.facts = {
            "fps": config.frame_rate,
            "window_frames": windows.get("window_frames"),
            "num_query_tokens": windows.get("num_query_tokens"),
            "diversity_loss_weight": config.diversity_loss_weight,
        }

    def answer(self, samples: Sequence[EvalSample], generation: JsonObject) -> list[Answer]:
        answers = []
        for own_audio, group in groupby(samples, key=lambda sample: sample.use_own_audio):
            chats = [chat_of(sample) for sample in group]
            records = self.pipe(chats, batch_size=len(chats), load_audio_from_video=own_audio, **generation)
            answers += [Answer(record[0]["generated_text"], record[0]["media"]) for record in records]
        return answers

    def query_states(self, sample: EvalSample) -> torch.Tensor | None:
        inputs = self.pipe.preprocess([chat_of(sample)], load_audio_from_video=sample.use_own_audio)
        media = {name: inputs[name].to(self.pipe.device) for name in MEDIA_INPUTS if name in inputs}
        with torch.inference_mode():
            states = self.pipe.model.get_video_features(**media, return_dict=True).query_states
        return None if states is None else states[0].float().cpu()


def chat_of(sample: EvalSample) -> list[dict[str, Json]]:
    """The sample as a chat of transformers, its media in the first user message."""
    chat: list[dict[str, Json]] = []
    waiting = [{"type": kind, "path": sample.media[kind]} for kind in MEDIA_KINDS if kind in sample.media]
    for message in sample.messages:
        if waiting and message["role"] == "user":
            chat.append({**message, "content": [*waiting, {"type": "text", "text": message["content"]}]})
            waiting = []
        else:
            chat.append(dict(message))
    return chat
