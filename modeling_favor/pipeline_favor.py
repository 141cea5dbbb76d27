# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The `video-text-to-text` pipeline: a video, image, sound or whole chat goes in, the answer's text comes out."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from transformers import AutoModelForMultimodalLM, BatchFeature, GenerationConfig, Pipeline
from transformers.dynamic_module_utils import custom_object_save
from transformers.pipelines import PIPELINE_REGISTRY

from .answer_stream_favor import AnswerStream
from .pipeline_inputs_favor import (
    PLURALS,
    Chat,
    MediaJudge,
    batches,
    chats_of,
    check_batch_size,
    ends_with_assistant,
    with_answer,
)

TASK = "video-text-to-text"
# How the processor is called here, and why a caller's processor_kwargs cannot say otherwise.
OWN_TEXT_OPTIONS: dict[str, tuple[Any, str]] = {
    "padding": (True, "the chats of a batch have different lengths"),
    "padding_side": ("left", "answers begin where prompts end"),
    "return_tensors": ("pt", "the model takes tensors"),
}
# What `generate` would return beside the answer's tokens, and the pipeline has no place for.
MORE_OUTPUTS = (
    "return_dict_in_generate",
    "output_scores",
    "output_logits",
    "output_attentions",
    "output_hidden_states",
)
# What `generate` takes as the model's inputs, beside those that the processor makes.
MODEL_INPUTS = (
    "inputs",
    "inputs_embeds",
    "position_ids",
    "labels",
    "encoder_states",
    "mm_encoder_outputs",
    "cache",
    "past_key_values",
)


