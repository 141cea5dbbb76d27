# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads every file under a folder with `load_media`, and compares with FFmpeg's own decode where that is installed.

    python -m benchmarks.media_corpus /usr/share --json corpus.json

Pictures are compared at each half second (rotation and mirroring applied, transparency on white, both at 64 x 64),
sound at 16 kHz after the best alignment within 0.2 s; only the first 30 s of a file. Each file is read in a worker
process that is ended after `--timeout` seconds. Prints the outcomes, and a table of all that differs:

- picture: the largest difference over the half seconds, in levels (mean over the picture), above 6;
- sound: the RMS of the difference over that of FFmpeg's sound, above 0.1, where it is louder than 0.001;
- length: more than 0.3 s of sound, or more than one picture of the grid;
- a file that FFmpeg reads and `load_media` does not, or a stream of it; any exception but `MediaError`; a file that
  takes too long.
"""

import argparse
import json
import mimetypes
import multiprocessing
import random
import re
import shutil
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from PIL import Image

SECONDS, FPS, RATE, SIDE = 30.0, 2.0, 16000, 64
PICTURE_LEVELS, SOUND_ERROR, SOUND_SECONDS, QUIET = 6.0, 0.1, 0.3, 0.001
NEAR = 0.12  # seconds by which FFmpeg's picture may be earlier or later: files round their timestamps
LAG = 3200  # samples of 16 kHz that codecs may delay sound by
MAX_PIXELS = 1 << 25  # of a still that is compared at full size
ALPHA = re.compile(r"rgba|bgra|argb|abgr|yuva|ya8|ya16|gbrap|pal8")


@dataclass
class Outcome:
    """What one file gave.

    Attributes:
        path (`str`): of the file.
        read (`str`): "still", "clip", "sound", or the name of the error.
        message (`str`): of the error, or of warnings.
        picture (`float`, *optional*): largest difference in levels.
        sound (`float`, *optional*): relative difference.
        notes (`list[str]`): all that is above a threshold.
        seconds (`float`): that `load_media` took.
    """

    path: str
    read: str
    message: str = ""
    picture: float | None = None
    sound: float | None = None
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


def compare_file(path: str, ffmpeg: bool) -> Outcome:
    """Reads one file both ways."""
    from favor.processing import MediaError, load_media

    begin = time.perf_counter()
    clip, caught = None, []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clip = load_media(path, FPS, end=SECONDS)
        read = "still" if clip.still else "sound" if clip.frames is None else "clip"
        outcome = Outcome(path, read, "; ".join(sorted({str(warning.message) for warning in caught})))
    except MediaError as error:
        outcome = Outcome(path, type(error).__name__, str(error))
    except Exception as error:  # what must not happen is what is looked for
        outcome = Outcome(path, f"raw {type(error).__name__}", str(error), notes=["not a MediaError"])
    outcome.seconds = time.perf_counter() - begin
    if not ffmpeg:
        return outcome
    streams = probe(path) if clip is not None or is_media_name(path) else {}
    if clip is None:
        if streams and "raw" not in outcome.read:
            outcome.notes.append(f"refused, but FFmpeg finds {' and '.join(sorted(streams))}")
        return outcome
    if clip.frames is not None:
        _compare_pictures(outcome, clip.frames, streams, clip.still)
    if clip.audio is not None:
        _compare_sound(outcome, clip.audio)
    elif "audio" in streams and not clip.still:
        outcome.notes.append("FFmpeg finds sound")
    if clip.frames is None and "video" in streams:
        outcome.notes.append("FFmpeg finds pictures")
    return outcome


def is_media_name(path: str) -> bool:
    """Whether a file's name promises media; FFmpeg finds pictures in text files, too."""
    kind = mimetypes.guess_type(path)[0] or ""
    return kind.split("/")[0] in ("image", "audio", "video") and "svg" not in kind


def probe(path: str) -> dict[str, dict]:
    """FFmpeg's first video and audio stream that it can decode; cover art is left out."""
    command = ["ffprobe", "-v", "quiet", "-print_format", "json", "-show_streams", path]
    output = subprocess.run(command, capture_output=True, timeout=60).stdout
    found: dict[str, dict] = {}
    try:
        streams = json.loads(output or "{}").get("streams", [])
    except json.JSONDecodeError:  # ffprobe failed while it wrote
        return found
    for stream in streams:
        kind, known = stream.get("codec_type"), stream.get("codec_name", "unknown") != "unknown"
        if kind in ("video", "audio") and known and not stream.get("disposition", {}).get("attached_pic"):
            best = stream.get("disposition", {}).get("default") and not found.get(kind, {}).get("favoured")
            if kind not in found or best:
                found[kind] = {**stream, "favoured": bool(best)}
    return found


