# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Other systems under the same harness.

They are Whisper, InstructBLIP, multimodal models by their chat template, a language model without media, and a
constant answer. `favor.processing.load_media` decodes the media for all of them, so that
every system sees and hears the same.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from transformers import (
    AutoModelForMultimodalLM,
    AutoProcessor,
    BatchFeature,
    InstructBlipForConditionalGeneration,
    InstructBlipProcessor,
    PreTrainedModel,
    ProcessorMixin,
    TextGenerationPipeline,
    WhisperForConditionalGeneration,
    WhisperProcessor,
    pipeline,
)
from transformers.processing_utils import OmniModalProcessorMixin

from favor.processing import load_media

from .answerer import Answer, Answerer
from .json_fields import Json, JsonObject
from .sample import EvalSample
from .systems import CONSTANT, TEXT_ONLY, SystemUnderTest

SAMPLING_RATE = 16000
WHISPER_SECONDS = 30  # of Whisper's window; longer sound is read window by window
INSTRUCTBLIP_FRAMES = 5  # of a video, equally spaced: 160 queries (paper, section 5.1)
CHAT_FRAME_RATE = 2.0  # Hz, as FAVOR's and Qwen-Omni's
BEAM_SETTINGS = ("num_beams", "max_new_tokens", "do_sample", "length_penalty")  # what Whisper takes of a task's


class MediaAnswerer(Answerer):
    """A baseline that reads media.

    Attributes:
        on_error: what damaged files do, as for `load_media`.
    """

    on_error = "raise"


class ConstantAnswerer(Answerer):
    """Always says the same: what a metric gives to no understanding."""

    def __init__(self, text: str):
        self.text = text
        self.facts: JsonObject = {}

    def answer(self, samples: Sequence[EvalSample], generation: JsonObject) -> list[Answer]:
        return [Answer(self.text) for _ in samples]


class TextOnlyAnswerer(Answerer):
    """A language model that is asked without any media: what the questions give away."""

    def __init__(self, pipe: TextGenerationPipeline):
        self.pipe = pipe
        self.facts: JsonObject = {}
        if pipe.tokenizer.pad_token_id is None:
            pipe.tokenizer.pad_token_id = pipe.tokenizer.eos_token_id
        pipe.tokenizer.padding_side = "left"

    @classmethod
    def from_pretrained(cls, model: str) -> "TextOnlyAnswerer":
        return cls(pipeline("text-generation", model=model))

    def answer(self, samples: Sequence[EvalSample], generation: JsonObject) -> list[Answer]:
        chats = self.pipe.tokenizer.chat_template is not None
        texts = [[dict(turn) for turn in sample.messages] if chats else flat_prompt(sample) for sample in samples]
        outputs = self.pipe(texts, batch_size=len(texts), return_full_text=False, **generation)
        return [Answer(output[0]["generated_text"].strip()) for output in outputs]


