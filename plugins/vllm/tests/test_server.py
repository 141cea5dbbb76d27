# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`vllm serve` with OpenAI's client: the same answers, and what `favor serve` refuses is refused in its words."""

import base64
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from chats import CASES, QUESTION, Case, data_url, text, user
from checkpoints import NEW_TOKENS, Reference
from conftest import vllm_serve

from favor.model_loading import load_pipeline
from favor.serving import ChatEngine
from tests.serving.conftest import serving

TEXT = [user([text("Red?")])]
LIMITS = {"max_duration": 100.0}


@dataclass(frozen=True)
class Server:
    """An address, and what transformers says."""

    address: str
    media: Path
    expected: dict[str, list[int]]

    @property
    def client(self) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.address}/v1", api_key="none", max_retries=0, timeout=120)

    def ask(self, case: Case, folder: Path | None = None, **more: Any):
        extra = {"return_token_ids": True, "chat_template_kwargs": {"load_audio_from_video": case.own_sound}}
        return self.client.chat.completions.create(
            model="random",
            messages=case.messages(folder),
            temperature=0,
            max_tokens=NEW_TOKENS,
            extra_body=extra,
            **more,
        )


@pytest.fixture(scope="module")
def checkpoint(checkpoint_dir) -> Path:
    return checkpoint_dir("llama")


@pytest.fixture(scope="module")
def server(checkpoint, media_dir, tmp_path_factory) -> Iterator[Server]:
    reference = Reference(checkpoint)
    expected = {name: reference.answer(case.chat(media_dir), case.own_sound) for name, case in CASES.items()}
    options = ["--mm-processor-kwargs", json.dumps({"media_limits": LIMITS})]
    options += ["--middleware", "favor_vllm.http_guard.RequestGuard"]
    with vllm_serve(checkpoint, media_dir, *options, log=tmp_path_factory.mktemp("log") / "serve.txt") as address:
        yield Server(address, media_dir, expected)


@pytest.fixture(scope="module")
def favor_serve(checkpoint, media_dir) -> Iterator[str]:
    """`favor serve` with the same model, for comparison."""
    with (
        ChatEngine(load_pipeline(str(checkpoint)), media_limits=LIMITS) as engine,
        serving(engine, media_folder=media_dir) as address,
    ):
        yield address


