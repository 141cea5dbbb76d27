# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What the plug-in's tests share: media files, checkpoints, and engines in this process and behind HTTP."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")  # GiB
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
# Of `LLM`, so that tests look into the model; `vllm serve` has its processes.
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"

REPOSITORY = Path(__file__).parents[3]
sys.path[:0] = [str(REPOSITORY), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from checkpoints import make_checkpoint  # noqa: E402

from tests.conftest import FRAME_RATE, SAMPLING_RATE, frames, tone, write_media  # noqa: E402

START_SECONDS = 300
# Prompts and items longer than a step's budget, so that prefill comes in pieces.
ENGINE = {"dtype": "float32", "enforce_eager": True, "max_num_batched_tokens": 32, "max_num_seqs": 32}


@pytest.fixture(scope="session")
def media_dir(tmp_path_factory) -> Path:
    """The files of FAVOR's own tests, and minute.mp4 (60 s)."""
    from favor.worlds.video_file import write_video

    folder = tmp_path_factory.mktemp("media")
    write_media(folder)
    second = frames(1.0)
    pictures = second[np.arange(60 * FRAME_RATE) // 3 % len(second)]
    write_video(folder / "minute.mp4", pictures, FRAME_RATE, tone(60.0, pitch=450), SAMPLING_RATE)
    return folder


@pytest.fixture(scope="session")
def checkpoint_dir(tmp_path_factory):
    """Makes a checkpoint by its name, once."""
    folder, made = tmp_path_factory.mktemp("checkpoints"), {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = make_checkpoint(name, folder)
        return made[name]

    return make


@contextmanager
def engine_of(model: Path, media: Path, **options) -> Iterator:
    """An `LLM` in this process, and nothing of it afterwards."""
    from vllm import LLM
    from vllm.distributed import cleanup_dist_env_and_memory

    llm = LLM(model=str(model), allowed_local_media_path=str(media), **{**ENGINE, **options})
    try:
        yield llm
    finally:
        llm.llm_engine.engine_core.shutdown()
        del llm
        cleanup_dist_env_and_memory()


@contextmanager
def vllm_serve(model: Path, media: Path, *options: str, log: Path) -> Iterator[str]:
    """The address of `vllm serve`, which ends with all its processes."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    command = [str(Path(sys.executable).with_name("vllm")), "serve", str(model), "--served-model-name", "random"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--allowed-local-media-path", str(media), *options]
    command += ["--dtype", "float32", "--enforce-eager", "--max-num-batched-tokens", "32", "--max-num-seqs", "32"]
    path = f"{REPOSITORY}:{REPOSITORY}/plugins/vllm"
    environment = {**os.environ, "PYTHONPATH": path, "VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
    with log.open("w") as written:
        process = subprocess.Popen(
            command, stdout=written, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_healthy(address, process, log)
        yield address
    finally:
        process.terminate()  # it ends its workers
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def wait_until_healthy(address: str, process: subprocess.Popen, log: Path) -> None:
    """Fails with the end of the log if the server ends, or is not there in time."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if urllib.request.urlopen(f"{address}/health", timeout=10).status == 200:
                return
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"vllm serve is not there:\n{log.read_text()[-4000:]}")
        time.sleep(0.5)