class WhisperAnswerer(MediaAnswerer):
    """Transcribes the sound, whatever the question (ASR and AVSR). English for multilingual models."""

    def __init__(self, model: WhisperForConditionalGeneration, processor: WhisperProcessor):
        self.model, self.processor = model.eval(), processor
        self.facts: JsonObject = {}

    @classmethod
    def from_pretrained(cls, model: str) -> "WhisperAnswerer":
        loaded = WhisperForConditionalGeneration.from_pretrained(model, dtype="auto")
        return cls(loaded.to(_device()), WhisperProcessor.from_pretrained(model))

    def answer(self, samples: Sequence[EvalSample], generation: JsonObject) -> list[Answer]:
        """Raises `ValueError` for a sample without sound."""
        sounds = [_sound(sample, self.on_error) for sample in samples]
        long = [len(sound) > WHISPER_SECONDS * SAMPLING_RATE for sound in sounds]
        answers: dict[int, Answer] = {}
        for is_long in (False, True):  # one decoding for both would let a long sound change a short one's answer
            rows = [row for row, value in enumerate(long) if value == is_long]
            texts = self._transcribe([sounds[row] for row in rows], is_long, generation) if rows else []
            seconds = [len(sounds[row]) / SAMPLING_RATE for row in rows]
            answers |= {
                row: Answer(text.strip(), {"audio_seconds": round(length, 2)})
                for row, text, length in zip(rows, texts, seconds, strict=True)
            }
        return [answers[row] for row in range(len(samples))]

    def _transcribe(self, sounds: list[np.ndarray], is_long: bool, generation: JsonObject) -> list[str]:
        inputs = self.processor(
            sounds,
            sampling_rate=SAMPLING_RATE,
            return_tensors="pt",
            return_attention_mask=True,
            truncation=not is_long,
            padding="longest" if is_long else "max_length",
        ).to(self.model.device, self.model.dtype)
        options = {key: value for key, value in generation.items() if key in BEAM_SETTINGS}
        if is_long:
            options.pop("max_new_tokens", None)  # of one window; a long text would be cut
        if self.model.generation_config.to_dict().get("is_multilingual"):
            options |= {"language": "en", "task": "transcribe"}
        ids = self.model.generate(**inputs, return_timestamps=is_long, **options)
        return self.processor.batch_decode(ids, skip_special_tokens=True)


class InstructBlipAnswerer(MediaAnswerer):
    """InstructBLIP on an image, or on five equally spaced frames of a video whose queries follow each other."""

    def __init__(self, model: InstructBlipForConditionalGeneration, processor: InstructBlipProcessor):
        self.model, self.processor = model.eval(), processor
        self.facts: JsonObject = {"video_frames": INSTRUCTBLIP_FRAMES}

    @classmethod
    def from_pretrained(cls, model: str) -> "InstructBlipAnswerer":
        loaded = InstructBlipForConditionalGeneration.from_pretrained(model, dtype="auto")
        return cls(loaded.to(_device()), InstructBlipProcessor.from_pretrained(model))

    def answer(self, samples: Sequence[EvalSample], generation: JsonObject) -> list[Answer]:
        """Raises `ValueError` for a sample without picture."""
        pictures = [_pictures(sample, self.on_error) for sample in samples]
        inputs = self._inputs([flat_prompt(sample) for sample in samples], pictures)
        ids = self.model.generate(**inputs, **generation)
        if not self.model.language_model.config.is_encoder_decoder:
            ids = ids[:, inputs["input_ids"].shape[1] :]
        texts = self.processor.tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [
            Answer(text.strip(), {"visual_frames": len(frames)}) for text, frames in zip(texts, pictures, strict=True)
        ]

    def _inputs(self, prompts: list[str], pictures: list[list[Image.Image]]) -> dict[str, torch.Tensor]:
        """Row by row: query placeholders of every picture, then the prompt, padded where the model wants it."""
        tokenizer, config = self.processor.tokenizer, self.model.config
        rows = [
            [config.image_token_index] * (config.num_query_tokens * len(frames)) + tokenizer(prompt)["input_ids"]
            for prompt, frames in zip(prompts, pictures, strict=True)
        ]
        side = "right" if self.model.language_model.config.is_encoder_decoder else "left"
        text = tokenizer.pad({"input_ids": rows}, padding_side=side, return_tensors="pt")
        asked = [prompt for prompt, frames in zip(prompts, pictures, strict=True) for _ in frames]  # one per picture
        instruction = self.processor.qformer_tokenizer(asked, padding=True, padding_side="right", return_tensors="pt")
        frames = [picture for row in pictures for picture in row]
        pixels = self.processor.image_processor(frames, return_tensors="pt")["pixel_values"]
        inputs = {
            "input_ids": text["input_ids"],
            "attention_mask": text["attention_mask"],
            "qformer_input_ids": instruction["input_ids"],
            "qformer_attention_mask": instruction["attention_mask"],
            "pixel_values": pixels.to(self.model.dtype),  # (pictures of all rows, 3, H, W)
        }
        return {name: value.to(self.model.device) for name, value in inputs.items()}


