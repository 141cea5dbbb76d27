# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""CPU time and memory of reading a video's pictures and sound, as ratios to a plain decode of the same file.

    python -m benchmarks.media                              # 360p and 1080p, 60 s and 600 s
    python -m benchmarks.media --heights 360 --seconds 60   # a minute

Every measurement is a process of its own; CPU time is user and system time after the imports. Ways:

- `plain decode`: PyAV decodes every picture with one thread; no conversion, no sound. The floor.
- `load_media`: pictures at 2 Hz to 224 x 224, and the sound at 16 kHz.
- `iterate_media`: the same in pieces of 10 s, none of which is kept.
- `FavorProcessor`: the same and log-mel, pixel values and tokens: what the model takes.
- `transformers`: `load_video(backend="pyav")` at 2 Hz, as its processors call it; no sound, no resize.
"""

import argparse
import functools
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
import torch.nn.functional as F

FPS, RATE, SIZE = 2.0, 48000, 224
WIDTHS = {360: 640, 720: 1280, 1080: 1920}
STOCK_MEMORY = 12 << 30  # bytes that transformers' reader may take here before it is counted as failed


def make_clip(path: Path, height: int, seconds: int) -> None:
    """Writes a panning texture with noise and a moving box at 30 Hz, H.264 with B-frames, and stereo AAC."""
    width, random = WIDTHS[height], np.random.default_rng(0)
    coarse = torch.from_numpy(random.integers(0, 256, (1, 3, height // 8 + 64, width // 8 + 128), dtype=np.uint8))
    texture = F.interpolate(coarse, scale_factor=8, mode="bicubic", antialias=True)[0].permute(1, 2, 0).numpy()
    noise = [random.integers(-6, 7, (height, width, 1)).astype(np.int16) for _ in range(8)]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.options = {"preset": "veryfast", "bf": "3"}
        audio = container.add_stream("aac", rate=RATE, layout="stereo")
        for number in range(30 * seconds):
            left, top = int(250 + 200 * np.sin(number / 40)), int(100 + 80 * np.cos(number / 33))
            picture = texture[top : top + height, left : left + width].astype(np.int16) + noise[number % 8]
            corner = number * 7 % (width - width // 6)
            picture[height // 3 : height // 2, corner : corner + width // 6] = number * 3 % 256
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(video.encode(frame))
            times = np.arange(number * 1600, (number + 1) * 1600) / RATE
            sound = (0.3 * np.sin(2 * np.pi * 440 * times) + 0.05 * random.standard_normal(1600)).astype(np.float32)
            samples = av.AudioFrame.from_ndarray(np.stack([sound, sound]), "fltp", "stereo")
            samples.sample_rate, samples.time_base, samples.pts = RATE, Fraction(1, RATE), number * 1600
            container.mux(audio.encode(samples))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def repeat_clip(source: Path, path: Path, seconds: int, times: int) -> None:
    """The clip of `seconds` several times over, without encoding again."""
    with av.open(str(source)) as template, av.open(str(path), "w") as output:
        inputs = template.streams.video[0], template.streams.audio[0]
        streams = {stream.type: output.add_stream_from_template(stream) for stream in inputs}
        last = dict.fromkeys(streams, -(1 << 60))
        for number in range(times):
            with av.open(str(source)) as container:
                for packet in container.demux(container.streams.video[0], container.streams.audio[0]):
                    kind, shift = packet.stream.type, round(number * seconds / packet.time_base)
                    if packet.dts is None or packet.dts + shift <= last[kind]:  # the sound's padding overlaps
                        continue
                    last[kind] = packet.dts + shift
                    packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                    packet.stream = streams[kind]
                    output.mux(packet)


def plain_decode(path: str) -> int:
    """The floor; nothing is kept."""
    with av.open(path) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for _ in container.decode(video=0):
            pass
    return 0


def with_load_media(path: str) -> int:
    """Bytes of what is returned."""
    from favor.processing import load_media

    clip = load_media(path, FPS, size=(SIZE, SIZE))
    assert clip.frames is not None and clip.audio is not None
    return clip.frames.nbytes + clip.audio.nbytes


def with_iterate_media(path: str) -> int:
    """Nothing is kept."""
    from favor.processing import iterate_media

    for _ in iterate_media(path, FPS, size=(SIZE, SIZE)):
        pass
    return 0


def with_processor(path: str) -> int:
    """Bytes of what is returned, and of the pictures as they were before they became pixel values."""
    inputs = make_processor()(text="<video> What happens?", videos=path, return_tensors="pt")
    pixels = inputs["pixel_values_videos"]
    return sum(tensor.numel() * tensor.element_size() for tensor in inputs.values()) + pixels.numel()


@functools.cache
def make_processor() -> Any:
    """A processor of the released model's sizes, with a tokenizer made up here."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, WhisperFeatureExtractor

    from favor.processing import FavorProcessor, FavorVideoProcessor

    backend = Tokenizer(models.WordLevel({"<unk>": 0}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<unk>")
    tokenizer.add_special_tokens({"extra_special_tokens": ["<video>", "<image>", "<audio>"]})
    return FavorProcessor(FavorVideoProcessor(), WhisperFeatureExtractor(), tokenizer)


def with_transformers(path: str) -> int:
    """Bytes of what is returned."""
    from transformers.video_utils import load_video

    def every_half_second(metadata, **kwargs):
        step = metadata.fps / FPS
        return np.arange(0, metadata.total_num_frames, step).astype(int)

    resource.setrlimit(resource.RLIMIT_DATA, (STOCK_MEMORY, STOCK_MEMORY))
    frames, _ = load_video(path, backend="pyav", sample_indices_fn=every_half_second)
    return frames.nbytes


WAYS: dict[str, Callable[[str], int]] = {
    "plain decode": plain_decode,
    "load_media": with_load_media,
    "iterate_media": with_iterate_media,
    "FavorProcessor": with_processor,
    "transformers": with_transformers,
}


def run_child(way: str, path: str) -> None:
    """Child process: one measurement as a JSON line."""
    torch.set_num_threads(1)
    if way in ("load_media", "iterate_media", "FavorProcessor"):
        make_processor()  # imports and the processor itself are no part of the measurement
    elif way == "transformers":
        import transformers.video_utils  # noqa: F401
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before, begin, cpu = memory("VmRSS"), time.perf_counter(), cpu_seconds()
    kept = WAYS[way](path)
    result = {"cpu": cpu_seconds() - cpu, "wall": time.perf_counter() - begin, "kept": kept}
    print(json.dumps({**result, "before": before, "peak": memory("VmHWM")}))


def cpu_seconds() -> float:
    """User and system time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def memory(field: str) -> int:
    """A line of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def measure(path: Path, way: str, repeats: int) -> dict[str, Any] | None:
    """Medians over processes; None if the way fails."""
    runs = []
    for _ in range(repeats):
        command = [sys.executable, "-m", "benchmarks.media", "--child", way, str(path)]
        child = subprocess.run(command, capture_output=True, text=True)
        if child.returncode != 0:
            return None
        runs.append(json.loads(child.stdout.splitlines()[-1]))
    seconds = [run["cpu"] for run in runs]
    return {
        "cpu_seconds": statistics.median(seconds),
        "cpu_range": [min(seconds), max(seconds)],
        "wall_seconds": statistics.median(run["wall"] for run in runs),
        "kept_bytes": runs[0]["kept"],
        "process_before_bytes": statistics.median(run["before"] for run in runs),
        "peak_bytes": statistics.median(run["peak"] for run in runs),
    }


def table(results: list[dict[str, Any]]) -> str:
    """Markdown; ratios are to the plain decode of the same file."""
    lines = [
        "| file | way | CPU s (range) | ratio | wall s | peak MB above start | less what is returned |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in results:
        name = f"| {row['height']}p, {row['seconds']} s | {row['way']} |"
        if row["result"] is None:
            lines.append(f"{name} failed: over {STOCK_MEMORY >> 30} GiB | | | | |")
            continue
        result = row["result"]
        growth = (result["peak_bytes"] - result["process_before_bytes"]) / 1e6
        low, high = result["cpu_range"]
        lines.append(
            f"{name} {result['cpu_seconds']:.2f} ({low:.2f}-{high:.2f}) | {row['ratio']:.2f} | "
            f"{result['wall_seconds']:.2f} | {growth:.0f} | {growth - result['kept_bytes'] / 1e6:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        run_child(*sys.argv[2:4])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--heights", type=int, nargs="+", default=[360, 1080], choices=sorted(WIDTHS))
    parser.add_argument("--seconds", type=int, nargs="+", default=[60, 600], help="multiples of 60")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--repeats", type=int, default=3, help="processes a measurement")
    parser.add_argument("--folder", type=Path, help="where the files are kept for the next run")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        for height in arguments.heights:
            minute = folder / f"{height}p_60s.mp4"
            if not minute.is_file():
                make_clip(minute, height, 60)
            for seconds in arguments.seconds:
                path = folder / f"{height}p_{seconds}s.mp4"
                if not path.is_file():
                    repeat_clip(minute, path, 60, seconds // 60)
                floor = measure(path, "plain decode", arguments.repeats)
                for way in arguments.ways:
                    result = floor if way == "plain decode" else measure(path, way, arguments.repeats)
                    ratio = result["cpu_seconds"] / floor["cpu_seconds"] if result and floor else None
                    results.append(
                        {"height": height, "seconds": seconds, "way": way, "ratio": ratio, "result": result}
                    )
    print(table(results))
    print(
        f"\n{platform.machine()}, Python {platform.python_version()}, PyAV {av.__version__}, torch {torch.__version__}"
    )
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
