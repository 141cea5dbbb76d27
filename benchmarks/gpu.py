# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""FAVOR on a GPU: time to the first token, tokens per second against the bare language model, peak memory.

    python -m benchmarks.gpu                                     # favor-13b in bfloat16 with random weights: 28 GiB
    python -m benchmarks.gpu --preset favor-7b --seconds 120
    python -m benchmarks.gpu --device cpu --preset favor-tiny    # no GPU: tries the code, its numbers say nothing

Attention is flash attention where the package `flash_attn` is installed (the connector stays on SDPA), else SDPA.
Decoding is measured with a growing cache and with a static one, which `generate` compiles and captures as CUDA graphs.
`watched` reads the file in a thread that decodes ahead into pinned memory while the GPU encodes; `at once` decodes it
all, then encodes.
"""

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from favor.assembly.presets import preset_config, preset_names
from favor.modeling_favor import FavorForConditionalGeneration
from favor.processing import FavorProcessor, FavorVideoProcessor

from .model_measures import markdown, status_bytes
from .model_start import write_clip

GIB = 2**30
TEXT_TOKENS = 32
WARM_UP = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=preset_names(), default="favor-13b")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=int, default=60, help="of the clip")
    parser.add_argument("--tokens", type=int, default=128, help="to decode")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there, too")
    arguments = parser.parse_args()
    problem = missing_device(arguments.device)
    if problem is not None:
        print(f"benchmarks.gpu: {problem}", file=sys.stderr)
        raise SystemExit(2)
    logging.set_verbosity_error()
    results = measure(arguments.preset, arguments.device, arguments.seconds, arguments.tokens, arguments.repetitions)
    print(report(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


def missing_device(device: str) -> str | None:
    """Why the benchmark cannot run on that device, or None."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        return (
            "there is no CUDA device, and nothing was measured. To try the code without one: "
            "python -m benchmarks.gpu --device cpu --preset favor-tiny"
        )
    return None


@torch.no_grad()
def measure(preset: str, device: str, seconds: int, tokens: int, repetitions: int) -> dict[str, Any]:
    """All figures, seconds and bytes."""
    model = random_model(preset, torch.device(device))
    processor = random_processor(model)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_clip(clip, seconds)
        first_token = {
            way: median_seconds(call, model.device, repetitions)
            for way, call in first_token_ways(model, processor, clip).items()
        }
        inputs, encoded = encoded_prompt(model, processor, clip)
        stages = {
            stage: median_seconds(call, model.device, repetitions)
            for stage, call in encoding_stages(model, processor, clip).items()
        }
    prompt = inputs["input_ids"].shape[1]
    bare = bare_language_model(model)
    text = {"input_ids": torch.full((1, prompt), 3, device=model.device)}
    text["attention_mask"] = torch.ones_like(text["input_ids"])
    media = inputs | {"mm_encoder_outputs": {"video": encoded}}
    decoding = {}
    for cache in ("dynamic", "static"):
        favor = tokens_a_second(model, media, tokens, cache, repetitions)
        language_model = tokens_a_second(bare, text, tokens, cache, repetitions)
        decoding[cache] = {"FAVOR": favor, "language model": language_model, "ratio": favor / language_model}
    return {
        "preset": preset,
        "device": device_name(model.device),
        "dtype": str(model.dtype),
        "attention": model.model.language_model.config._attn_implementation,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds of video": seconds,
        "prompt tokens": prompt,
        "first token": first_token,
        "stages": stages,
        "tokens a second": decoding,
        "peak bytes": peak_bytes(model.device),
    }


def random_model(preset: str, device: torch.device) -> FavorForConditionalGeneration:
    """In bfloat16, made on the device itself."""
    flash = device.type == "cuda" and importlib.util.find_spec("flash_attn") is not None
    with device:
        model = FavorForConditionalGeneration._from_config(
            preset_config(preset),
            dtype=torch.bfloat16,
            attn_implementation="flash_attention_2" if flash else "sdpa",
        )
    return model.eval()


def random_processor(model: FavorForConditionalGeneration) -> FavorProcessor:
    """For the model's sizes, with a tokenizer of one word; the visual Q-Former gets no instruction."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, WhisperFeatureExtractor

    config = model.config
    backend = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<unk>")
    tokenizer.add_special_tokens({"extra_special_tokens": ["<video>", "<image>", "<audio>"]})
    size = config.vision_config.image_size
    rate, positions = config.audio_encoder_rate, config.audio_config.max_source_positions
    extractor = WhisperFeatureExtractor(
        feature_size=config.audio_config.num_mel_bins,
        hop_length=int(16000 / (2 * rate)),
        chunk_length=int(positions / rate),
    )
    pictures = FavorVideoProcessor(size={"height": size, "width": size})
    return FavorProcessor(pictures, extractor, tokenizer, **config.processor_values())


def to_device(inputs: dict[str, torch.Tensor], model: FavorForConditionalGeneration) -> dict[str, torch.Tensor]:
    return {name: tensor.to(model.device) for name, tensor in inputs.items()}


def text_around(model: FavorForConditionalGeneration, placeholders: int) -> dict[str, torch.Tensor]:
    """`TEXT_TOKENS` of text, half of it before the item's placeholders."""
    half = TEXT_TOKENS // 2
    ids = [3] * half + [model.config.video_token_id] * placeholders + [3] * half
    input_ids = torch.tensor([ids], device=model.device)
    return {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}


