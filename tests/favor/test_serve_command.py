# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor serve` as a process, asked by the official `openai` client: favor-tiny's right answers, and a clean end."""

import base64
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest
from transformers import pipeline

from favor.cli import main
from favor.commands.demo import Sample, render_samples
from favor.commands.serve import MEDIA_LIMITS, media_limits, model_name
from favor.model_loading import bundled_model_path
from favor.serving.priorities import DECODING, HTTP
from favor.worlds.mini.moments import MomentsScene

REPOSITORY = Path(__file__).parents[2]
KEY = "a-secret-key"
SEED = 4242  # no training run uses it
FIRST_SOUND = "Which sound is heard first?"


@pytest.fixture(scope="module")
def rendered(tmp_path_factory) -> tuple[Path, list[Sample]]:
    """A folder of eight clips, and four questions about each."""
    folder = tmp_path_factory.mktemp("rendered")
    return folder, render_samples(folder, 8, SEED)


@pytest.fixture(scope="module")
def server(rendered):
    """The process of a server with the bundled model, and its address."""
    command = [sys.executable, "-m", "favor", "serve", "--port", "0", "--media-folder", str(rendered[0])]
    environment = {**os.environ, "FAVOR_API_KEY": KEY}
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # shells ignore it in background jobs
    ) as server:
        address = server.stdout.readline().split()[-1]
        yield server, address
        server.send_signal(signal.SIGINT)
        printed, errors = server.communicate(timeout=30)
        assert printed == ""
        assert errors.splitlines() == ["Loading the model ..."]  # and no key, no file, no question
        assert server.returncode == 130


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=server[1], api_key=KEY, max_retries=0, timeout=120)


def ask(client: openai.OpenAI, url: str, question: str, **more):
    parts = [{"type": "video_url", "video_url": {"url": url}}, {"type": "text", "text": question}]
    messages = [{"role": "user", "content": parts}]
    return client.chat.completions.create(model="favor-tiny", messages=messages, temperature=0, **more)


def test_the_model_comes_before_http_and_http_before_decoders(server):
    own = os.getpriority(os.PRIO_PROCESS, 0)
    http = server[0].pid
    (model,) = children(http)
    (decoders,) = children(model)
    until = time.monotonic() + 60
    while os.getpriority(os.PRIO_PROCESS, decoders) == own and time.monotonic() < until:  # it still loads
        time.sleep(0.05)
    for process, steps in ((model, 0), (http, HTTP), (decoders, DECODING)):
        assert os.getpriority(os.PRIO_PROCESS, process) == min(19, own + steps)


def children(process: int) -> list[int]:
    tasks = Path(f"/proc/{process}/task").glob("*/children")  # by the thread that made them
    return [int(child) for children in tasks for child in children.read_text().split()]


def test_32_questions_at_once_are_answered_rightly(client, rendered):
    folder, samples = rendered
    assert len(samples) == 32
    with ThreadPoolExecutor(32) as clients:
        completions = list(clients.map(lambda sample: ask(client, sample.clip, sample.question), samples))
    answers = [completion.choices[0].message.content for completion in completions]
    right = [answer == sample.reference for answer, sample in zip(answers, samples, strict=True)]
    assert sum(right) >= 29
    assert {completion.choices[0].finish_reason for completion in completions} == {"stop"}
    assert all(completion.media["audio_seconds"] > 0 for completion in completions)
    alone = [ask(client, sample.clip, sample.question).choices[0].message.content for sample in samples[:8]]
    assert alone == answers[:8]


def test_streamed_and_by_data_url(client, rendered):
    folder, samples = rendered
    pipe = pipeline("video-text-to-text", model=str(bundled_model_path()), trust_remote_code=True)
    right = []
    for sample in samples[::8]:
        url = "data:video/mp4;base64," + base64.b64encode((folder / sample.clip).read_bytes()).decode()
        stream = ask(client, url, sample.question, stream=True)
        answer = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
        assert answer == ask(client, url, sample.question).choices[0].message.content
        assert answer == pipe(video=str(folder / sample.clip), text=sample.question)[0]["generated_text"]
        right.append(answer == sample.reference)
    assert sum(right) >= 3  # of four


def test_sounds(client, tmp_path):
    (tmp_path / "media").mkdir()
    scenes = (MomentsScene.sample("test", SEED, index) for index in range(200))
    right = []
    for scene in [scene for scene in scenes if scene.media == ("audio",) and len(scene.clip.events) > 1][:4]:
        data = base64.b64encode(scene.render(tmp_path)["audio"].read_bytes()).decode()
        parts = [
            {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
            {"type": "text", "text": FIRST_SOUND},
        ]
        completion = client.chat.completions.create(
            model="favor-tiny", messages=[{"role": "user", "content": parts}], temperature=0
        )
        right.append(completion.choices[0].message.content == scene.clip.events[0].kind)
    assert right == [True] * 4


def test_a_conversation(client, rendered):
    folder, samples = rendered
    first = [{"type": "video_url", "video_url": {"url": samples[0].clip}}, {"type": "text", "text": FIRST_SOUND}]
    messages: list = [{"role": "user", "content": first}]
    for question in ("What colour is the shape at the start?", FIRST_SOUND):
        completion = client.chat.completions.create(model="favor-tiny", messages=messages, max_tokens=12)
        messages += [completion.choices[0].message, {"role": "user", "content": question}]
    assert client.chat.completions.create(model="favor-tiny", messages=messages, max_tokens=12).choices


def test_wrong_key(client):
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").models.list()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--host", "0.0.0.0"], "set FAVOR_API_KEY"),
        (["--media-folder", "missing"], "--media-folder missing is no folder"),
        (["--max-pending", "0"], "--max-pending must be positive; got 0"),
        (["--timeout", "nan"], "--timeout must be positive"),
        (["--cache-mb", "-1"], "--cache-mb must be 0 or more"),
        (["--media-limit", "max_frames"], "NAME=VALUE"),
        (["--media-limit", "max_frames=many"], "with a number"),
        (["--media-limit", "max_fun=1"], "max_fun"),
        (["--port", "99999"], "Cannot listen"),
        (["--model", str(REPOSITORY / "docs"), "--port", "0"], "no config.json"),
    ],
)
def test_bad_usage_is_one_line(arguments, message, capsys, monkeypatch):
    monkeypatch.delenv("FAVOR_API_KEY", raising=False)
    assert main(["serve", *arguments]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("favor: error: ") and message in last


def test_unknown_options_end_with_status_2(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--trust-everyone"])
    assert ended.value.code == 2
    assert "--trust-everyone" in capsys.readouterr().err


def test_media_limits_and_names(tmp_path):
    assert media_limits([]) == MEDIA_LIMITS
    assert media_limits(["max_tracks=4", "max_duration=0.5"]) == {**MEDIA_LIMITS, "max_tracks": 4, "max_duration": 0.5}
    assert [model_name(name) for name in (None, "org/favor-13b", str(tmp_path))] == [
        *("favor-tiny", "org/favor-13b", tmp_path.name)
    ]
