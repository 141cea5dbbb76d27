# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Java programs behind METEOR, SPICE and the PTB tokeniser: found, or reported missing; run without a shell."""

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from .metric import MetricUnavailable

# SPICE's cache reads the private fields of these packages, which Java closes since version 16.
OPEN_PACKAGES = tuple(
    f"--add-opens=java.base/java.{package}=ALL-UNNAMED"
    for package in ("lang", "math", "util", "util.concurrent", "net", "text")
)
_TIMEOUT_SECONDS = 3600


def jar(metric: str, path: str) -> Path:
    """A file of the package pycocoevalcap, which is not imported.

    Raises:
        MetricUnavailable: the package is not installed, or lacks the file.
    """
    spec = importlib.util.find_spec("pycocoevalcap")
    locations = list(spec.submodule_search_locations or []) if spec else []
    if not locations:
        raise MetricUnavailable(
            f"{metric} needs pycocoevalcap, which is not installed: run `pip install 'favor[eval-java]'`."
        )
    file = Path(locations[0]) / path
    if not file.is_file():
        raise MetricUnavailable(
            f"{metric} needs {file}, which is missing: run `pip install --force-reinstall pycocoevalcap`."
        )
    return file


def run_java(metric: str, arguments: Sequence[str], text: str = "", cwd: Path | None = None) -> str:
    """What a Java program writes to its output, given `text` as its input.

    Raises:
        MetricUnavailable: there is no Java, or the program failed.
    """
    command = [_java(metric), *arguments]
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=_TIMEOUT_SECONDS, cwd=cwd)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MetricUnavailable(f"{metric} failed: {error}.") from error
    if done.returncode != 0:
        message = " ".join(done.stderr.decode(errors="replace").split())[-300:]
        raise MetricUnavailable(f"{metric} failed: Java ended with {done.returncode}: {message}")
    return done.stdout.decode(errors="replace")


@cache
def _find_java() -> str | None:
    return shutil.which("java")


def _java(metric: str) -> str:
    path = _find_java()
    if path is None:
        raise MetricUnavailable(
            f"{metric} needs Java, which is not on the PATH: run `apt-get install openjdk-17-jre-headless`."
        )
    return path
