# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""A clean interpreter with its own cache that talks to the stand-in Hub, and stays for several questions.

The Hub's address, token and cache are read when `huggingface_hub` is imported, hence a process of its own:

```python
with HubClient(hub.url, token, home) as client:
    client.favor("push", "model", "org/name")          # Printed(status, out, err) of the command line
    client.python("value = 1 + 1")                      # 2: runs code, returns what it calls `value`
```
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

SET_TOKEN = "import os\ntoken = {!r}\nos.environ.pop('HF_TOKEN', None)\nif token: os.environ['HF_TOKEN'] = token"
REPOSITORY = Path(__file__).parents[2]


class Printed(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that a failing command ends with."""
        assert self.status == 2, self
        assert "Traceback" not in self.err, self.err
        return self.err.strip().splitlines()[-1]


class HubClient:
    """
    Args:
        endpoint: the stand-in Hub's address.
        token: of the user, or None.
        home: folder of the cache, made if missing; also the working directory is below it.
        python: interpreter; by default this one, with the repository on its path.
        offline: use the cache only.
        settings: more environment variables.
    """

    def __init__(
        self,
        endpoint: str,
        token: str | None,
        home: Path,
        python: Path | None = None,
        offline: bool = False,
        settings: dict[str, str] | None = None,
    ):
        self.home, self.token = home, token
        self.folder = home / "work"
        for folder in (self.folder, home / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        foreign = ("PYTHON", "HF_", "TRANSFORMERS_", "COV_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(home / "hf"), "HF_HUB_DISABLE_XET": "1"}
        environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
        environment |= {"HOME": str(home), "TMPDIR": str(home / "tmp"), "HF_HUB_OFFLINE": "1" if offline else "0"}
        environment |= {} if token is None else {"HF_TOKEN": token}
        environment |= {} if python else {"PYTHONPATH": str(REPOSITORY)}
        self.process = subprocess.Popen(
            [str(python or sys.executable), "-P", __file__],
            cwd=self.folder,
            env=environment | (settings or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "HubClient":
        return self

    def __exit__(self, *exception) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=60)

    @contextlib.contextmanager
    def as_user(self, token: str | None) -> Iterator[None]:
        """Another user of the same cache, for a while: a process of its own takes seconds to start."""
        self.python(SET_TOKEN.format(token))
        try:
            yield
        finally:
            self.python(SET_TOKEN.format(self.token))

    def favor(self, *arguments: object) -> Printed:
        return Printed(*self._ask({"favor": [str(argument) for argument in arguments]}))

    def python(self, code: str) -> Any:
        answer = self._ask({"python": code})
        assert "value" in answer, answer["raised"]
        return answer["value"]

    def raises(self, code: str) -> str:
        """The traceback of code that must fail."""
        answer = self._ask({"python": code})
        assert "raised" in answer, answer
        return answer["raised"]

    def _ask(self, question: dict) -> Any:
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the client ended with status {self.process.wait()}"
        return json.loads(line)


def answer_questions() -> None:
    """The process's own loop: one JSON line in, one out. What the questions print is caught."""
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sleep = time.sleep
    time.sleep = lambda seconds: sleep(min(seconds, 0.01))  # pauses between attempts
    names: dict = {}
    for line in sys.stdin:
        question = json.loads(line)
        answer = run_favor(question["favor"]) if "favor" in question else run_python(question["python"], names)
        channel.write(json.dumps(answer) + "\n")
        channel.flush()
    os._exit(0)  # tearing torch down takes a second


def run_favor(arguments: list[str]) -> tuple[int, str, str]:
    from favor.cli import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(arguments)
        except SystemExit as ended:
            status = int(ended.code or 0)
        except Exception:
            status = 1
            traceback.print_exc()
    return status, out.getvalue(), err.getvalue()


def run_python(code: str, names: dict) -> dict:
    out = io.StringIO()
    names.pop("value", None)
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(code, "<question>", "exec"), names)
    except BaseException:
        return {"raised": traceback.format_exc()}
    return {"value": names.get("value", out.getvalue())}


if __name__ == "__main__":
    answer_questions()
