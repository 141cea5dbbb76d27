# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What was tried and is not done, with its figures: compiled connector, skipped blocks, audio without padding."""

import copy
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from favor.model_loading import bundled_model_path
from favor.modeling_favor import FavorConnector, FavorForConditionalGeneration
from favor.processing import FavorProcessor, load_media

from .model_connector import connector_of_13b, streams
from .model_measures import Timing, markdown, time_in_turn

WINDOW_SHAPES = {
    "13B widths": (4, 12, 10, 32, 128),
    "towers 64 wide": (13, 2, 10, 25, 64),
}  # b, heads, frames, p, head
SMALL = {
    "hidden_size": 64,
    "num_attention_heads": 2,
    "intermediate_size": 256,
    "visual_hidden_size": 64,
    "audio_hidden_size": 64,
    "text_hidden_size": 256,
    "visual_vectors_per_frame": 4,
}


def measure_variants(repetitions: int) -> dict[str, Any]:
    return {
        "blocks": {name: measure_blocks(*shape, repetitions) for name, shape in WINDOW_SHAPES.items()},
        "compiled": measure_compiled(repetitions),
        "padding": measure_padding(repetitions),
    }


def measure_blocks(
    windows: int, heads: int, frames: int, vectors: int, head_dim: int, repetitions: int
) -> dict[str, dict[str, Timing]]:
    """Causal attention of windows: one call with a mask, against one per frame that reads only what it may see."""
    generator = torch.Generator().manual_seed(0)
    shape = (windows, heads, frames * vectors, head_dim)
    tensors = [torch.randn(shape, generator=generator, requires_grad=True) for _ in range(3)]
    frame = torch.arange(frames).repeat_interleave(vectors)
    mask = frame[:, None] >= frame

    def masked() -> torch.Tensor:
        return scaled_dot_product_attention(*tensors, attn_mask=mask)

    def frame_by_frame() -> torch.Tensor:
        query, key, value = tensors
        ends = range(vectors, frames * vectors + 1, vectors)
        outputs = [
            scaled_dot_product_attention(query[:, :, end - vectors : end], key[:, :, :end], value[:, :, :end])
            for end in ends
        ]
        return torch.cat(outputs, dim=2)

    torch.testing.assert_close(masked(), frame_by_frame(), atol=1e-5, rtol=1e-5)
    calls = {"one masked call": masked, "a call per frame": frame_by_frame}
    return {
        "forward": time_in_turn(
            {name: torch.no_grad()(call) for name, call in calls.items()}, repetitions, "a call per frame"
        ),
        "forward and backward": time_in_turn(
            {name: backward_of(call) for name, call in calls.items()}, repetitions, "a call per frame"
        ),
    }


def backward_of(call: Callable[[], torch.Tensor]) -> Callable[[], None]:
    return lambda: call().square().mean().backward()


def measure_compiled(repetitions: int) -> dict[str, Any]:
    """The causal Q-Former compiled by inductor; nothing where there is no C++ compiler."""
    if shutil.which("g++") is None:
        return {}
    found = {}
    for name, values in {"13B widths": {}, "towers 64 wide": SMALL}.items():
        connector = connector_of_13b(**values)
        windows, mask = windows_of(connector, seconds=20)
        compiled = torch.compile(connector.causal_qformer)
        with torch.no_grad():
            plain_states = connector.causal_qformer(windows, mask).last_hidden_state
            difference = (compiled(windows, mask).last_hidden_state - plain_states).abs().max().item()
            timing = time_in_turn(
                {
                    "plain": lambda plain=connector.causal_qformer, w=windows, m=mask: plain(w, m),
                    "compiled": lambda compiled=compiled, w=windows, m=mask: compiled(w, m),
                },
                repetitions,
                "compiled",
            )
        found[name] = {"difference": difference, **timing}
    return found


def windows_of(connector: FavorConnector, seconds: int) -> tuple[torch.Tensor, torch.Tensor]:
    read = []
    hook = connector.causal_qformer.register_forward_pre_hook(lambda _module, given: read.append(given))
    with torch.no_grad():
        connector(**streams(connector, (seconds,)))
    hook.remove()
    return read[0]


def measure_padding(repetitions: int, clips: int = 3) -> dict[str, Any]:
    """favor-tiny's audio tower on rendered clips, with a chunk's padding and cut to what is real."""
    from favor.aveb_prompts import AVEB_PROMPTS
    from favor.worlds.mini.dataset import write_split

    tower = FavorForConditionalGeneration.from_pretrained(bundled_model_path()).eval().model.audio_tower
    extractor = FavorProcessor.from_pretrained(bundled_model_path()).feature_extractor
    with tempfile.TemporaryDirectory() as folder:
        write_split(Path(folder), "test", clips, seed=0, workers=1, progress=False, prompts=AVEB_PROMPTS)
        sounds = [load_media(path).audio for path in sorted(Path(folder).rglob("*.mp4"))[:clips]]
    differences, shares, timing = [], [], {}
    for sound in sounds:
        sound = sound[: extractor.n_samples]
        mel = extractor(sound, sampling_rate=extractor.sampling_rate, return_tensors="pt").input_features
        frames = len(sound) // extractor.hop_length // 2 * 2
        cut = without_positions(tower, frames // 2)
        with torch.no_grad():
            full = tower(mel).last_hidden_state[:, : frames // 2]
            short = cut(mel[..., :frames]).last_hidden_state
            timing = time_in_turn(
                {"padded": lambda mel=mel: tower(mel), "cut": lambda cut=cut, m=mel[..., :frames]: cut(m)},
                repetitions,
                "cut",
            )
        differences.append(((full - short).norm() / full.norm()).item())
        shares.append(frames / mel.shape[-1])
    return {"relative differences": differences, "real share of the chunk": shares, **timing}


def without_positions(tower: nn.Module, positions: int) -> nn.Module:
    """The tower for chunks of that many vectors."""
    shorter = copy.deepcopy(tower)
    shorter.config.max_source_positions = positions
    shorter.embed_positions = nn.Embedding.from_pretrained(tower.embed_positions.weight[:positions].detach())
    return shorter


def variants_table(results: dict[str, Any]) -> str:
    rows = []
    for sizes, phases in results["blocks"].items():
        for phase, found in phases.items():
            name = f"blocks skipped, {sizes}, {phase}"
            rows.append(row(name, found["one masked call"], found["a call per frame"]))
    for sizes, found in results["compiled"].items():
        rows.append(row(f"`torch.compile`, forward, {sizes}", found["plain"], found["compiled"]))
    padding = results["padding"]
    rows.append(row("audio tower without padding (last clip)", padding["padded"], padding["cut"]))
    differences = ", ".join(f"{100 * value:.0f} %" for value in padding["relative differences"])
    shares = ", ".join(f"{100 * value:.0f} %" for value in padding["real share of the chunk"])
    return (
        markdown(["variant", "as it is, CPU ms", "variant, CPU ms", "ratio"], rows)
        + f"\n\nWithout the chunk's padding, the states of favor-tiny's audio tower change by {differences} "
        f"(relative norm) where {shares} of the chunk are real."
    )


def row(name: str, without: Timing, with_variant: Timing) -> list[str]:
    """`time_in_turn` was told to compare the variant, so that the ratio of what is done now is the variant's to it."""
    return [name, without.cpu.text(1000, 1), with_variant.cpu.text(1000, 1), without.ratio.text(1, 2)]
