# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Judges: an endpoint that misbehaves, a local model, recorded replies; what is stored, counted and never scored."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from favor.evaluation.judges import (
    API_KEY_VARIABLE,
    EndpointJudge,
    LocalJudge,
    RecordedJudge,
    judge_answers,
    read_replies,
)
from favor.evaluation.sample import EvalSample

from .toy_tasks import JUDGE_PROMPT

KEY = "sk-very-secret"


def samples_of(*answers: str) -> list[EvalSample]:
    return [
        EvalSample(str(number), [{"role": "user", "content": "?"}], {}, [answer])
        for number, answer in enumerate(answers)
    ]


class Stub:
    """An OpenAI-compatible server on this machine. `behave(handler, prompt, attempt)` answers each request."""

    def __init__(self, behave):
        self.requests: list[dict] = []
        self.keys: set[str] = set()
        self.under_way: set[BaseHTTPRequestHandler] = set()
        self.most_under_way = 0
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler):  # noqa: N802, N805
                body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
                prompt = body["messages"][-1]["content"]
                with lock:
                    attempt = sum(request["messages"][-1]["content"] == prompt for request in self.requests)
                    self.requests.append(body)
                    self.keys.add(handler.headers["Authorization"])
                    self.under_way.add(handler)
                    self.most_under_way = max(self.most_under_way, len(self.under_way))
                try:
                    behave(handler, prompt, attempt)
                finally:
                    handler.leave()

            def leave(handler):  # noqa: N805
                with lock:
                    self.under_way.discard(handler)

            def log_message(handler, *arguments):  # noqa: N805
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.server.shutdown()
        self.server.server_close()


def respond(handler, body: bytes | dict, status: int = 200, kind: str = "application/json", **headers: str) -> None:
    body = json.dumps(body).encode() if isinstance(body, dict) else body
    handler.leave()  # before the client can read the answer and send its next request
    handler.send_response(status)
    for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def say(handler, text: str | None) -> None:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    respond(handler, {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})


def equals(handler, prompt: str, attempt: int) -> None:
    """A judge that compares the two quoted answers."""
    _, hypothesis, _, reference, _ = prompt.split('"')
    say(handler, "Yes." if hypothesis == reference else "No, they differ.")


