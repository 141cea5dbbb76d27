# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`vllm serve` with favor-vllm beside `favor serve`: one checkpoint, over HTTP on loopback, as ratios within one run.

    python -m benchmarks.serving_vllm                # in the environment of `make test-vllm`; about ten minutes
    python -m benchmarks.serving_vllm --model MODEL_DIR --rounds 5

Without `--model` it is a model with random weights: Llama of 12 layers, 512 wide, and the towers of FAVOR's tests.

- `second question`: seconds of another question about a clip of 60 s that the server knows.
- `N arriving`: N questions about known clips, which come over N / 6 seconds: seconds from the first to the last
  answer, and the mean from a question to its answer.

Both servers are up all the time and are measured in turn, round after round; medians, ratios with their range.
"""

import argparse
import os
import platform
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.media import make_clip
from benchmarks.serving import QUESTIONS, ask, serving

A_SECOND = 6  # questions that arrive
START_SECONDS = 600
LANGUAGE_MODEL = {
    "model_type": "llama",
    "hidden_size": 512,
    "intermediate_size": 1408,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "num_key_value_heads": 8,
    "max_position_embeddings": 2048,
}


@dataclass(frozen=True)
class Seconds:
    """One round on one server.

    Attributes:
        whole: from the first question to the last answer.
        each: the mean from a question to its answer.
    """

    whole: float
    each: float


def make_model(folder: Path) -> Path:
    """The model with random weights."""
    from favor.hub_upload import export_model
    from favor.trainers.from_scratch.scratch_model import build_from_scratch
    from favor.trainers.recipe_sections import ScratchModel
    from tests.conftest import tiny_settings

    settings = tiny_settings()
    settings["config"]["text_config"] = LANGUAGE_MODEL
    model, processor = build_from_scratch(ScratchModel(**settings), list(QUESTIONS), seed=0)
    return export_model(model.eval(), folder / "random", processor=processor)


@contextmanager
def vllm_serving(folder: Path, model: Path) -> Iterator[str]:
    """The address of `vllm serve`, with the bounds of `favor serve`."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    command = [str(Path(sys.executable).with_name("vllm")), "serve", str(model), "--port", str(port)]
    command += ["--host", "127.0.0.1", "--allowed-local-media-path", str(folder), "--dtype", "float32"]
    command += ["--enforce-eager", "--max-num-seqs", "32", "--block-size", "32"]
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1", **os.environ}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, start_new_session=True
    ) as server:
        try:
            _wait(f"http://127.0.0.1:{port}/health", server)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            try:
                server.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)


def _wait(address: str, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(address, timeout=10)
            return
        except OSError:
            time.sleep(0.5)
    raise RuntimeError("vllm serve did not start; run it by hand to see why.")


def second_question(address: str, clip: Path, number: int) -> Seconds:
    """Another question about a clip that the server knows."""
    _, seconds = ask(address, clip.name, f"{QUESTIONS[number % len(QUESTIONS)]} ({number})")
    return Seconds(seconds, seconds)


def arriving(address: str, clips: list[Path], count: int, seed: int) -> Seconds:
    """So many questions, at times that follow from the seed."""
    chance = random.Random(seed)
    times = sorted(chance.uniform(0, count / A_SECOND) for _ in range(count))
    waits: list[float] = []

    def one(place: int) -> None:
        question = f"{QUESTIONS[place % len(QUESTIONS)]} ({seed}, {place})"
        waits.append(ask(address, clips[place % len(clips)].name, question)[1])

    started, threads = time.monotonic(), []
    for place, due in enumerate(times):
        time.sleep(max(0.0, started + due - time.monotonic()))
        threads.append(threading.Thread(target=one, args=(place,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    if len(waits) < count:
        raise RuntimeError(f"{count - len(waits)} of {count} questions were not answered by {address}.")
    return Seconds(time.monotonic() - started, statistics.mean(waits))


def compare(name: str, measure: Callable[[str, int], Seconds], addresses: tuple[str, str], rounds: int) -> None:
    """A line of a Markdown table for the whole time, and one for each question's where that is another."""
    found = [tuple(measure(address, number) for address in addresses) for number in range(rounds)]
    for what in ("whole", "each"):
        pairs = [(getattr(favor, what), getattr(vllm, what)) for favor, vllm in found]
        if what == "each" and all(favor.whole == favor.each for favor, _ in found):
            continue
        ratios = [favor / vllm for favor, vllm in pairs]
        favor, vllm = (statistics.median(column) for column in zip(*pairs, strict=True))
        title = f"{name}: {'all' if what == 'whole' else 'mean of each'}"
        spread = f"{min(ratios):.1f}-{max(ratios):.1f}"
        print(f"| {title} | {favor:.2f} | {vllm:.2f} | {statistics.median(ratios):.1f} | {spread} |", flush=True)


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="model folder (default: one with random weights)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--counts", type=int, nargs="+", default=[32, 128], help="questions that arrive")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="favor-vllm-") as name:
        folder = Path(name)
        model = arguments.model or make_model(folder)
        minute = folder / "minute.mp4"
        make_clip(minute, 360, 60)
        command = [sys.executable, "-m", "favor", "synth", str(folder / "synth"), "--count", "12", "--seed", "31"]
        subprocess.run(command, check=True, capture_output=True)
        clips = sorted((folder / "synth" / "media").glob("*.mp4"))[:8]
        clips = [clip.rename(folder / clip.name) for clip in clips]
        print(f"{platform.machine()}, {os.cpu_count()} cores, {arguments.rounds} rounds")
        places = ["--max-pending", "1024", "--max-per-client", "1024"]
        with serving(folder, str(model), *places) as favor, vllm_serving(folder, model) as vllm:
            addresses = (favor, vllm)
            for address in addresses:
                for clip in (*clips, minute):
                    ask(address, clip.name, QUESTIONS[0])
            print("| | favor serve, s | vllm serve, s | ratio | range |\n|---|---|---|---|---|")
            compare(
                "second question", lambda at, number: second_question(at, minute, number), addresses, arguments.rounds
            )
            for count in arguments.counts:
                compare(
                    f"{count} arriving",
                    lambda at, number, count=count: arriving(at, clips, count, number),
                    addresses,
                    arguments.rounds,
                )


if __name__ == "__main__":
    main()
