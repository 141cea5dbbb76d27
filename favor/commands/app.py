# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor app`: starts the web page on this machine, and leaves no file behind when it ends."""

import argparse
import ipaddress
import os
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from .media_arguments import (
    add_decoding_arguments,
    add_media_arguments,
    add_model_argument,
    decoding_workers,
    set_media_options,
)

DEFAULT_PORT = 7860
DEFAULT_UPLOAD_MB = 200
# Of one upload: ten minutes at 2 Hz. The processor's own bounds suit files of one's own.
MEDIA_LIMITS = {"max_frames": 1200, "max_decode_seconds": 120.0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_argument(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1, this machine only)"
    )
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        help="by which browsers may reach the page, beside addresses; repeatable",
    )
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"default: {DEFAULT_PORT}")
    parser.add_argument(
        "--max-upload-mb", type=int, default=DEFAULT_UPLOAD_MB, metavar="N", help=f"default: {DEFAULT_UPLOAD_MB}"
    )
    add_media_arguments(parser)
    add_decoding_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Serves the page until it is interrupted."""
    _check(arguments)
    with tempfile.TemporaryDirectory(prefix="favor-app-") as folder, decoding_workers(arguments) as decoders:
        keep_to_this_machine(Path(folder))
        import gradio  # noqa: F401  # a package that is not installed is told before the model is loaded

        from favor.model_loading import is_bundled, load_pipeline
        from favor.serving import ChatEngine
        from favor.serving.chat_engine import decoding_by
        from favor.serving.page.page import Page, launch
        from favor.serving.page.sessions import Sessions

        from .app_examples import examples_for

        print("Loading the model ...", file=sys.stderr)
        pipe = load_pipeline(arguments.model)
        set_media_options(pipe, arguments.on_error)
        engine = ChatEngine(pipe, media_limits=MEDIA_LIMITS, decoders=decoders)
        sessions = Sessions(Path(folder) / "clips", decoding_by(pipe.processor, decoders), MEDIA_LIMITS)
        examples = examples_for(arguments.model, Path(folder) / "examples")
        page = Page(engine, sessions, examples, None if is_bundled(arguments.model) else arguments.model)
        try:
            anywhere = not _is_loopback(arguments.host)
            url = launch(page, arguments.host, arguments.port, arguments.max_upload_mb, arguments.name, anywhere)
            print(f"The page is at {url}. Press Ctrl-C to end.", flush=True)
            _wait_for_the_end()
        finally:
            page.blocks.close(verbose=False)
            engine.close()


def keep_to_this_machine(folder: Path) -> None:
    """Tells Gradio, before it is imported, to put uploads under `folder` and to send nothing anywhere."""
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "uploads")
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def _check(arguments: argparse.Namespace) -> None:
    if not 1 <= arguments.port <= 65535:
        raise ValueError(f"--port must be between 1 and 65535; got {arguments.port}.")
    if arguments.max_upload_mb < 1:
        raise ValueError(f"--max-upload-mb must be at least 1; got {arguments.max_upload_mb}.")
    try:
        socket.create_server((arguments.host, arguments.port)).close()
    except OSError as error:
        place = f"{arguments.host}:{arguments.port}"
        raise ValueError(
            f"{place} cannot be listened at ({error.strerror}): choose another --host or --port."
        ) from error
    if not _is_loopback(arguments.host):
        print(
            f"Anyone who reaches {arguments.host}:{arguments.port} can use this page: it asks for no password.",
            file=sys.stderr,
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _wait_for_the_end() -> None:
    """Returns on SIGTERM; Ctrl-C raises `KeyboardInterrupt`."""
    ended = threading.Event()

    def end(*_: Any) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    ended.wait()
