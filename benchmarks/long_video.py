# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Memory of watching a long video with favor-tiny, window by window, and of a question about all of it at the end.

    python -m benchmarks.long_video                # one hour
    python -m benchmarks.long_video --minutes 5

The video (10 Hz, 160 x 120, with sound) is written first by a process of its own. Memory is the resident set of the
watching process; its growth is counted from the end of the first minute of video.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from tqdm import tqdm

RATE, SAMPLING_RATE = 10, 16000  # Hz
QUESTION = "Which sound is heard first?"


def make_video(path: Path, minutes: int) -> None:
    """Writes changing colours with a moving square, and tones, second by second."""
    random = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLING_RATE, layout="mono")
        for second in tqdm(range(60 * minutes), desc="writing the video", unit="s"):
            picture = np.full((120, 160, 3), random.integers(0, 200, 3), dtype=np.uint8)
            for number in range(RATE):
                shown = picture.copy()
                shown[40:70, 10 * number : 10 * number + 30] = 255
                frame = av.VideoFrame.from_ndarray(shown, format="rgb24")
                frame.pts, frame.time_base = second * RATE + number, Fraction(1, RATE)
                container.mux(video.encode(frame))
            times = np.arange(SAMPLING_RATE) / SAMPLING_RATE
            tone = 0.3 * np.sin(2 * np.pi * random.integers(200, 2000) * times)
            sound = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), format="fltp", layout="mono")
            sound.sample_rate, sound.pts = SAMPLING_RATE, second * SAMPLING_RATE
            sound.time_base = Fraction(1, SAMPLING_RATE)
            container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def watch(path: Path) -> dict:
    """Watches the video and asks at its end; memory in MB."""
    from favor.model_loading import bundled_model_path
    from favor.modeling_favor import FavorForConditionalGeneration
    from favor.processing import FavorProcessor

    model = FavorForConditionalGeneration.from_pretrained(bundled_model_path()).eval()
    processor = FavorProcessor.from_pretrained(bundled_model_path())
    stream, after_a_minute, highest, begin = model.media_stream(), 0.0, 0.0, time.perf_counter()
    seconds = 0.0
    limits = {"max_frames": 1 << 20, "max_duration": 1 << 20, "max_decode_seconds": 1 << 20}
    for window in tqdm(processor.stream(path, QUESTION, media_limits=limits), desc="watching", unit="window"):
        stream.add(**window.inputs)
        seconds = window.end
        if seconds <= 60:
            after_a_minute = resident_memory()
        highest = max(highest, resident_memory())
    watched = time.perf_counter() - begin
    prompt = processor.stream_prompt(QUESTION, stream.num_tokens)
    answer = model.generate(**prompt, mm_encoder_outputs={"video": stream.encoded()}, max_new_tokens=8)
    return {
        "seconds of video": round(seconds, 2),
        "query tokens": stream.num_tokens,
        "seconds to watch": round(watched, 1),
        "MB after the first minute": round(after_a_minute, 1),
        "MB at most while watching": round(highest, 1),
        "MB of growth while watching": round(highest - after_a_minute, 1),
        "MB at most with the question": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "tokens answered": answer.shape[1] - prompt["input_ids"].shape[1],
    }


def resident_memory() -> float:
    """MB of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="favor-long-video-") as folder:
        path = Path(folder) / "long.mp4"
        writer = multiprocessing.get_context("spawn").Process(target=make_video, args=(path, arguments.minutes))
        writer.start()
        writer.join()
        result = watch(path)
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        sys.stdout.writelines(f"{name:32}{value:>10}\n" for name, value in result.items())


if __name__ == "__main__":
    main()