def post(address: str, body: Any) -> tuple[int, Any]:
    """Status and JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}/v1/chat/completions", content, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def message(address: str, kind: str = "video_url", question: str = QUESTION) -> list[dict]:
    return [user([{"type": kind, kind: {"url": address}}, text(question)])]


@pytest.mark.parametrize("name", CASES)
def test_answers_streamed_and_not(server, name):
    whole = server.ask(CASES[name])
    assert whole.choices[0].token_ids == server.expected[name]
    chunks = list(server.ask(CASES[name], stream=True, stream_options={"include_usage": True}))
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage


def test_32_at_once(server):
    names = [*CASES, *CASES][:32]
    with ThreadPoolExecutor(32) as threads:
        answers = list(threads.map(lambda name: server.ask(CASES[name], server.media), names))
    assert [answer.choices[0].token_ids for answer in answers] == [server.expected[name] for name in names]


def test_the_ways_to_name_a_file(server):
    expected = server.expected["video with its sound"]
    file = server.media / "clip.mp4"
    for address in ("clip.mp4", str(file), f"file://{file}", data_url(file.read_bytes())):
        body = {"messages": message(address), "temperature": 0, "max_tokens": NEW_TOKENS, "return_token_ids": True}
        status, answer = post(server.address, body)
        assert (status, answer["choices"][0]["token_ids"]) == (200, expected)


def test_sound_as_openai_sends_it(server):
    data = base64.b64encode((server.media / "sound.wav").read_bytes()).decode()
    sound = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    body = {"messages": [user([sound, text(QUESTION)])], "temperature": 0, "max_tokens": NEW_TOKENS}
    status, answer = post(server.address, {**body, "return_token_ids": True})
    assert (status, answer["choices"][0]["token_ids"]) == (200, server.expected["sound"])


def test_an_answer_that_comes_back_is_a_turn(server):
    first = server.ask(CASES["video with its sound"])
    chat = [*CASES["video with its sound"].messages(), first.choices[0].message, user([text("And red?")])]
    assert (
        server.client.chat.completions.create(model="random", messages=chat, max_tokens=3).choices[0].message.content
    )


HOSTILE_MESSAGES = {
    "no messages": [],
    "a robot": [{"role": "robot", "content": "x"}],
    "a file": [user([{"type": "file", "file": {}}])],
    "no text": [user([{"type": "text"}])],
    "an empty question": [user([text(" ")])],
    "the assistant last": [*TEXT, {"role": "assistant", "content": "red"}],
    "media of the system": [{"role": "system", "content": message("clip.mp4")[0]["content"]}, *TEXT],
    "nonsense": message(data_url(b"nonsense")),
    "no base64": message("data:video/mp4;base64,*"),
    "no data": message("data:video/mp4,abc"),
    "a sound as a video": message("sound.wav"),
    "a video as an image": message("clip.mp4", "image_url"),
    "beyond the folder": message("../x"),
    "a file of the system": message("/etc/passwd"),
    "none": message("none.mp4"),
    "a null byte": message("a\0b"),
    "an address that is none": message("http://[secret-name"),
    "http": message("http://127.0.0.1:9/a.mp4"),
    "ftp": message("ftp://127.0.0.1:9/a.mp4"),
    "a host's file": message("file://127.0.0.1:9/a.mp4"),
    "a playlist": message(data_url(b"#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n")),
    "a uuid of one's own": [user([{"type": "video_url", "video_url": {"url": "clip.mp4"}, "uuid": "a"}, text("?")])],
    "embeddings": [user([{"type": "image_embeds", "image_embeds": "AAAA"}, text("?")])],
    "many messages": TEXT * 1025,
    "many blocks": [user([text("a")] * 1025)],
    "a long text": [user([text("a" * 300_000)])],
    "too many media": message("clip.mp4") + [user([{"type": "image_url", "image_url": {"url": "photo.png"}}] * 600)],
}

# By what looks at the body before our renderer does, or counts tokens.
IN_OTHER_WORDS = ("no messages", "a robot", "no text", "a file", "embeddings", "many messages", "too many media")


@pytest.mark.parametrize("name", HOSTILE_MESSAGES)
def test_hostile_messages_are_answered_as_favor_serve_answers(server, favor_serve, name):
    body = {"messages": HOSTILE_MESSAGES[name], "max_tokens": 2}
    expected_status, expected = post(favor_serve, body)
    status, answer = post(server.address, body)
    assert status == expected_status == 400
    assert len(json.dumps(answer)) < 1500
    assert str(server.media) not in json.dumps(answer)
    if name not in IN_OTHER_WORDS:
        assert first_words(expected) in answer["error"]["message"]


def first_words(answer: dict[str, Any]) -> str:
    """Of an error: what does not depend on where in the body it is."""
    return answer["error"]["message"].split(": ", 1)[-1][:40]


def test_no_address_makes_the_server_open_a_connection(server):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        addresses = [f"{scheme}://{host}/a.mp4" for scheme in ("http", "https", "ftp", "rtsp", "tcp", "HTTP")]
        addresses += [f"file://{host}/a.mp4", f"//{host}/a.mp4", f"hls+http://{host}/a.m3u8"]
        for address in addresses:
            for kind in ("video_url", "image_url", "audio_url"):
                assert post(server.address, {"messages": message(address, kind)})[0] == 400
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize(
    "change",
    [
        {"chat_template": "{{ 1 }}"},
        {"chat_template_kwargs": {"chat_template": "{{ 1 }}"}},
        {"mm_processor_kwargs": {"media_limits": {"max_duration": 1e9}}},
        {"media_io_kwargs": {"video": {"num_frames": 3}}},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        {"continue_final_message": True, "add_generation_prompt": False},
        {"reasoning_effort": "high"},
        {"documents": [{"title": "a", "text": "b"}]},
    ],
)
def test_what_would_be_passed_over_is_refused(server, change):
    assert post(server.address, {"messages": TEXT, "max_tokens": 2, **change})[0] == 400


def test_a_field_that_vllm_would_ignore(server):
    options = {"temperature": 0, "max_tokens": NEW_TOKENS, "return_token_ids": True}
    muted = {"messages": CASES["muted video"].messages(), "load_audio_from_video": False, **options}
    status, answer = post(server.address, muted)
    assert (status, answer["choices"][0]["token_ids"]) == (200, server.expected["muted video"])
    for change in ({"temprature": 1}, {"load_audio_from_video": "no"}, {"fps": 3}):
        status, answer = post(server.address, {"messages": TEXT, **change})
        assert status == 400 and next(iter(change)) in answer["error"]["message"]
    assert post(server.address, b'{"messages": [], "seed": 1, "seed": 2}')[0] == 400
    assert post(server.address, b"[1]")[0] == post(server.address, b"{nonsense")[0] == 400


def test_bounds_on_bodies(server):
    values = b'{"messages":[' + b"1," * 100_000 + b"1]}"
    status, answer = post(server.address, values)
    assert status == 400 and "values" in answer["error"]["message"]
    host, port = server.address.removeprefix("http://").split(":")
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    for size in ("Content-Length: 99999999999", "Transfer-Encoding: chunked"):
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            connection.sendall(f"{head}{size}\r\n\r\n".encode())
            if "chunked" in size:
                chunk = b"%x\r\n%s\r\n" % (1 << 20, b" " * (1 << 20))
                for _ in range(65):
                    connection.sendall(chunk)
            assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_bounds_on_media(server, media_dir):
    assert post(server.address, {"messages": message("minute.mp4"), "max_tokens": 1})[0] == 200
    from favor.worlds.video_file import write_sound
    from tests.conftest import tone

    write_sound(media_dir / "too_long.wav", tone(101.0), 16000)
    status, answer = post(server.address, {"messages": message("too_long.wav", "audio_url")})
    assert status == 400 and "max_duration=100" in answer["error"]["message"]


def test_a_prompt_that_is_too_long_is_the_clients_mistake(server):
    chat = [user([{"type": "video_url", "video_url": {"url": "minute.mp4"}}] * 20 + [text("What?")])]
    status, answer = post(server.address, {"messages": chat})
    assert status == 400 and "2048" in answer["error"]["message"]


def test_a_prompt_that_is_cut_keeps_its_media_or_is_refused(server):
    body = {"messages": message("clip.mp4"), "max_tokens": 2, "truncate_prompt_tokens": 5}
    status, answer = post(server.address, body)
    assert status == 400 and "truncate_prompt_tokens" in answer["error"]["message"]


@pytest.mark.parametrize("path", ["completions", "chat/completions"])
def test_a_placeholder_without_media_never_reaches_the_model(server, path):
    """Text of a completion is taken as it is, control tokens too: placeholders are refused, and in a chat are text."""
    prompt = {"prompt": "<video> Red?"} if path == "completions" else {"messages": [user([text("<video> Red?")])]}
    body = json.dumps({"model": "random", "max_tokens": 2, **prompt}).encode()
    request = urllib.request.Request(f"{server.address}/v1/{path}", body, {"content-type": "application/json"})
    if path == "chat/completions":
        assert urllib.request.urlopen(request, timeout=60).status == 200
        return
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request, timeout=60)


@pytest.mark.parametrize("path", ["/inference/v1/generate", "/v1/responses", "/v1/messages", "/pause", "/elsewhere"])
def test_paths_that_lead_around_the_renderer_are_not_served(server, path):
    tensors = {"token_ids": [1, 2], "sampling_params": {"max_tokens": 1}, "features": {"mm_hashes": {}}}
    request = urllib.request.Request(
        server.address + path, json.dumps(tensors).encode(), {"content-type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(request, timeout=60)


def test_nothing_of_it_ended_the_server(server):
    assert server.ask(CASES["text"]).choices[0].token_ids == server.expected["text"]