class VideoTextToTextPipeline(Pipeline):
    """
    Answers a question about a video and its sound, an image, a sound, or several of them.

    ```python
    pipe = pipeline("video-text-to-text", model="org/favor-13b", trust_remote_code=True)
    pipe(video="clip.mp4", text="What does she say when the door opens?")  # the file's own sound is heard, too
    pipe("clip.mp4", text="What is heard?", start=10, end=20)  # any file, and a part of it
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
        self._never_generated = {
            self.processor.video_token_id,
            self.processor.image_token_id,
            self.processor.audio_token_id,
        }

    def __call__(
        self, inputs=None, text=None, video=None, image=None, audio=None, batch_size=None, stream=False, **kwargs
    ):
        """
        Generates an answer for each input.

        Args:
            inputs: a chat (list of messages with `role` and `content`, media as content blocks), a dict such as
                `{"video": "clip.mp4", "text": "What is heard?"}`, a file (path, bytes, file object or PIL picture)
                beside `text`, or a list of any of these; or a data set, a column of one, or an iterator, whose answers
                are computed as they are asked for.
            text (`str` or `list[str]`): the question, where the input does not hold it.
            video, image, audio: a path, bytes, a binary file object, a base64 `data:` URL, a decoded array (sound
                also as (array, rate)) or a PIL picture, or a list of these; nothing is downloaded. A list means one
                input an entry; what is not a list goes with every entry. `audio` beside `video` or `image` is heard
                with it, instead of the video's own sound. `videos`, `images` and `audios` are the same.
            batch_size (`int`, defaults to 1): how many inputs go through the model together.
            stream (`bool`, defaults to `False`): return an [`AnswerStream`], which yields the answer piece by piece;
                for one input. A `streamer` and `stopping_criteria` of the caller's work beside it.
            load_audio_from_video (`bool`, defaults to `True`): hear a video's own sound; `False` mutes it.
            start, end, on_error, max_frames, ...: how files are read, see `FavorProcessor`.
            processor_kwargs (`dict`, *optional*): further arguments of the processor.
            return_full_text (`bool`, defaults to `False`): `generated_text` is the chat with the answer appended.
            **kwargs: anything that `generate()` takes: `max_new_tokens`, `do_sample`, `num_beams`, `streamer`, ...,
                but what it would return beside the answer.

        Returns:
            For one input a list of `{"generated_text": str, "media": dict}`, one dict an answer (several with
            `num_return_sequences`); for a list of inputs a list of such lists. `media` says what was seen and heard:
            `items`, `visual_frames`, `audio_seconds` and `query_tokens`.

        Raises:
            ValueError: nothing to answer, an empty question, lists of different lengths, an unknown option, or a
                file that cannot be used (`on_error="warn"` takes what can be decoded of a damaged one).
            FileNotFoundError: a media file that is missing.
        """
        if isinstance(text, (list, tuple)) and text and not isinstance(text[0], str):
            inputs, text = text, None  # pipe(text=chat) is common with the image-text-to-text pipeline
        keywords = {"text": text, "video": video, "image": image, "audio": audio}
        for plural, name in PLURALS.items():
            value = kwargs.pop(plural, None)
            if value is not None and keywords[name] is not None:
                raise ValueError(f"{name} and {plural} are the same, and both are given. Keep one.")
            keywords[name] = keywords[name] if value is None else value
        parameters = self._call_parameters(kwargs)
        if batch_size is None:
            batch_size = self._batch_size or 1
        check_batch_size(batch_size)
        options = _options_of(parameters[0])
        chats, is_batch = chats_of(inputs, keywords, MediaJudge(self.processor, options.get("on_error")))
        if stream:
            if is_batch:
                what = f"a list of {len(chats)}" if isinstance(chats, list) else "a data set or iterator"
                raise ValueError(f"stream=True answers one input at a time; got {what}.")
            return self._stream(list(chats), *parameters)
        answers = self._answers(chats, batch_size, *parameters)
        if not isinstance(chats, list):
            return answers
        return list(answers) if is_batch else next(answers)

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
        self.model.config.check_frame_rate(self.processor)
        continues = ends_with_assistant(chats[0])
        model_inputs = self.processor.apply_chat_template(
            chats,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            add_generation_prompt=not continues,
            continue_final_message=continues,
            load_audio_from_video=load_audio_from_video,
            processor_kwargs=_with_own_text_options(processor_kwargs or {}),
        )
        return model_inputs.to(dtype=self.dtype)

    def _forward(self, model_inputs, generate_kwargs=None):
        given = dict(generate_kwargs or {})
        earlier = {} if "generation_config" in given else self._generate_kwargs  # a call's own replaces them
        asked = self._get_set_generation_params({**earlier, **given})
        # A caller's tokens are left out beside ours, not instead of them.
        given.pop("suppress_tokens", None)
        generate_kwargs = self._prepare_generate_kwargs(
            given,
            return_dict_in_generate=False,
            suppress_tokens=sorted({*(asked.get("suppress_tokens") or ()), *self._never_generated}),
        )
        if generate_kwargs.get("generation_config") is not None:
            generate_kwargs.pop("suppress_tokens", None)  # they are in the config
        if asked.get("stop_strings") is not None:
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

        media = self._media_seen(model_inputs, preprocess)[0]
        own = (generate_kwargs.get(name) for name in ("streamer", "stopping_criteria"))
        return AnswerStream(generate, self.processor.tokenizer, media, *own)

    def _media_seen(self, model_inputs: BatchFeature, preprocess: dict) -> list[dict]:
        fps = _options_of(preprocess).get("fps")
        return [asdict(summary) for summary in self.processor.media_summary(model_inputs, fps)]

    def _check_generate_options(self, generate_kwargs: dict) -> None:
        """Raises `ValueError` if a call gives `generate` what the pipeline makes itself, or cannot hand on."""
        config = generate_kwargs.get("generation_config")
        for name in MORE_OUTPUTS:
            if generate_kwargs.get(name) or getattr(config, name, None):
                raise ValueError(
                    f"{name} is not possible here: an answer is text. Call pipe.model.generate with the inputs of "
                    "pipe.processor."
                )
        made_here = {*self.processor.model_input_names, *MODEL_INPUTS} & set(generate_kwargs)
        if made_here:
            raise ValueError(
                f"{min(made_here)} is not possible here: the pipeline makes the model's inputs of text and media. "
                "Call pipe.model.generate with inputs of your own."
            )
        streamer, criteria = generate_kwargs.get("streamer"), generate_kwargs.get("stopping_criteria")
        if streamer is not None and not all(callable(getattr(streamer, name, None)) for name in ("put", "end")):
            raise ValueError(
                f"streamer is a {type(streamer).__name__}, which has no put and end: give transformers' "
                "TextStreamer(pipe.processor.tokenizer), or stream=True for an iterator over the answer."
            )
        if criteria is not None and not (isinstance(criteria, Iterable) and all(map(callable, criteria))):
            raise ValueError(
                f"stopping_criteria is a {type(criteria).__name__}; it must be a list of functions such as "
                "transformers' StoppingCriteria."
            )

    def _call_parameters(self, kwargs: dict) -> tuple[dict, dict, dict]:
        """Parameters of preprocess, forward and postprocess: this call's over those given to `pipeline()`."""
        preprocess, forward, postprocess = self._sanitize_parameters(**kwargs)
        earlier = self._forward_params["generate_kwargs"]
        if "generation_config" in forward["generate_kwargs"]:  # it replaces what `pipeline()` was given
            earlier = {name: value for name, value in earlier.items() if not hasattr(GenerationConfig(), name)}
        generate_kwargs = {**earlier, **forward["generate_kwargs"]}
        self._check_generate_options(generate_kwargs)
        earlier_options = self._preprocess_params.get("processor_kwargs") or {}
        preprocess["processor_kwargs"] = {**earlier_options, **preprocess.get("processor_kwargs", {})}
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
        names = getattr(self.processor, "file_options", ())
        files = {name: generate_options.pop(name) for name in names if name in generate_options}
        given = {**(processor_kwargs or {}), **((processor_kwargs or {}).get("videos_kwargs") or {})}
        double = sorted(name for name, value in files.items() if value is not None and given.get(name) is not None)
        if double:
            raise ValueError(f"{double[0]} is given twice: as an argument and in processor_kwargs. Keep one.")
        files = {name: value for name, value in files.items() if value is not None}
        options = {**(processor_kwargs or {}), **files} or None
        preprocess = {"load_audio_from_video": load_audio_from_video, "processor_kwargs": options}
        twice = sorted(set(generate_kwargs or {}) & set(generate_options))
        if twice:
            raise ValueError(f"{twice[0]} is given twice: as an argument and in generate_kwargs. Keep one.")
        return (
            {name: value for name, value in preprocess.items() if value is not None},
            {"generate_kwargs": {**(generate_kwargs or {}), **generate_options}},
            {} if return_full_text is None else {"return_full_text": return_full_text},
        )