def _compare_pictures(outcome: Outcome, frames: np.ndarray, streams: dict[str, dict], still: bool) -> None:
    stream = streams.get("video")
    if stream is None:  # FFmpeg does not know every format that Pillow and `load_heif` read
        return
    alpha = ALPHA.search(stream.get("pix_fmt", "")) is not None or still
    pixels = int(stream.get("width", 0)) * int(stream.get("height", 0))
    if alpha and not 0 < pixels <= MAX_PIXELS:
        return
    size = (frames.shape[2], frames.shape[1]) if alpha else (SIDE, SIDE)
    pictures, times = reference_pictures(outcome.path, stream["index"], size, alpha, still)
    if not len(pictures):
        return
    if still:
        if stream.get("width") != frames.shape[2] and stream.get("height") != frames.shape[2]:
            outcome.notes.append(f"size {frames.shape[2]} x {frames.shape[1]}, FFmpeg's {stream['width']} wide")
        outcome.picture = _difference(small(frames[0]), pictures[0])
    else:
        expected = max(1, int(np.ceil((min(times[-1], SECONDS)) * FPS - 1e-6)))
        if abs(len(frames) - expected) > 1 and "audio" not in streams:
            outcome.notes.append(f"{len(frames)} pictures, FFmpeg's last is at {times[-1]:.2f} s")
        outcome.picture = max(
            _at_time(small(frame), number / FPS, pictures, times) for number, frame in enumerate(frames)
        )
    if outcome.picture > PICTURE_LEVELS:
        outcome.notes.append(f"picture {outcome.picture:.1f} levels")


def _at_time(picture: np.ndarray, when: float, pictures: np.ndarray, times: np.ndarray) -> float:
    """The difference to the best of FFmpeg's pictures that are shown about `when`."""
    first = max(0, int(np.searchsorted(times, when - NEAR, side="right")) - 1)
    last = max(first + 1, int(np.searchsorted(times, when + NEAR, side="right")))
    return min(_difference(picture, other) for other in pictures[first:last])


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())


