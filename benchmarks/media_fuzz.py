# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Mutated media files through the decoder: each must end in a clip or a `MediaError`, in time and without a leak.

    python -m benchmarks.media_fuzz --count 500 --seed 0

Seeds are small files of many formats; each is mutated by flipped bits, truncation, spliced headers, or overwritten,
doubled or removed blocks, and read with `on_error="raise"` and with `"warn"`. A batch of files runs in a process of
its own, so that a crash is seen and attributed to the file at hand. It reads them three times over; memory after the
third round is compared with that after the second.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from favor.processing import MediaError, load_media

LIMITS = {"max_decode_seconds": 10.0, "max_duration": 600.0, "max_pixels": 1 << 22, "max_clip_bytes": 1 << 28}
SEED_FORMATS = (
    ("mp4", "libx264", "aac", {}),
    ("mp4", "libx264", "aac", {"movflags": "faststart"}),
    ("mp4", "libx265", "libmp3lame", {"movflags": "frag_keyframe+empty_moov"}),
    ("mov", "mjpeg", "pcm_s16le", {}),
    ("matroska", "libx264", "flac", {}),
    ("webm", "libvpx-vp9", "libopus", {}),
    ("matroska", "libsvtav1", "aac", {}),
    ("mpegts", "libx264", "aac", {}),
    ("avi", "mpeg4", "libmp3lame", {}),
    ("flv", "libx264", "aac", {}),
    ("mpeg", "mpeg1video", "mp2", {}),
    ("gif", "gif", None, {}),
    ("wav", None, "pcm_s16le", {}),
    ("flac", None, "flac", {}),
    ("mp3", None, "libmp3lame", {}),
    ("ogg", None, "libopus", {}),
)
PICTURES = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
PIXELS = {"mjpeg": "yuvj420p", "gif": "rgb8"}
QUIET = {"libx265": {"preset": "ultrafast", "x265-params": "log-level=none"}, "libsvtav1": {"preset": "12"}}


def seed_files() -> list[bytes]:
    """One small file of each format."""
    os.environ.setdefault("SVT_LOG", "0")  # the AV1 encoder is talkative
    with tempfile.TemporaryDirectory() as folder:
        files = [_write(Path(folder) / "seed", *formats) for formats in SEED_FORMATS]
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for name in PICTURES:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, name)
        files.append(file.getvalue())
    return files


@contextmanager
def at_normal_priority() -> Iterator[None]:
    """Takes back what the AV1 encoder libsvtav1 does if root runs it: real-time priority 99, for its caller, too.

    At that priority a busy process keeps its core from all others, and so do all processes that it starts.
    """
    try:
        yield
    finally:
        if sys.platform == "linux":
            for thread in os.listdir("/proc/self/task"):
                with suppress(ProcessLookupError):  # it has ended meanwhile
                    os.sched_setscheduler(int(thread), os.SCHED_OTHER, os.sched_param(0))


@at_normal_priority()
def _write(path: Path, container_format: str, video: str | None, audio: str | None, options: dict) -> bytes:
    random = np.random.default_rng(1)
    with av.open(str(path), "w", format=container_format, options=options) as container:
        pictures = container.add_stream(video, rate=25) if video else None
        sound = container.add_stream(audio, rate=48000, layout="stereo") if audio else None
        if pictures is not None:
            pictures.width, pictures.height, pictures.pix_fmt = 64, 48, PIXELS.get(video or "", "yuv420p")
            pictures.options = QUIET.get(video or "", {})
            for number in range(50):
                texture = (np.add.outer(np.arange(48), np.arange(64)) * 3 + number * 4) % 256
                frame = av.VideoFrame.from_ndarray(np.repeat(texture.astype(np.uint8)[..., None], 3, -1), "rgb24")
                frame = frame.reformat(format=pictures.pix_fmt)
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(pictures.encode(frame))
        if sound is not None:
            resampler = av.AudioResampler(sound.codec_context.format.name, "stereo", 48000)
            for first in range(0, 96000, 1024):
                samples = random.uniform(-0.3, 0.3, (2, 1024)).astype(np.float32)
                frame = av.AudioFrame.from_ndarray(samples, "fltp", "stereo")
                frame.sample_rate, frame.time_base, frame.pts = 48000, Fraction(1, 48000), first
                for converted in resampler.resample(frame):
                    container.mux(sound.encode(converted))
        for stream in container.streams:
            container.mux(stream.encode(None))
    return path.read_bytes()