class ChatAnswerer(MediaAnswerer):
    """Any multimodal model of transformers that has a chat template (Qwen-Omni, Qwen2-Audio, LLaVA, ...).

    A video's sound is interleaved with its frames where the processor knows how (Omni models), and is an audio block
    after the video elsewhere.
    """

    def __init__(self, model: PreTrainedModel, processor: ProcessorMixin):
        self.model = dict(model.named_children()).get("thinker", model).eval()  # Qwen-Omni's other half only speaks
        self.processor = processor
        self.interleaves = isinstance(processor, OmniModalProcessorMixin)
        self.facts: JsonObject = {"fps": CHAT_FRAME_RATE}

    @classmethod
    def from_pretrained(cls, model: str) -> "ChatAnswerer":
        loaded = AutoModelForMultimodalLM.from_pretrained(model, dtype="auto")
        return cls(loaded.to(_device()), AutoProcessor.from_pretrained(model))

    def answer(self, samples: Sequence[EvalSample], generation: JsonObject) -> list[Answer]:
        inputs = self._inputs(samples).to(self.model.device, self.model.dtype)
        ids = self.model.generate(**inputs, **generation)[:, inputs["input_ids"].shape[1] :]
        texts = self.processor.batch_decode(ids, skip_special_tokens=True)
        return [Answer(text.strip()) for text in texts]

    def _inputs(self, samples: Sequence[EvalSample]) -> BatchFeature:
        chats: list[list[JsonObject]] = []
        videos: list[np.ndarray] = []
        sounds: list[np.ndarray] = []
        images: list[list[Image.Image]] = []  # of each sample
        sound_of_video: list[int | None] = []  # of each sound, the video that it belongs to
        for sample in samples:
            images.append([])
            blocks: list[JsonObject] = []
            own = sample.use_own_audio and "audio" not in sample.media
            if "image" in sample.media:
                images[-1].append(_picture(sample.media["image"], self.on_error))
                blocks.append({"type": "image"})
            elif "video" in sample.media:
                path = sample.media["video"]
                clip = load_media(path, fps=CHAT_FRAME_RATE, with_audio=own, on_error=self.on_error)
                videos.append(_present(clip.frames, path, "picture"))
                blocks.append({"type": "video"})
                if clip.audio is not None:
                    sounds.append(clip.audio)
                    sound_of_video.append(len(videos) - 1 if self.interleaves else None)
                    blocks += [] if self.interleaves else [{"type": "audio"}]
            if "audio" in sample.media:
                sounds.append(_read_sound(sample.media["audio"], self.on_error))
                sound_of_video.append(None)
                blocks.append({"type": "audio"})
            chats.append(_blocks_chat(sample, blocks))
        return self._processed(chats, images, videos, sounds, sound_of_video)

    def _processed(
        self,
        chats: list[list[JsonObject]],
        images: list[list[Image.Image]],
        videos: list[np.ndarray],
        sounds: list[np.ndarray],
        sound_of_video: list[int | None],
    ) -> BatchFeature:
        texts = self.processor.apply_chat_template(chats, tokenize=False, add_generation_prompt=True)
        bos = self.processor.tokenizer.bos_token
        options: dict[str, object] = {"padding": True, "padding_side": "left", "return_tensors": "pt"}
        options["add_special_tokens"] = not (bos and texts[0].startswith(bos))  # the template wrote them
        if any(images):
            options["images"] = images
        if videos:
            options["videos"] = videos
            options |= {"do_sample_frames": False, "fps": CHAT_FRAME_RATE, "video_metadata": _metadata(videos)}
        if sounds:
            options |= {"audio": sounds, "sampling_rate": SAMPLING_RATE}
        if any(index is not None for index in sound_of_video):
            options |= {"load_audio_from_video": True, "audio_from_video_indices": sound_of_video}
        return self.processor(text=texts, **options)