def file_inputs(processor: FavorProcessor, clip: Path) -> dict[str, torch.Tensor]:
    """The whole file's media, on the CPU."""
    inputs = processor(text="<video>", videos=[str(clip)], load_audio_from_video=True, return_tensors="pt")
    names = ("pixel_values_videos", "video_frame_indices", "input_features", "input_features_mask")
    return {name: inputs[name] for name in names if name in inputs}


def first_token_ways(
    model: FavorForConditionalGeneration, processor: FavorProcessor, clip: Path
) -> dict[str, Callable[[], Any]]:
    """From the file to the first token."""

    def first_token(encoded: Any) -> torch.Tensor:
        prompt = text_around(model, sum(map(len, encoded.pooler_output)))
        return model(**prompt, mm_encoder_outputs={"video": encoded}, use_cache=True, logits_to_keep=1).logits

    def at_once() -> torch.Tensor:
        return first_token(model.get_video_features(**to_device(file_inputs(processor, clip), model)))

    def watched() -> torch.Tensor:
        stream = model.media_stream()
        stream.watch(window.inputs for window in processor.stream(clip))
        return first_token(stream.encoded())

    return {"at once": at_once, "watched": watched}


def encoded_prompt(
    model: FavorForConditionalGeneration, processor: FavorProcessor, clip: Path
) -> tuple[dict[str, torch.Tensor], Any]:
    encoded = model.get_video_features(**to_device(file_inputs(processor, clip), model))
    return text_around(model, sum(map(len, encoded.pooler_output))), encoded


def encoding_stages(
    model: FavorForConditionalGeneration, processor: FavorProcessor, clip: Path
) -> dict[str, Callable[[], Any]]:
    """Each stage of `at once` alone."""
    media = file_inputs(processor, clip)
    inputs = to_device(media, model)
    pictures = [inputs[name] for name in ("pixel_values_videos", "video_frame_indices")]
    sound = [inputs[name] for name in ("input_features", "input_features_mask")]
    states = model.model.encode_media(**inputs)
    encoded = model.get_video_features(encoder_states=states)
    prompt = text_around(model, sum(map(len, encoded.pooler_output)))
    prefill = prompt | {"mm_encoder_outputs": {"video": encoded}, "use_cache": True, "logits_to_keep": 1}
    return {
        "decode the file, log-mel": lambda: file_inputs(processor, clip),
        "copy to the device": lambda: to_device(media, model),
        "encode pictures": lambda: model.model.encode_frames(*pictures),
        "encode sound": lambda: model.model.encode_audio(*sound),
        "connector": lambda: model.get_video_features(encoder_states=states),
        "prefill, first token": lambda: model(**prefill),
    }


def bare_language_model(model: FavorForConditionalGeneration) -> Any:
    """Transformers' own causal class around the same modules, which takes no further memory."""
    with torch.device("meta"):
        bare = AutoModelForCausalLM.from_config(model.config.text_config, dtype=model.dtype)
    bare.model, bare.lm_head = model.model.language_model, model.lm_head
    return bare.eval()


def tokens_a_second(model: Any, inputs: dict[str, Any], tokens: int, cache: str, repetitions: int) -> float:
    """After the first token: the time of a run to the first token is taken off."""
    options = {"do_sample": False, "pad_token_id": 0} | (
        {"cache_implementation": "static"} if cache == "static" else {}
    )
    device = model.device

    def generate(count: int) -> Callable[[], Any]:
        return lambda: model.generate(**inputs, max_new_tokens=count, min_new_tokens=count, **options)

    long = median_seconds(generate(tokens), device, repetitions)
    short = median_seconds(generate(1), device, repetitions)
    return (tokens - 1) / max(long - short, 1e-9)


def median_seconds(call: Callable[[], Any], device: torch.device, repetitions: int) -> float:
    """Wall time until the device has finished, after a run that is not counted (it compiles)."""
    spent = []
    for turn in range(WARM_UP + repetitions):
        synchronize(device)
        start = time.perf_counter()
        call()
        synchronize(device)
        if turn >= WARM_UP:
            spent.append(time.perf_counter() - start)
    return sorted(spent)[len(spent) // 2]


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_bytes(device: torch.device) -> int:
    """Of the GPU's allocator; without a GPU of the process."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else status_bytes("VmHWM")


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU: these numbers say nothing of a GPU"


def report(results: dict[str, Any]) -> str:
    """Markdown."""
    head = (
        f"{results['preset']}, {results['parameters'] / 1e9:.2f} B parameters, {results['dtype']}, "
        f"{results['attention']}, {results['device']}; {results['seconds of video']} s of video, "
        f"{results['prompt tokens']} prompt tokens; peak memory {results['peak bytes'] / GIB:.1f} GiB"
    )
    times = {f"to the first token, {way}": value for way, value in results["first token"].items()}
    rows = [[name, f"{1000 * value:,.0f}"] for name, value in (times | results["stages"]).items()]
    decoding = [
        [cache, f"{found['FAVOR']:.1f}", f"{found['language model']:.1f}", f"{found['ratio']:.3f}"]
        for cache, found in results["tokens a second"].items()
    ]
    return "\n\n".join(
        [
            head,
            markdown(["", "ms"], rows),
            markdown(["cache", "FAVOR, tokens/s", "language model, tokens/s", "ratio"], decoding),
        ]
    )


if __name__ == "__main__":
    main()