def small(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 at 64 x 64."""
    return np.asarray(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BOX))


def reference_pictures(
    path: str, index: int, size: tuple[int, int], alpha: bool, still: bool
) -> tuple[np.ndarray, np.ndarray]:
    """FFmpeg's pictures (N, 64, 64, 3) and their times in seconds from the file's start."""
    scale = "" if alpha else f"scale={SIDE}:{SIDE}:flags=area,"
    command = ["ffmpeg", "-nostdin", "-v", "info", "-t", str(SECONDS + 1), "-i", path, "-map", f"0:{index}"]
    command += ["-vf", f"{scale}showinfo,scale={size[0]}:{size[1]},format=rgba", "-fps_mode", "passthrough"]
    command += ["-frames:v", "1"] if still else []
    run = subprocess.run([*command, "-f", "rawvideo", "-"], capture_output=True, timeout=120)
    lines = run.stderr.decode(errors="replace")
    times = np.array([float(text) for text in re.findall(r"Parsed_showinfo\S* .*? pts_time:\s*(-?[\d.]+)", lines)])
    rgba = np.frombuffer(run.stdout, np.uint8)
    count = rgba.size // (size[0] * size[1] * 4)
    rgba = rgba[: count * size[0] * size[1] * 4].reshape(count, size[1], size[0], 4)
    pictures = [small(_on_white(picture)) for picture in rgba]
    times = times[:count] if len(times) >= count else np.arange(count) / 25
    return np.array(pictures), times


def _on_white(rgba: np.ndarray) -> np.ndarray:
    weight = rgba[..., 3:] / 255.0
    return np.rint(rgba[..., :3] * weight + 255 * (1 - weight)).astype(np.uint8)


def _compare_sound(outcome: Outcome, audio: np.ndarray) -> None:
    command = ["ffmpeg", "-nostdin", "-v", "quiet", "-i", outcome.path, "-map", "0:a:0", "-t", str(SECONDS)]
    command += ["-ac", "1", "-ar", str(RATE), "-f", "f32le", "-"]
    other = np.frombuffer(subprocess.run(command, capture_output=True, timeout=120).stdout, np.float32)
    if not len(other):
        return
    if abs(len(other) - len(audio)) > SOUND_SECONDS * RATE:
        outcome.notes.append(f"{len(audio) / RATE:.2f} s of sound, FFmpeg's {len(other) / RATE:.2f} s")
    loudness = float(np.sqrt(np.mean(other.astype(np.float64) ** 2)))
    if loudness < QUIET:
        return
    outcome.sound = aligned_error(audio, other)
    if outcome.sound > SOUND_ERROR:
        outcome.notes.append(f"sound {outcome.sound:.2f}")


def aligned_error(one: np.ndarray, other: np.ndarray) -> float:
    """The RMS of the difference over that of `other`, at the lag within 0.2 s where they fit best."""
    length = 1 << int(np.ceil(np.log2(len(one) + len(other))))
    correlation = np.fft.irfft(np.fft.rfft(other, length) * np.conj(np.fft.rfft(one, length)), length)
    reach = min(LAG, length // 2 - 1)
    lags = np.r_[0 : reach + 1, -reach:0]
    lag = int(lags[np.argmax(correlation[lags])])  # `other` is later by so many samples
    one, other = one[max(0, -lag) :], other[max(0, lag) :]
    length = min(len(one), len(other))
    difference = one[:length].astype(np.float64) - other[:length]
    energy = np.mean(other[:length].astype(np.float64) ** 2)
    return float(np.sqrt(np.mean(difference**2) / energy)) if energy > 0 else 0.0


def work(connection: Connection, ffmpeg: bool) -> None:
    """Worker process: answers each path with its outcome."""
    import torch

    torch.set_num_threads(1)
    while True:
        path = connection.recv()
        try:
            outcome = compare_file(path, ffmpeg)
        except Exception as error:  # of the comparison; those of reading are told by `compare_file`
            outcome = Outcome(path, "comparison failed", repr(error), notes=["comparison failed"])
        connection.send(outcome)


class Worker:
    """A process that reads one file after another, and is replaced if one takes too long."""

    def __init__(self, ffmpeg: bool, timeout: float):
        self.ffmpeg, self.timeout = ffmpeg, timeout
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=work, args=(other, self.ffmpeg), daemon=True)
        self.process.start()
        other.close()

    def outcome(self, path: str) -> Outcome:
        """Reads one file."""
        try:
            self.connection.send(path)
            if self.connection.poll(self.timeout):
                return self.connection.recv()
            read, message = "no end", f"longer than {self.timeout:g} s"
        except (EOFError, OSError):
            read, message = "crash", "the process ended"
        self.close()
        self._start()
        return Outcome(path, read, message, notes=[read])

    def close(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def files_under(folder: Path) -> list[str]:
    """Every regular file, in a random order; links are not followed."""
    paths = [str(path) for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    random.Random(0).shuffle(paths)  # so that the time that is left can be told
    return paths


def read_all(paths: list[str], workers: int, ffmpeg: bool, timeout: float) -> Iterator[Outcome]:
    """The outcomes of all files, in the order in which they are done."""
    queue, done = list(reversed(paths)), []
    ready = threading.Condition()

    def run() -> None:
        worker = Worker(ffmpeg, timeout)
        while True:
            with ready:
                if not queue:
                    break
                path = queue.pop()
            outcome = worker.outcome(path)
            with ready:
                done.append(outcome)
                ready.notify()
        worker.close()

    for _ in range(workers):
        threading.Thread(target=run, daemon=True).start()
    for _ in paths:
        with ready:
            while not done:
                ready.wait()
            outcome = done.pop(0)
        yield outcome


def table(outcomes: list[Outcome], folder: Path) -> str:
    """Markdown: how many files gave what, then each that differs."""
    counts = Counter(outcome.read for outcome in outcomes)
    compared = sum(outcome.picture is not None or outcome.sound is not None for outcome in outcomes)
    lines = [f"{len(outcomes)} files, {compared} compared with FFmpeg", "", "| outcome | files |", "|---|---|"]
    lines += [f"| {read} | {count} |" for read, count in counts.most_common()]
    lines += ["", "| file | read as | what differs | message |", "|---|---|---|---|"]
    for outcome in sorted(outcomes, key=lambda outcome: outcome.path):
        if outcome.notes:
            name = str(Path(outcome.path).relative_to(folder))
            message = outcome.message.replace(outcome.path, "FILE").replace("|", "\\|").replace("\n", " ")[:140]
            lines.append(f"| {name} | {outcome.read} | {'; '.join(outcome.notes)} | {message} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds for a file, FFmpeg included")
    parser.add_argument("--media-names-only", action="store_true", help="leave out files whose suffix is no medium's")
    parser.add_argument("--json", type=Path, help="write all outcomes there, too")
    arguments = parser.parse_args()
    ffmpeg = shutil.which("ffmpeg") is not None and shutil.which("ffprobe") is not None
    if not ffmpeg:
        print("FFmpeg is not installed: the files are read, and nothing is compared.", file=sys.stderr)
    paths = files_under(arguments.folder)
    paths = [path for path in paths if is_media_name(path)] if arguments.media_names_only else paths
    outcomes = []
    for outcome in read_all(paths, arguments.workers, ffmpeg, arguments.timeout):
        outcomes.append(outcome)
        if len(outcomes) % 25 == 0 or len(outcomes) == len(paths):
            differing = sum(bool(outcome.notes) for outcome in outcomes)
            print(f"\r{len(outcomes)} of {len(paths)} files, {differing} differ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(table(outcomes, arguments.folder))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))


if __name__ == "__main__":
    main()