def load_baseline(system: SystemUnderTest) -> Answerer:
    """The baseline of that kind."""
    if system.kind == CONSTANT:
        return ConstantAnswerer(system.answer or "")
    kinds: dict[str, Callable[[str], MediaAnswerer]] = {
        "whisper": WhisperAnswerer.from_pretrained,
        "instructblip": InstructBlipAnswerer.from_pretrained,
        "chat": ChatAnswerer.from_pretrained,
    }
    if system.model is None or system.kind not in (*kinds, TEXT_ONLY):
        raise ValueError(f"{system.kind!r} is no baseline with a model; choose from {', '.join(kinds)}, {TEXT_ONLY}.")
    if system.kind == TEXT_ONLY:
        return TextOnlyAnswerer.from_pretrained(system.model)
    answerer = kinds[system.kind](system.model)
    answerer.on_error = system.on_error or "raise"
    return answerer


def flat_prompt(sample: EvalSample) -> str:
    """The question; of a dialogue, all turns with their speakers, up to the answer."""
    if len(sample.messages) == 1:
        return sample.question
    turns = [f"{turn['role'].capitalize()}: {turn['content']}" for turn in sample.messages]
    return "\n".join([*turns, "Assistant:"])


def _sound(sample: EvalSample, on_error: str) -> np.ndarray:
    path = sample.media.get("audio") or (sample.media.get("video") if sample.use_own_audio else None)
    if path is None:
        raise ValueError(f"Sample {sample.id} has no sound, which Whisper needs. Choose other tasks or controls.")
    return _read_sound(path, on_error)


def _read_sound(path: str, on_error: str) -> np.ndarray:
    clip = load_media(path, with_frames=False, sampling_rate=SAMPLING_RATE, on_error=on_error)
    return _present(clip.audio, path, "sound")


def _picture(path: str, on_error: str) -> Image.Image:
    return Image.fromarray(_present(load_media(path, on_error=on_error).frames, path, "picture")[0])


def _present(stream: np.ndarray | None, path: str, what: str) -> np.ndarray:
    if stream is None:
        raise ValueError(f"{path} has no {what}. Give a file that has one, or leave its sample out.")
    return stream


def _pictures(sample: EvalSample, on_error: str) -> list[Image.Image]:
    """The image, or the video's frames in the middle of five equal parts."""
    if "image" in sample.media:
        return [_picture(sample.media["image"], on_error)]
    if "video" not in sample.media:
        raise ValueError(
            f"Sample {sample.id} has no picture, which InstructBLIP needs. Choose other tasks or controls."
        )
    path = sample.media["video"]
    clip = load_media(path, fps=CHAT_FRAME_RATE, with_audio=False, on_error=on_error)
    frames = _present(clip.frames, path, "picture")
    middles = (np.arange(INSTRUCTBLIP_FRAMES) + 0.5) * len(frames) / INSTRUCTBLIP_FRAMES
    return [Image.fromarray(frames[index]) for index in middles.astype(int)]


def _blocks_chat(sample: EvalSample, blocks: list[JsonObject]) -> list[JsonObject]:
    """The messages with text blocks, and the media blocks at the start of the first user message."""
    first = next(index for index, turn in enumerate(sample.messages) if turn["role"] == "user")
    return [
        {
            "role": turn["role"],
            "content": [*(blocks if index == first else []), {"type": "text", "text": turn["content"]}],
        }
        for index, turn in enumerate(sample.messages)
    ]


def _metadata(videos: list[np.ndarray]) -> list[dict[str, Json]]:
    return [
        {
            "fps": CHAT_FRAME_RATE,
            "total_num_frames": len(frames),
            "duration": len(frames) / CHAT_FRAME_RATE,
            "frames_indices": list(range(len(frames))),
        }
        for frames in videos
    ]


def _device() -> torch.device:
    return torch.device(torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu")
