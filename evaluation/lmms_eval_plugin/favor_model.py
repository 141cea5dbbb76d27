# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The model `favor` of lmms-eval: chats in, answers of the `video-text-to-text` pipeline out.

A video is heard, too: other audio-visual wrappers of lmms-eval mute it (see docs/evaluation.md).
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NoReturn, TypedDict

from lmms_eval.api.model import lmms
from tqdm import tqdm

from favor.modeling_favor import FavorForConditionalGeneration, VideoTextToTextPipeline
from favor.processing import FavorProcessor
from favor.processing.media_names_favor import MEDIA_KINDS

from ..json_fields import Json, JsonObject

if TYPE_CHECKING:
    from lmms_eval.api.instance import Instance

STOPS_OF_LMMS_EVAL = ("until", "image_aspect_ratio")  # "until" is a blank line by default, which cuts answers


class Message(TypedDict):
    """A turn; its blocks hold texts, paths, or decoded media."""

    role: str
    content: str | list[Mapping[str, object]]


class Favor(lmms):
    """
    FAVOR. `--model favor --model_args pretrained=PATH_OR_ID,load_audio_from_video=True`.

    Args:
        pretrained: model folder or Hub id.
        load_audio_from_video: hear a video's own sound.
        batch_size: chats answered together.
        device: for example "cuda:0"; the first accelerator by default.
    """

    is_simple = False

    def __init__(
        self,
        pretrained: str,
        load_audio_from_video: bool | str = True,
        batch_size: int | str = 1,
        device: str | None = None,
        **unknown: object,
    ):
        super().__init__()
        if unknown:
            raise ValueError(f"favor takes no model argument {next(iter(unknown))!r}.")
        self.pipe = VideoTextToTextPipeline(
            model=FavorForConditionalGeneration.from_pretrained(pretrained, dtype="auto"),
            processor=FavorProcessor.from_pretrained(pretrained),
            device=device,
        )
        self.batch_size = int(batch_size)
        self.load_audio_from_video = str(load_audio_from_video).lower() != "false"

    def generate_until(self, requests: "list[Instance]") -> list[str]:
        """One answer per request, in their order."""
        answers: list[str] = []
        for start in tqdm(range(0, len(requests), self.batch_size), desc="favor"):
            batch = [request.args for request in requests[start : start + self.batch_size]]
            chats = [self._chat(*arguments) for arguments in batch]
            settings = [_generation(arguments[2]) for arguments in batch]
            if all(setting == settings[0] for setting in settings):
                answers += self._answers(chats, settings[0])
            else:
                answers += [self._answers([chat], setting)[0] for chat, setting in zip(chats, settings, strict=True)]
        return answers

    def loglikelihood(self, requests: "list[Instance]") -> NoReturn:
        raise NotImplementedError("favor answers in words: take tasks of output_type generate_until.")

    def generate_until_multi_round(self, requests: "list[Instance]") -> NoReturn:
        raise NotImplementedError("favor has no multi-round generation: take tasks of output_type generate_until.")

    def _chat(
        self,
        context: str,
        doc_to_messages: Callable[[JsonObject], list[Message]],
        gen_kwargs: JsonObject,
        doc_id: int,
        task: str,
        split: str,
    ) -> list[Message]:
        return [favor_message(message) for message in doc_to_messages(self.task_dict[task][split][doc_id])]

    def _answers(self, chats: list[list[Message]], settings: JsonObject) -> list[str]:
        records = self.pipe(chats, batch_size=len(chats), load_audio_from_video=self.load_audio_from_video, **settings)
        return [record[0]["generated_text"] for record in records]


def favor_message(message: Message) -> Message:
    """A message of lmms-eval, whose blocks are {"type": "video", "url": ...}, as the pipeline takes it."""
    content = message["content"]
    if isinstance(content, str):
        return message
    blocks: list[Mapping[str, object]] = []
    for block in content:
        if block["type"] in MEDIA_KINDS and isinstance(block.get("url"), str):
            blocks.append({"type": block["type"], "path": block["url"]})
        elif block["type"] in MEDIA_KINDS:  # a picture or a decoded sound
            blocks.append({"type": block["type"], f"{block['type']}": block["url"]})
        else:
            blocks.append(block)
    return {"role": message["role"], "content": blocks}


def _generation(gen_kwargs: JsonObject) -> dict[str, Json]:
    """Settings of generate(); sampling options that do nothing without sampling are left out."""
    settings = {key: value for key, value in gen_kwargs.items() if key not in STOPS_OF_LMMS_EVAL}
    settings.setdefault("do_sample", bool(settings.get("temperature")))
    if not settings["do_sample"]:
        settings = {key: value for key, value in settings.items() if key not in ("temperature", "top_p", "top_k")}
    return {key: value for key, value in settings.items() if value is not None}
