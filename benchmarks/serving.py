# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What the clip cache and batching bring to `favor serve`, each as a ratio within one run, over HTTP on loopback.

    python -m benchmarks.serving                          # favor-tiny, about two minutes
    python -m benchmarks.serving --model MODEL_DIR --seconds 60 --height 1080

- `second question`: time of the first question about a clip of 60 s, which the server has never seen, over that of
  another question about it.
- `batching`: time of 32 questions one after the other, over that of the same 32 at once; all clips are known.
- `batching, new clips`: the same when every question is about a clip that the server has never seen.

Both sides of a ratio are measured in turn, round after round; medians, with the range over the rounds.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks.media import make_clip

QUESTIONS = (
    "Which sound is heard first?",
    "What colour is the shape at the start?",
    "What colour comes last?",
    "Which shape is shown at the end?",
)
AT_ONCE = 32
MEBIBYTE = 1 << 20


@contextmanager
def serving(folder: Path, model: str | None, *options: str) -> Iterator[str]:
    """The address of a server in a process of its own, started with these options, too."""
    command = [sys.executable, "-m", "favor", "serve", "--port", "0", "--media-folder", str(folder), *options]
    command += [] if model is None else ["--model", model]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().split()[-1]
        finally:
            server.terminate()


def ask(address: str, file: str, question: str) -> tuple[str, float]:
    """The answer, and the seconds it took."""
    parts = [{"type": "video_url", "video_url": {"url": file}}, {"type": "text", "text": question}]
    body = {"messages": [{"role": "user", "content": parts}], "temperature": 0, "max_tokens": 32}
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{address}/chat/completions", json.dumps(body).encode(), headers)
    started = time.monotonic()
    with urllib.request.urlopen(request) as response:
        answer = json.load(response)["choices"][0]["message"]["content"]
    return answer, time.monotonic() - started


def new_copies(clips: list[Path], round_number: int) -> list[str]:
    """The clips under names that no server has seen."""
    copies = []
    for number, clip in enumerate(clips):
        copies.append(f"{round_number}-{number}{clip.suffix}")
        shutil.copyfile(clip, clip.parent / copies[-1])
    return copies


def second_question(address: str, clip: Path, rounds: int) -> list[tuple[float, float]]:
    """(seconds of the first question, seconds of the second) a round."""
    found = []
    for number in range(rounds):
        [copy] = new_copies([clip], number)
        found.append(tuple(ask(address, copy, question)[1] for question in QUESTIONS[:2]))
    return found


def batching(address: str, clips: list[Path], rounds: int, known: bool) -> list[tuple[float, float]]:
    """(seconds one after the other, seconds at once) a round.

    Raises `RuntimeError` if an answer at once is another than alone.
    """
    found = []
    with ThreadPoolExecutor(AT_ONCE) as clients:
        for number in range(rounds):
            seconds, answers = [], []
            for at_once in (False, True):
                files = [clip.name for clip in clips] if known else new_copies(clips, 1000 + 2 * number + at_once)
                questions = [
                    (address, files[place % len(files)], QUESTIONS[place // len(files) % len(QUESTIONS)])
                    for place in range(AT_ONCE)
                ]
                started = time.monotonic()
                if at_once:
                    replies = list(clients.map(lambda question: ask(*question), questions))
                else:
                    replies = [ask(*question) for question in questions]
                seconds.append(time.monotonic() - started)
                answers.append([answer for answer, _ in replies])
            if answers[0] != answers[1]:
                raise RuntimeError(f"Answers differ: {answers}")
            found.append(tuple(seconds))
    return found


def report(name: str, rounds: list[tuple[float, float]]) -> None:
    """One line of a Markdown table."""
    ratios = [before / after for before, after in rounds]
    before, after = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(
        f"| {name} | {before:.3f} | {after:.3f} | {statistics.median(ratios):.1f} | "
        f"{min(ratios):.1f}-{max(ratios):.1f} |",
        flush=True,
    )


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="model folder (default: bundled favor-tiny)")
    parser.add_argument("--seconds", type=int, default=60, help="length of the clip that is asked about twice")
    parser.add_argument("--height", type=int, default=360, choices=(360, 720, 1080))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="favor-serving-") as name:
        folder = Path(name)
        long_clip = folder / "long.mp4"
        make_clip(long_clip, arguments.height, arguments.seconds)
        command = [sys.executable, "-m", "favor", "synth", str(folder / "synth"), "--count", "12", "--seed", "31"]
        subprocess.run(command, check=True, capture_output=True)
        clips = [folder / clip.name for clip in sorted((folder / "synth" / "media").glob("*.mp4"))[:8]]
        for clip in clips:
            (folder / "synth" / "media" / clip.name).rename(clip)
        print(f"{platform.machine()}, {os.cpu_count()} cores, {arguments.rounds} rounds")
        print("| | before, s | after, s | ratio | range |\n|---|---|---|---|---|")
        with serving(folder, arguments.model) as address:
            ask(address, clips[0].name, QUESTIONS[0])  # the first ever is slower
            report("second question", second_question(address, long_clip, arguments.rounds))
            batching(address, clips, 1, known=True)
            report("batching", batching(address, clips, arguments.rounds, known=True))
            report("batching, new clips", batching(address, clips, arguments.rounds, known=False))


if __name__ == "__main__":
    main()
