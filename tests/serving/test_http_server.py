# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""What clients may send and how much of it: everything else is refused, in OpenAI's words, and frees what it held."""

import base64
import json
import socket
import urllib.error
import urllib.request

import openai
import pytest
from openai.types.chat import ChatCompletion

from favor.serving import ChatEngine

from .conftest import LONG_ANSWER, QUESTION, serving, wait_until

KEY = "a-secret-key"
TEXT = [{"role": "user", "content": "Red?"}]


def client(address: str, key: str = KEY) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0, timeout=60)


def message(address: str, kind: str = "video_url", question: str = QUESTION) -> list[dict]:
    return [{"role": "user", "content": [{"type": kind, kind: {"url": address}}, {"type": "text", "text": question}]}]


def data_url(content: bytes) -> str:
    return f"data:video/mp4;base64,{base64.b64encode(content).decode()}"


def post(address: str, body, headers=None) -> tuple[int, dict, dict]:
    """Status, JSON and headers."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}", **(headers or {})}
    request = urllib.request.Request(f"{address}/v1/chat/completions", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response), dict(response.headers)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), dict(error.headers)


def metrics(address: str) -> dict[str, float]:
    request = urllib.request.Request(f"{address}/metrics", headers={"authorization": f"Bearer {KEY}"})
    lines = urllib.request.urlopen(request, timeout=60).read().decode().splitlines()
    return {name: float(value) for name, value in (line.split() for line in lines if not line.startswith("#"))}


@pytest.fixture(scope="module")
def server(pipe, media_dir):
    limits = {"max_duration": 5.0}
    with (
        ChatEngine(pipe, media_limits=limits) as engine,
        serving(engine, api_key=KEY, media_folder=media_dir, max_body_bytes=300_000, max_tokens=50) as address,
    ):
        yield address


@pytest.fixture(scope="module")
def talkative(talkative_pipe):
    with (
        ChatEngine(talkative_pipe) as engine,
        serving(engine, api_key=KEY, max_pending=2, max_tokens=LONG_ANSWER, timeout=60.0) as address,
    ):
        yield address


def test_answers_are_those_of_the_pipeline(server, pipe, media_dir):
    for name, kind, keyword in (("clip.mp4", "video_url", "video"), ("photo.png", "image_url", "image")):
        expected = pipe(**{keyword: str(media_dir / name)}, text=QUESTION)[0]
        for address in (name, f"file://{media_dir}/{name}", data_url((media_dir / name).read_bytes())):
            completion = client(server).chat.completions.create(model="random", messages=message(address, kind))
            assert completion.choices[0].message.content == expected["generated_text"]
            assert completion.media == expected["media"]
            assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


def test_sound_as_openai_sends_it_and_with_an_image(server, pipe, media_dir):
    sound = media_dir / "sound.wav"
    part = {
        "type": "input_audio",
        "input_audio": {"data": base64.b64encode(sound.read_bytes()).decode(), "format": "wav"},
    }
    photo = {"type": "image_url", "image_url": {"url": "photo.png", "detail": "high"}}
    text = {"type": "text", "text": QUESTION}
    for parts, media in (([part, text], {}), ([photo, part, text], {"image": str(media_dir / "photo.png")})):
        messages = [{"role": "user", "content": parts}]
        completion = client(server).chat.completions.create(model="random", messages=messages)
        expected = pipe(audio=str(sound), text=QUESTION, **media)[0]["generated_text"]
        assert completion.choices[0].message.content == expected


def test_streamed_pieces_are_the_answer(server):
    messages = message("clip.mp4")
    whole = client(server).chat.completions.create(model="random", messages=messages)
    options = {"include_usage": True}
    stream = client(server).chat.completions.create(
        model="random", messages=messages, stream=True, stream_options=options
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1] if chunk.choices[0].finish_reason] == [
        whole.choices[0].finish_reason
    ]
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    assert len({chunk.id for chunk in chunks}) == 1
    plain = list(client(server).chat.completions.create(model="random", messages=messages, stream=True))
    assert all(chunk.usage is None for chunk in plain)


def test_settings_reach_the_model(server):
    def drawn(**parameters) -> str:
        completion = client(server).chat.completions.create(model="random", messages=TEXT, **parameters)
        assert completion.usage.completion_tokens <= parameters["max_tokens"]
        return completion.choices[0].message.content

    chance = {"max_tokens": 8, "temperature": 2.0, "top_p": 0.9}
    texts = [drawn(seed=seed, **chance) for seed in (1, 2, 3, 1)]
    assert texts[0] == texts[3]
    assert len(set(texts)) > 1
    likeliest = drawn(temperature=0, max_tokens=8)
    assert likeliest == drawn(max_tokens=8)
    for temperature in (1e-300, 1e-9):
        assert drawn(temperature=temperature, max_tokens=8) == likeliest
    assert drawn(temperature=0, max_tokens=8, stop=likeliest[1]) == likeliest[: likeliest.index(likeliest[1])].rstrip()
    muted = client(server).chat.completions.create(
        model="random", messages=message("clip.mp4"), extra_body={"load_audio_from_video": False}
    )
    assert muted.media["audio_seconds"] == 0


def test_models_and_health(server):
    assert [model.id for model in client(server).models.list()] == ["random"]
    assert client(server).models.retrieve("random").owned_by == "favor"
    with pytest.raises(openai.NotFoundError):
        client(server).models.retrieve("gpt")
    assert json.load(urllib.request.urlopen(f"{server}/health")) == {"status": "ok"}


def test_the_reply_is_one_of_openais(server):
    status, body, headers = post(server, {"messages": TEXT})
    assert status == 200
    assert ChatCompletion.model_validate(body, strict=True).model == "random"
    assert headers["x-request-id"] == body["id"]


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", f"Basic {KEY}", f"Bearer {KEY}x", "Bearer é"])
def test_without_the_key_nothing_is_answered(server, given):
    status, body, _ = post(server, {"messages": TEXT}, {"authorization": given.encode("utf-8").decode("latin-1")})
    assert (status, body["error"]["code"]) == (401, "invalid_api_key")
    for page in ("/v1/models", "/v1/models/random", "/metrics"):
        request = urllib.request.Request(server + page)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(request)


@pytest.mark.parametrize(
    "change, place",
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content"),
        ({"n": 2}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"logprobs": True}, "logprobs"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"temprature": 1}, "temprature"),
        ({"max_tokens": 51}, "max_completion_tokens"),
    ],
)
def test_what_cannot_be_done_is_refused_and_named(server, change, place):
    status, body, _ = post(server, {"messages": TEXT, **change})
    assert status == 400
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["param"].startswith(place)


def test_other_requests_that_make_no_sense(server):
    assert post(server, b"{nonsense")[0] == 400
    assert post(server, b"[1]")[0] == 400
    assert post(server, {"messages": TEXT, "model": "gpt"})[1]["error"]["code"] == "model_not_found"
    status, body, _ = post(server, {"messages": TEXT}, {"content-type": "text/plain"})
    assert status == 415 and "JSON" in body["error"]["message"]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{server}/v1/else")


def test_bad_media_are_the_clients_mistake_and_say_why(server, media_dir):
    for stream in (False, True):
        for address, reason in (
            (data_url(b"nonsense"), "cannot be read as media"),
            (data_url((media_dir / "clip.mp4").read_bytes()[:2000]), "2000 bytes of media"),
            ("data:video/mp4;base64,*", "base64"),
            ("long_clip.mp4", "max_duration=5"),
            ("sound.wav", "A sound was given as a video"),
        ):
            status, body, _ = post(server, {"messages": message(address), "stream": stream})
            assert (status, reason in body["error"]["message"]) == (400, True)
            assert str(media_dir) not in body["error"]["message"]
    status, body, _ = post(server, {"messages": message(data_url(b"nonsense"))})
    assert body["error"]["code"] == "invalid_media"


def test_no_address_makes_the_server_open_a_connection(server, media_dir):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://{host}/a.ts\n".encode()
        addresses = [f"{scheme}://{host}/a.mp4" for scheme in ("http", "https", "ftp", "rtsp", "tcp", "rtmp", "HTTP")]
        addresses += [f"file://{host}/a.mp4", f"//{host}/a.mp4", data_url(playlist), f"hls+http://{host}/a.m3u8"]
        for address in addresses:
            for kind in ("video_url", "image_url", "audio_url"):
                status, body, _ = post(server, {"messages": message(address, kind)})
                assert status == 400, body
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_files_outside_the_folder_are_refused(server, media_dir, tmp_path):
    (tmp_path / "secret.mp4").write_bytes((media_dir / "clip.mp4").read_bytes())
    link = media_dir / "link.mp4"
    link.symlink_to(tmp_path / "secret.mp4")
    try:
        for address in ("link.mp4", f"{tmp_path}/secret.mp4", f"file://{tmp_path}/secret.mp4", "../x", "/etc/passwd"):
            status, body, _ = post(server, {"messages": message(address)})
            assert (status, body["error"]["code"]) == (400, "file_refused")
    finally:
        link.unlink()


def test_a_body_beyond_the_bound_is_not_read(server):
    large = {"messages": message(data_url(bytes(300_000)))}
    assert post(server, large)[:2][0] == 413
    host, port = server.removeprefix("http://").split(":")
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\n"
    head += "Content-Type: application/json\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(f"{head}Content-Length: 99999999999\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"%x\r\n%s\r\n" % (100_000, b" " * 100_000)
        connection.sendall(chunk * 4)  # never ends
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def send(address: str, body: dict) -> socket.socket:
    """An open connection that has sent a request."""
    host, port = address.removeprefix("http://").split(":")
    content = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    connection = socket.create_connection((host, int(port)), timeout=30)
    connection.sendall(head.encode() + content)
    return connection


def test_a_full_queue_says_when_to_come_back(talkative):
    with send(talkative, {"messages": TEXT}), send(talkative, {"messages": TEXT}):
        wait_until(lambda: metrics(talkative)["favor_requests_pending"] == 2)
        status, body, headers = post(talkative, {"messages": TEXT})
        assert (status, body["error"]["code"]) == (429, "rate_limit_exceeded")
        assert int(headers["retry-after"]) >= 1
    wait_until(lambda: metrics(talkative)["favor_requests_pending"] == 0)
    wait_until(lambda: post(talkative, {"messages": TEXT, "max_tokens": 1})[0] == 200)


@pytest.mark.parametrize("streamed", [True, False])
def test_a_client_that_goes_away_frees_its_work(talkative, streamed):
    before = metrics(talkative)
    with send(talkative, {"messages": TEXT, "stream": streamed}) as connection:
        wait_until(lambda: metrics(talkative)["favor_requests_generating"] == 1)
        if streamed:
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
    wait_until(lambda: metrics(talkative)["favor_requests_pending"] == 0)
    after = metrics(talkative)
    generated = after["favor_completion_tokens_total"] - before["favor_completion_tokens_total"]
    assert generated < LONG_ANSWER / 2
    gone = 'favor_requests_total{status="499"}'
    wait_until(lambda: metrics(talkative).get(gone, 0) == before.get(gone, 0) + 1)


@pytest.mark.parametrize("streamed", [True, False])
def test_an_answer_that_takes_too_long(talkative_pipe, streamed):
    with ChatEngine(talkative_pipe) as engine, serving(engine, timeout=0.5, max_tokens=LONG_ANSWER) as address:
        with pytest.raises(openai.APIError, match=r"not complete after 0\.[1-5]") as failed:
            list(client(address).chat.completions.create(model="random", messages=TEXT, stream=streamed))
        if not streamed:
            assert failed.value.status_code == 504
        wait_until(lambda: engine.pending == 0)
        assert engine.completion_tokens < LONG_ANSWER


@pytest.mark.parametrize("streamed", [True, False])
def test_a_failing_model_is_the_servers_fault(pipe, monkeypatch, streamed, caplog):
    with ChatEngine(pipe) as engine, serving(engine) as address:
        with monkeypatch.context() as patch:
            patch.setattr(engine.model, "generate", lambda **_: 1 // 0)
            status, body, _ = post(address, {"messages": TEXT, "stream": streamed})
            assert (status, body["error"]["type"]) == (500, "server_error")
            assert "division" not in body["error"]["message"]
            assert "ZeroDivisionError" in caplog.text
        assert post(address, {"messages": TEXT})[0] == 200


def test_without_a_key_only_this_machine_s_own_name_is_answered(engine):
    with serving(engine) as address:
        assert post(address, {"messages": TEXT}, {"authorization": ""})[0] == 200
        port = address.rpartition(":")[2]
        for name in ("localhost", "127.0.0.1"):
            assert post(address, {"messages": TEXT}, {"host": f"{name}:{port}"})[0] == 200
        request = urllib.request.Request(f"{address}/v1/models", headers={"host": f"evil.example:{port}"})
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(request)


def test_metrics_count(server):
    before = metrics(server)
    for _ in range(2):
        assert post(server, {"messages": message("silent.mp4")})[0] == 200
    assert post(server, {"messages": message("none.mp4")})[0] == 400
    after = metrics(server)

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert grown('favor_requests_total{status="200"}') == 2
    assert grown('favor_requests_total{status="400"}') == 1
    assert grown("favor_request_seconds_count") == 3
    assert grown("favor_cache_hits_total") >= 1
    assert grown("favor_prompt_tokens_total") > 0 and grown("favor_completion_tokens_total") > 0
    assert after["favor_requests_pending"] == after["favor_requests_waiting"] == 0
    assert 0 < after["favor_cache_bytes"] <= after["favor_cache_max_bytes"]