def misbehave(handler, prompt: str, attempt: int) -> None:
    """Fails in the way that the hypothesis names; in the first attempt only, if it says "once"."""
    hypothesis = prompt.split('"')[1]
    if "once" in hypothesis and attempt > 0:
        say(handler, "Yes")
    elif "busy" in hypothesis:
        respond(handler, {"error": {"message": "slow down"}}, 429, Retry_After="0")
    elif "broken" in hypothesis:
        respond(handler, b"oops", 500)
    elif "web page" in hypothesis:
        respond(handler, b"<html>welcome</html>", kind="text/html")
    elif "no json" in hypothesis:
        respond(handler, b"{", 200)
    elif "no choices" in hypothesis:
        respond(handler, {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": []})
    elif "no text" in hypothesis:
        say(handler, None)
    elif "too long" in hypothesis:
        respond(handler, {"error": {"message": f"too long for {handler.headers['Authorization']}"}}, 400)
    elif "hang up" in hypothesis:
        handler.connection.close()
    elif "slow" in hypothesis:
        time.sleep(1.0)
        say(handler, "Yes")
    elif "chatter" in hypothesis:
        say(handler, f"It depends. Your key is {KEY}.")
    else:
        say(handler, "Yes")


def endpoint(stub: Stub, **options) -> EndpointJudge:
    return EndpointJudge(stub.url, "stub-judge", **{"timeout": 0.4, "retries": 1, **options})


def test_an_endpoint_judges(tmp_path, monkeypatch):
    monkeypatch.setenv(API_KEY_VARIABLE, KEY)
    store = tmp_path / "verdicts.jsonl"
    with Stub(equals) as stub:
        samples = samples_of("red", "blue", "red")
        verdicts = judge_answers(endpoint(stub), JUDGE_PROMPT, samples, ["red", "green", "red"], store)
        assert [verdict.value for verdict in verdicts] == [1.0, 0.0, 1.0]
        assert verdicts[1].reply == "No, they differ."
        assert stub.keys == {f"Bearer {KEY}"}
        assert all(request["temperature"] == 0 and request["model"] == "stub-judge" for request in stub.requests)
        assert len(stub.requests) == 2  # the same question is asked once
        judge_answers(endpoint(stub), JUDGE_PROMPT, samples, ["red", "green", "blue"], store)
        assert len(stub.requests) == 3  # the rest is known
    assert {reply.judge for reply in read_replies(store)} == {"stub-judge"}
    assert KEY not in store.read_text()


def test_failures_are_told_apart_stored_and_not_scored(tmp_path, monkeypatch):
    monkeypatch.setenv(API_KEY_VARIABLE, KEY)
    failing = ["broken", "web page", "no json", "no choices", "no text", "too long", "hang up", "slow", "chatter"]
    passing = ["right", "busy once", "broken once", "hang up once", "slow once"]
    hypotheses = passing + failing
    store = tmp_path / "verdicts.jsonl"
    with Stub(misbehave) as stub:
        verdicts = judge_answers(
            endpoint(stub), JUDGE_PROMPT, samples_of(*["red"] * len(hypotheses)), hypotheses, store
        )
    values = dict(zip(hypotheses, verdicts, strict=True))
    assert {name: values[name].value for name in passing} == dict.fromkeys(passing, 1.0)
    assert {name: values[name].value for name in failing} == dict.fromkeys(failing)
    assert all(values[name].failure for name in failing)
    assert values["slow"].failure == "no reply in time"
    assert values["chatter"].reply == "It depends. Your key is ***."
    assert values["chatter"].failure == "the reply cannot be read"
    assert KEY not in store.read_text()
    assert KEY not in repr(verdicts)


def test_a_later_run_asks_again_only_for_replies_that_did_not_come(tmp_path):
    hypotheses = ["right", "broken", "chatter"]
    store, samples = tmp_path / "verdicts.jsonl", samples_of("red", "red", "red")
    with Stub(misbehave) as stub:
        judge_answers(endpoint(stub, retries=0), JUDGE_PROMPT, samples, hypotheses, store)
        store.write_bytes(store.read_bytes() + b'{"prompt": "cut o')  # killed while writing
        before = len(stub.requests)
        verdicts = judge_answers(endpoint(stub, retries=0), JUDGE_PROMPT, samples, hypotheses, store)
        asked = [request["messages"][-1]["content"] for request in stub.requests[before:]]
    assert len(asked) == 1 and '"broken"' in asked[0]
    assert [verdict.value for verdict in verdicts] == [1.0, None, None]
    assert len(read_replies(store)) == 4


def test_requests_under_way_are_bounded(tmp_path):
    def slowly(handler, prompt, attempt):
        time.sleep(0.02)
        say(handler, "No")

    answers = [str(number) for number in range(20)]
    with Stub(slowly) as stub:
        judge = endpoint(stub, concurrency=3, timeout=5.0)
        judge_answers(judge, JUDGE_PROMPT, samples_of(*answers), answers, tmp_path / "verdicts.jsonl")
        assert 1 < stub.most_under_way <= 3


@pytest.mark.parametrize("status", [401, 404])
def test_a_refused_key_or_model_ends_the_run(status, tmp_path, monkeypatch):
    monkeypatch.setenv(API_KEY_VARIABLE, KEY)

    def refuse(handler, prompt, attempt):
        respond(handler, {"error": {"message": f"no {handler.headers['Authorization']}"}}, status)

    with Stub(refuse) as stub, pytest.raises(ValueError, match="refused") as refused:
        judge_answers(endpoint(stub), JUDGE_PROMPT, samples_of("red"), ["red"], tmp_path / "verdicts.jsonl")
    assert KEY not in str(refused.value)
    assert refused.value.__cause__ is None and refused.value.__suppress_context__


def test_nobody_at_the_address_ends_the_run(tmp_path):
    with Stub(equals) as stub:
        judge = endpoint(stub, retries=0)
    with pytest.raises(OSError, match="No judge at"):
        judge_answers(judge, JUDGE_PROMPT, samples_of("red"), ["red"], tmp_path / "verdicts.jsonl")


class ScriptedPipeline:
    """Stands in for a `text-generation` pipeline."""

    class tokenizer:  # noqa: N801
        pad_token_id = None
        eos_token_id = 2
        padding_side = "right"
        chat_template = "some template"

    def __init__(self, *replies: str):
        self.replies = list(replies)
        self.calls: list[tuple[list, dict]] = []

    def __call__(self, texts, **options):
        self.calls.append((texts, options))
        return [[{"generated_text": self.replies.pop(0)}] for _ in texts]


def test_a_local_model_judges_greedily(tmp_path):
    pipe = ScriptedPipeline("Yes", "no.", "Perhaps")
    judge = LocalJudge(pipe, "local-judge", batch_size=2)
    verdicts = judge_answers(
        judge, JUDGE_PROMPT, samples_of("a", "b", "c"), ["a", "x", "y"], tmp_path / "verdicts.jsonl"
    )
    assert [verdict.value for verdict in verdicts] == [1.0, 0.0, None]
    assert [len(texts) for texts, _ in pipe.calls] == [2, 1]
    assert pipe.calls[0][0][0] == [{"role": "user", "content": 'Is "a" the same as "a"?'}]
    assert all(options["do_sample"] is False for _, options in pipe.calls)
    assert pipe.tokenizer.padding_side == "left" and pipe.tokenizer.pad_token_id == 2


def test_a_model_folder_is_a_local_judge(tmp_path):
    """A random model has no judgement: what it says is stored, and cannot be read."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from .test_baselines import SMALL, WIDE, word_tokenizer

    torch.manual_seed(0)
    tokenizer = word_tokenizer()
    LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **SMALL, **WIDE)).save_pretrained(tmp_path / "judge")
    tokenizer.save_pretrained(tmp_path / "judge")
    judge = LocalJudge.from_pretrained(str(tmp_path / "judge"))
    assert judge.name == "judge"
    verdicts = judge_answers(judge, JUDGE_PROMPT, samples_of("red"), ["red"], tmp_path / "verdicts.jsonl")
    assert verdicts[0].reply and verdicts[0].value is None


def test_recorded_replies_are_a_judge(tmp_path):
    store = tmp_path / "verdicts.jsonl"
    with Stub(equals) as stub:
        judge_answers(endpoint(stub), JUDGE_PROMPT, samples_of("red", "blue"), ["red", "green"], store)
    judge = RecordedJudge(store)
    assert judge.name == "stub-judge (recorded)"
    verdicts = judge_answers(
        judge, JUDGE_PROMPT, samples_of("red", "blue", "new"), ["red", "green", "new"], tmp_path / "other.jsonl"
    )
    assert [verdict.value for verdict in verdicts] == [1.0, 0.0, None]
    assert verdicts[2].failure == "not among the recorded replies"
    (tmp_path / "bad.jsonl").write_text("[]\n")
    with pytest.raises(ValueError, match="line 1"):
        RecordedJudge(tmp_path / "bad.jsonl")
    with pytest.raises(ValueError, match="no recorded replies"):
        RecordedJudge(tmp_path / "nothing.jsonl")