def mutate(files: list[bytes], number: int, seed: int) -> bytes:
    """Mutation `number` of the series `seed`."""
    random = np.random.default_rng((seed, number))
    data = bytearray(files[number % len(files)])
    kind = ("bits", "header bits", "truncate", "splice", "overwrite", "double", "remove")[int(random.integers(7))]
    first = int(random.integers(len(data)))
    last = min(len(data), first + int(random.integers(1, 2000)))
    if kind in ("bits", "header bits"):
        reach = len(data) if kind == "bits" else min(len(data), 1000)
        for place in random.integers(0, reach, int(random.integers(1, 60))):
            data[place] ^= 1 << int(random.integers(8))
    elif kind == "truncate":
        del data[first:]
    elif kind == "splice":
        other = files[int(random.integers(len(files)))]
        length = int(random.integers(4, 600))
        data[:length] = other[:length]
    elif kind == "overwrite":
        data[first:last] = random.bytes(last - first)
    elif kind == "double":
        data[first:first] = data[first:last]
    else:
        del data[first:last]
    return bytes(data)


def outcome(data: bytes, on_error: str) -> str:
    """What reading the file came to: "clip", or the error's class; another error than `MediaError` is told in full."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load_media(data, size=(32, 32), on_error=on_error, media_limits=LIMITS)
        return "clip"
    except MediaError as error:
        return type(error).__name__
    except Exception as error:
        return f"WRONG TYPE {type(error).__name__}: {error}"


def run_batch(folder: Path, first: int, count: int, seed: int) -> None:
    """Child process: JSON lines before and after each reading of a file; three rounds, then the memory after each."""
    files = [path.read_bytes() for path in sorted(folder.iterdir())]
    memory = []
    for round_number in range(3):
        for number in range(first, first + count):
            data = mutate(files, number, seed)
            for on_error in ("raise", "warn"):
                print(json.dumps({"begin": number, "on_error": on_error}), flush=True)
                begin = time.monotonic()
                line = {"end": number, "on_error": on_error, "outcome": outcome(data, on_error)}
                print(json.dumps({**line, "round": round_number, "seconds": time.monotonic() - begin}), flush=True)
        memory.append(resident_bytes())
    print(json.dumps({"memory": memory}), flush=True)


def resident_bytes() -> int:
    """Memory of this process that is in use now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def fuzz(count: int, seed: int, batch: int, time_bound: float) -> dict:
    """Runs `count` mutations in child processes and sums up."""
    outcomes: Counter = Counter()
    crashes, wrong, slow, growth, slowest = [], [], [], [], 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, data in enumerate(seed_files()):
            (folder / f"{number:02d}").write_bytes(data)
        for first in range(0, count, batch):
            size = min(batch, count - first)
            command = [
                sys.executable,
                "-m",
                "benchmarks.media_fuzz",
                "--child",
                name,
                str(first),
                str(size),
                str(seed),
            ]
            limit = 6 * size * time_bound
            try:
                child = subprocess.run(command, capture_output=True, text=True, timeout=limit)
                output, code = child.stdout, child.returncode
            except subprocess.TimeoutExpired as error:
                output, code = (error.stdout or b"").decode(), None
            lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
            if code != 0:
                crashes.append({"exit_code": code, "last": lines[-1] if lines else None})
            for line in lines:
                if line.get("round") == 0:
                    outcomes[f"{line['on_error']}: {line['outcome'].split(':')[0]}"] += 1
                if "outcome" in line and line["outcome"].startswith("WRONG"):
                    wrong.append(line)
                if line.get("seconds", 0) > time_bound:
                    slow.append(line)
                slowest = max(slowest, line.get("seconds", 0))
                if "memory" in line:
                    growth.append(line["memory"][-1] / line["memory"][-2] - 1)
    return {
        "files": count,
        "seed": seed,
        "outcomes": dict(sorted(outcomes.items())),
        "crashes": crashes,
        "other_exceptions": wrong,
        "over_time": slow,
        "slowest_seconds": round(slowest, 2),
        "largest_memory_growth_percent": round(100 * max(growth, default=0.0), 2),
    }


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        folder, *numbers = sys.argv[2:]
        run_batch(Path(folder), *map(int, numbers))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500, help="mutated files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=50, help="files a process")
    parser.add_argument("--time-bound", type=float, default=12.0, help="seconds a file may take")
    arguments = parser.parse_args()
    report = fuzz(arguments.count, arguments.seed, arguments.batch, arguments.time_bound)
    print(json.dumps(report, indent=2))
    failed = report["crashes"] or report["other_exceptions"] or report["over_time"]
    sys.exit(1 if failed or report["largest_memory_growth_percent"] > 5 else 0)


if __name__ == "__main__":
    main()
