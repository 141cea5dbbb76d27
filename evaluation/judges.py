# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Language models that judge answers: an OpenAI-compatible endpoint, a local model, or replies recorded before.

Every reply is stored as it came, beside its prompt and the judge's name, and read anew at each scoring. A reply that
did not come or cannot be read is a failure: it is counted, and neither right nor wrong. Only replies that did not come
are asked for again by a later run.
"""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from .eval_run import JudgeChoice
from .json_fields import Fields
from .sample import EvalSample
from .sample_log import Verdict, append_lines, cut_broken_line
from .task import JudgePrompt

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam
    from transformers import TextGenerationPipeline

API_KEY_VARIABLE = "FAVOR_JUDGE_API_KEY"
NO_KEY = "none"  # what endpoints without keys are sent
REFUSALS = (401, 403, 404)  # a wrong key, model or address: no other prompt will do better
MAX_REPLY_TOKENS = 256


@dataclass(frozen=True)
class JudgeReply:
    """What a judge said about one prompt; or why it said nothing."""

    prompt: str
    judge: str
    reply: str | None
    failure: str | None = None


class Judge(Protocol):
    """A model that judges answers.

    Attributes:
        name: for the results.
        batch_size: prompts asked together.
    """

    name: str
    batch_size: int

    def ask(self, prompts: Sequence[str], system: str | None) -> list[JudgeReply]:
        """One reply per prompt, in their order. Failures are replies, too; only what no prompt can pass is raised."""
        ...


class EndpointJudge:
    """A model behind an OpenAI-compatible address, at temperature 0.

    The key comes from the environment variable FAVOR_JUDGE_API_KEY; it is neither stored nor printed.

    Args:
        url: address of the API, for example http://localhost:8000/v1.
        model: the model's name there.
        concurrency: requests under way at a time.
        timeout: seconds until a request counts as failed.
        retries: of a request that failed for a reason that may pass (no answer in time, 408, 409, 429, 5xx).
    """

    def __init__(self, url: str, model: str, concurrency: int = 8, timeout: float = 60.0, retries: int = 4):
        from openai import OpenAI

        self.name = model
        self.batch_size = 4 * concurrency
        self._concurrency = concurrency
        self._key = os.environ.get(API_KEY_VARIABLE) or NO_KEY
        self._client = OpenAI(base_url=url, api_key=self._key, timeout=timeout, max_retries=retries)
        self._client.organization = self._client.project = None  # which it takes from the environment, for OpenAI
        self._reached = False

    def ask(self, prompts: Sequence[str], system: str | None) -> list[JudgeReply]:
        """Raises `OSError` if the address cannot be reached at all, `ValueError` if it refuses key or model."""
        replies = []
        if not self._reached:  # alone, so that a wrong address fails once and not a thousand times
            replies = [self._ask_one(prompts[0], system)]
            self._reached = True
        with ThreadPoolExecutor(self._concurrency) as pool:
            return replies + list(pool.map(lambda prompt: self._ask_one(prompt, system), prompts[len(replies) :]))

    def _ask_one(self, prompt: str, system: str | None) -> JudgeReply:
        import openai

        try:
            completion = self._client.chat.completions.create(
                model=self.name, messages=_chat(prompt, system), temperature=0, max_tokens=MAX_REPLY_TOKENS
            )
            content = completion.choices[0].message.content
        except openai.APITimeoutError:
            return JudgeReply(prompt, self.name, None, "no reply in time")
        except openai.APIConnectionError as error:
            if self._reached:
                return JudgeReply(prompt, self.name, None, self._hidden(f"connection failed: {error.__cause__}"))
            raise OSError(f"No judge at {self._client.base_url}: {self._hidden(str(error.__cause__))}.") from None
        except openai.APIStatusError as error:
            message = self._hidden(" ".join(str(error).split()))
            if error.status_code in REFUSALS:
                raise ValueError(f"The judge {self.name} at {self._client.base_url} refused: {message}") from None
            return JudgeReply(prompt, self.name, None, message)
        except (openai.APIError, ValueError, TypeError, AttributeError, IndexError) as error:
            return JudgeReply(prompt, self.name, None, f"not a chat completion ({type(error).__name__})")
        if not isinstance(content, str):
            return JudgeReply(prompt, self.name, None, "the reply has no text")
        return JudgeReply(prompt, self.name, self._hidden(content))

    def _hidden(self, text: str) -> str:
        """`text` without the key, which some servers repeat."""
        return text if self._key == NO_KEY else text.replace(self._key, "***")


class LocalJudge:
    """A language model of transformers, greedy.

    Args:
        pipe: a `text-generation` pipeline, whose tokenizer's chat template is used if it has one.
        name: for the results.
    """

    def __init__(self, pipe: "TextGenerationPipeline", name: str, batch_size: int = 8):
        self.name = name
        self.batch_size = batch_size
        self._pipe = pipe
        if pipe.tokenizer.pad_token_id is None:
            pipe.tokenizer.pad_token_id = pipe.tokenizer.eos_token_id
        pipe.tokenizer.padding_side = "left"

    @classmethod
    def from_pretrained(cls, model: str, batch_size: int = 8) -> "LocalJudge":
        """The judge of a model folder or Hub id."""
        from transformers import pipeline

        return cls(pipeline("text-generation", model=model), Path(model).name, batch_size)

    def ask(self, prompts: Sequence[str], system: str | None) -> list[JudgeReply]:
        chats = self._pipe.tokenizer.chat_template is not None
        texts = [_chat(prompt, system) if chats else f"{system or ''}\n{prompt}\n".lstrip() for prompt in prompts]
        outputs = self._pipe(
            texts,
            batch_size=self.batch_size,
            do_sample=False,
            max_new_tokens=MAX_REPLY_TOKENS,
            return_full_text=False,
        )
        return [
            JudgeReply(prompt, self.name, output[0]["generated_text"])
            for prompt, output in zip(prompts, outputs, strict=True)
        ]


class RecordedJudge:
    """Replies from a file: JSON lines with `prompt`, `reply` and `judge`, as every run writes them.

    Raises `ValueError` for a line that is none.
    """

    batch_size = 1024

    def __init__(self, path: str | Path):
        replies = read_replies(Path(path))
        if not replies:
            raise ValueError(f"{path} holds no recorded replies of a judge.")
        self._replies = {reply.prompt: reply for reply in replies}
        self.name = f"{', '.join(sorted({reply.judge for reply in replies}))} (recorded)"

    def ask(self, prompts: Sequence[str], system: str | None) -> list[JudgeReply]:
        return [
            JudgeReply(prompt, self.name, self._replies[prompt].reply, self._replies[prompt].failure)
            if prompt in self._replies
            else JudgeReply(prompt, self.name, None, "not among the recorded replies")
            for prompt in prompts
        ]


def load_judge(choice: JudgeChoice) -> Judge:
    """The judge that was chosen."""
    if choice.replies is not None:
        return RecordedJudge(choice.replies)
    if choice.model is None:
        raise ValueError("No judge: name a model (--judge-model) or recorded replies (--judge-replies).")
    if choice.url:
        return EndpointJudge(choice.url, choice.model, choice.concurrency)
    return LocalJudge.from_pretrained(choice.model)


def judge_answers(
    judge: Judge,
    question: JudgePrompt,
    samples: Sequence[EvalSample],
    hypotheses: Sequence[str],
    store: Path,
) -> list[Verdict | None]:
    """Verdicts on `hypotheses`, asking only for what `store` (JSON lines) does not hold of this judge.

    None is the verdict where none is due (see `JudgePrompt.prompts`).

    Raises what the judge raises; replies up to then are stored.
    """
    prompts = question.prompts(samples, hypotheses)
    stored = (reply for reply in read_replies(store) if reply.judge == judge.name and reply.reply is not None)
    known = {reply.prompt: reply for reply in stored}
    waiting = [prompt for prompt in dict.fromkeys(prompts) if prompt is not None and prompt not in known]
    with store.open("a+b") as file:
        cut_broken_line(file)
        for start in range(0, len(waiting), judge.batch_size):
            replies = judge.ask(waiting[start : start + judge.batch_size], question.system)
            known |= {reply.prompt: reply for reply in replies}
            append_lines(file, [asdict(reply) for reply in replies])
    return [None if prompt is None else _read(question, known[prompt]) for prompt in prompts]


def read_replies(path: Path) -> list[JudgeReply]:
    """The replies in a file of JSON lines; none if there is no file. A last line without its end is passed over."""
    if not path.exists():
        return []
    replies = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n")[:-1], start=1):
        try:
            fields = Fields(json.loads(line), path, f"line {number}")
            if "reply" not in fields:
                raise ValueError(f"{fields.where('reply')} is missing")
            reply, failure = fields.optional_text("reply"), fields.optional_text("failure")
            replies.append(JudgeReply(fields.text("prompt"), fields.text("judge"), reply, failure))
        except ValueError as error:
            raise ValueError(
                f'{path}, line {number}, needs "prompt", "reply" and "judge" as JSON ({error}).'
            ) from error
    return replies


def _read(question: JudgePrompt, reply: JudgeReply) -> Verdict:
    if reply.reply is None:
        return Verdict(None, None, reply.failure)
    value = question.read(reply.reply)
    return Verdict(value, reply.reply, "the reply cannot be read" if value is None else None)


def _chat(prompt: str, system: str | None) -> "list[ChatCompletionMessageParam]":
    question: ChatCompletionMessageParam = {"role": "user", "content": prompt}
    return [{"role": "system", "content": system}, question] if system else [question]
