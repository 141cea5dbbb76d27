# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The `video-text-to-text` pipeline: a video, image, sound or whole chat goes in, the answer's text comes out."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from types import GeneratorType
from typing import Any

import torch
from transformers import BatchFeature, GenerationConfig, Pipeline
from transformers.dynamic_module_utils import custom_object_save

from .answer_stream_favor import AnswerStream
from .pipeline_inputs_favor import Chat, batches, chat_of, chats_of, ends_with_assistant, with_answer

TASK = "video-text-to-text"


class VideoTextToTextPipeline(Pipeline):
    """
    Answers a question about a video and its sound, an image, a sound, or several of them.

    ```python
    pipe = pipeline("video-text-to-text", model="org/favor-13b", trust_remote_code=True)
    pipe(video="clip.mp4", text="What does she say when the door opens?")  # the file's own sound is heard, too
    pipe(image="photo.jpg", audio="question.wav", text="Answer the question in the audio about the image.")
    pipe([{"role": "user", "content": [{"type": "video", "path": "clip.mp4"}, {"type": "text", "text": "..."}]}])
    ```
    """

    _load_processor = True
    _load_tokenizer = False
    _load_feature_extractor = False
    _load_image_processor = False
    _load_video_processor = False
    _pipeline_calls_generate = True
    _default_generation_config = GenerationConfig(max_new_tokens=256)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if self.processor is None:
            raise ValueError(
                "VideoTextToTextPipeline has no processor: pass processor=AutoProcessor.from_pretrained(...)."
            )
        if self.processor.tokenizer.pad_token_id is not None:
            self._generation_defaults["pad_token_id"] = self.processor.tokenizer.pad_token_id
        # A generated placeholder would be read back as an item that has no media.
        self._generation_defaults["suppress_tokens"] = [
            self.processor.video_token_id,
            self.processor.image_token_id,
            self.processor.audio_token_id,
        ]

    def __call__(
        self, inputs=None, text=None, video=None, image=None, audio=None, batch_size=None, stream=False, **kwargs
    ):
        """
        Generates an answer for each input.

        Args:
            inputs: a chat (list of messages with `role` and `content`, media as content blocks), a dict such as
                `{"video": "clip.mp4", "text": "What is heard?"}`, a list of either, or a generator or
                `torch.utils.data.Dataset` of either, whose answers are computed as they are asked for.
            text (`str` or list of `str`): the question, when media are given by keyword.
            video, image, audio: a path, a URL, bytes, a decoded array or (image) a PIL image, or a list of these. A
                list means one input an entry; what is not a list goes with every entry. `audio` beside `video` or
                `image` is heard with it, instead of the video's own sound.
            batch_size (`int`, defaults to 1): how many inputs go through the model together.
            stream (`bool`, defaults to `False`): return an [`AnswerStream`], which yields the answer piece by piece;
                for one input.
            load_audio_from_video (`bool`, defaults to `True`): hear a video's own sound; `False` mutes it.
            processor_kwargs (`dict`, *optional*): passed to the processor.
            return_full_text (`bool`, defaults to `False`): `generated_text` is the chat with the answer appended.
            **kwargs: anything that `generate()` takes: `max_new_tokens`, `do_sample`, `num_beams`, `streamer`, ...

        Returns:
            For one input a list of `{"generated_text": str, "media": dict}`, one dict an answer (several with
            `num_return_sequences`); for a list of inputs a list of such lists. `media` says what was seen and heard:
            `items`, `visual_frames`, `audio_seconds` and `query_tokens`.

        Raises:
            ValueError: nothing to answer, an empty question, lists of different lengths, an unknown option.
            OSError: a media file that is missing or cannot be decoded.
        """
        if isinstance(text, (list, tuple)) and text and not isinstance(text[0], str):
            inputs, text = text, None  # pipe(text=chat) is common with the image-text-to-text pipeline
        parameters = self._call_parameters(kwargs)
        batch_size = batch_size or self._batch_size or 1
        if isinstance(inputs, (GeneratorType, torch.utils.data.Dataset)):
            return self._answers((chat_of(entry) for entry in inputs), batch_size, *parameters)
        chats, is_batch = chats_of(inputs, {"text": text, "video": video, "image": image, "audio": audio})
        if stream:
            if is_batch:
                raise ValueError(f"stream=True answers one input at a time; got a list of {len(chats)}.")
            return self._stream(chats, *parameters)
        answers = list(self._answers(chats, batch_size, *parameters))
        return answers if is_batch else answers[0]

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs: Any):
        """Saves model, processor and this pipeline's code, so that `pipeline(TASK, model=save_directory)` loads it."""
        os.makedirs(save_directory, exist_ok=True)
        self.model.config.custom_pipelines = {
            TASK: {
                "impl": f"pipeline_favor.{type(self).__name__}",
                "pt": ["AutoModelForMultimodalLM"],
                "type": "multimodal",
            }
        }
        self.model.save_pretrained(save_directory, **kwargs)
        for tokenizer in (self.processor.tokenizer, self.processor.qformer_tokenizer):
            if tokenizer is not None:  # `pipeline(dtype=...)` gives the dtype to tokenizers, too; JSON cannot hold it
                tokenizer.init_kwargs.pop("dtype", None)
        self.processor.save_pretrained(save_directory, **kwargs)
        custom_object_save(self, save_directory)

    def preprocess(self, chats: list[Chat], load_audio_from_video=True, processor_kwargs=None) -> BatchFeature:
        """Left-padded tensors of chats that all wait for an answer, or that all break off within one."""
        continues = ends_with_assistant(chats[0])
        model_inputs = self.processor.apply_chat_template(
            chats,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            add_generation_prompt=not continues,
            continue_final_message=continues,
            load_audio_from_video=load_audio_from_video,
            processor_kwargs={"text_kwargs": {"padding": True, "padding_side": "left"}, **(processor_kwargs or {})},
        )
        return model_inputs.to(dtype=self.dtype)

    def _forward(self, model_inputs, generate_kwargs=None):
        generate_kwargs = self._prepare_generate_kwargs(generate_kwargs or {}, return_dict_in_generate=False)
        if generate_kwargs.get("stop_strings") is not None:
            generate_kwargs.setdefault("tokenizer", self.processor.tokenizer)
        sequences = self.model.generate(**model_inputs, **generate_kwargs)
        return sequences[:, model_inputs["input_ids"].shape[1] :]

    def postprocess(self, answer_ids, chats: list[Chat], media: list[dict], return_full_text=False):
        """One list of answers a chat."""
        texts = self.processor.tokenizer.batch_decode(answer_ids, skip_special_tokens=True)
        answers_per_chat = len(texts) // len(chats)
        records: list[list[dict]] = [[] for _ in chats]
        for index, text in enumerate(texts):
            row = index // answers_per_chat
            answer = text.strip()
            generated = with_answer(chats[row], answer) if return_full_text else answer
            records[row].append({"generated_text": generated, "media": media[row]})
        return records

    def _answers(
        self, chats: Iterable[Chat], batch_size: int, preprocess: dict, forward: dict, postprocess: dict
    ) -> Iterator[list[dict]]:
        for batch in batches(chats, batch_size):
            model_inputs = self.preprocess(batch, **preprocess)
            media = self._media_seen(model_inputs, preprocess)
            yield from self.postprocess(self.forward(model_inputs, **forward), batch, media, **postprocess)

    def _stream(self, chats: list[Chat], preprocess: dict, forward: dict, postprocess: dict) -> AnswerStream:
        model_inputs = self.preprocess(chats, **preprocess)
        generate_kwargs = forward.get("generate_kwargs", {})

        def generate(**streaming):
            self.forward(model_inputs, generate_kwargs={**generate_kwargs, **streaming})

        return AnswerStream(generate, self.processor.tokenizer, self._media_seen(model_inputs, preprocess)[0])

    def _media_seen(self, model_inputs: BatchFeature, preprocess: dict) -> list[dict]:
        fps = (preprocess.get("processor_kwargs") or {}).get("fps")
        return [asdict(summary) for summary in self.processor.media_summary(model_inputs, fps)]

    def _call_parameters(self, kwargs: dict) -> tuple[dict, dict, dict]:
        """Parameters of preprocess, forward and postprocess: this call's over those given to `pipeline()`."""
        preprocess, forward, postprocess = self._sanitize_parameters(**kwargs)
        generate_kwargs = {**self._forward_params["generate_kwargs"], **forward["generate_kwargs"]}
        return (
            {**self._preprocess_params, **preprocess},
            {"generate_kwargs": generate_kwargs},
            {**self._postprocess_params, **postprocess},
        )

    def _sanitize_parameters(
        self,
        load_audio_from_video=None,
        processor_kwargs=None,
        return_full_text=None,
        generate_kwargs=None,
        **generate_options,
    ):
        preprocess = {"load_audio_from_video": load_audio_from_video, "processor_kwargs": processor_kwargs}
        twice = sorted(set(generate_kwargs or {}) & set(generate_options))
        if twice:
            raise ValueError(f"{twice[0]} is given twice: as an argument and in generate_kwargs. Keep one.")
        return (
            {name: value for name, value in preprocess.items() if value is not None},
            {"generate_kwargs": {**(generate_kwargs or {}), **generate_options}},
            {} if return_full_text is None else {"return_full_text": return_full_text},
        )
