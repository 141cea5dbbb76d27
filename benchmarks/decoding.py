# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What it costs to decode a file in a process of its own, beside decoding it here; one after the other, many times.

    python -m benchmarks.decoding               # a minute or two

Files: a small picture, a sound of 10 s, a clip as favor-tiny is asked about, and ten seconds of 360p. Read at 2 Hz to
224 x 224, as paths and as bytes. Both ways decode with one thread; the processes are loaded before.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image

from benchmarks.media import FPS, SIZE, make_clip
from favor.processing import MediaClip, load_media
from favor.serving import DecodingWorkers


def make_files(folder: Path) -> dict[str, Path]:
    """The files by what they are."""
    random = np.random.default_rng(0)
    picture, sound, film = folder / "picture.jpg", folder / "sound.wav", folder / "film.mp4"
    Image.fromarray(random.integers(0, 256, (480, 640, 3), np.uint8)).save(picture)
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        samples = av.AudioFrame.from_ndarray(random.integers(-9000, 9000, (1, 160_000), np.int16), "s16", "mono")
        samples.sample_rate = 16000
        container.mux(stream.encode(samples))
    make_clip(film, 360, 10)
    command = [sys.executable, "-m", "favor", "synth", str(folder / "mini"), "--count", "4", "--seed", "7"]
    subprocess.run(command, check=True, capture_output=True)
    clip = sorted((folder / "mini").rglob("*.mp4"))[0]
    return {"picture, 640 x 480": picture, "sound, 10 s": sound, "clip of AVEB-mini": clip, "360p, 10 s": film}


def processor_seconds() -> float:
    """Of this process, and of the ones that it has made and those that these have made and outlived."""
    ticks = 0
    for child in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = child.read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15])) if int(fields[1]) == os.getpid() else 0
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def measured(load: Callable[..., MediaClip], source: Path | bytes) -> tuple[float, float]:
    """Milliseconds of the clock, and of the processors."""
    begin, used = time.perf_counter(), processor_seconds()
    load(source, FPS, size=(SIZE, SIZE))
    return 1000 * (time.perf_counter() - begin), 1000 * (processor_seconds() - used)


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print("| file | given as | here: processor, clock, ms | in a process: processor, clock, ms |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name, DecodingWorkers(1) as workers:
        for kind, path in make_files(Path(name)).items():
            for form, source in (("path", path), ("bytes", path.read_bytes())):
                ways: tuple[list[tuple[float, float]], ...] = ([], [])
                for _ in range(rounds + 1):  # the first one loads what is loaded once
                    for way, load in zip(ways, (load_media, workers.load_media), strict=True):
                        way.append(measured(load, source))
                cells = []
                for way in ways:
                    clock = [one[0] for one in way[1:]]
                    used = statistics.mean(one[1] for one in way[1:])  # the system counts in steps of 10 ms
                    cells.append(f"{used:.0f}, {statistics.median(clock):.0f} ({min(clock):.0f} to {max(clock):.0f})")
                print(f"| {kind} | {form} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