def _options_of(preprocess: dict[str, Any]) -> dict[str, Any]:
    """A call's arguments for the processor, those for videos among the others."""
    options = preprocess.get("processor_kwargs") or {}
    return {**options, **(options.get("videos_kwargs") or {})}


def _with_own_text_options(processor_kwargs: dict[str, Any]) -> dict[str, Any]:
    """A call's arguments for the processor, with those that batches need.

    Raises:
        ValueError: if they contradict each other.
    """
    text_kwargs = processor_kwargs.get("text_kwargs") or {}
    for name, (value, why) in OWN_TEXT_OPTIONS.items():
        for given in (processor_kwargs, text_kwargs):
            if given.get(name) not in (None, value):
                raise ValueError(f"{name}={given[name]!r} is not possible in the pipeline, it is {value!r}: {why}.")
    others = {name: value for name, value in processor_kwargs.items() if name not in OWN_TEXT_OPTIONS}
    return {**others, "text_kwargs": {**text_kwargs, "padding": True, "padding_side": "left"}}


# A model in hand is enough for `pipeline(TASK, model=model, processor=processor)`: its code has been imported.
if TASK not in PIPELINE_REGISTRY.get_supported_tasks():
    PIPELINE_REGISTRY.register_pipeline(
        TASK, pipeline_class=VideoTextToTextPipeline, pt_model=AutoModelForMultimodalLM, type="multimodal"
    )
