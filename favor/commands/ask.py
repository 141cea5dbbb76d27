# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor ask`: one answer about a video, an image or a sound. The answer goes to stdout, everything else to stderr."""

import argparse
import json
import sys
from typing import Any

from .media_arguments import add_media_arguments, add_model_argument, set_media_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a video, an image or a sound")
    parser.add_argument("question", metavar="QUESTION", help="what to ask about it")
    parser.add_argument("--audio", metavar="FILE", help="a sound to hear with it, instead of the video's own")
    parser.add_argument("--no-audio", action="store_true", help="mute the video")
    add_model_argument(parser)
    parser.add_argument("--stream", action="store_true", help="print the answer while it is generated")
    parser.add_argument("--json", action="store_true", help="print the answer and what was seen and heard as JSON")
    add_media_arguments(parser)
    parser.add_argument("--max-new-tokens", type=int, metavar="N", help="longest answer (default: the model's own)")


def run(arguments: argparse.Namespace) -> None:
    _check(arguments)
    on_error = arguments.on_error or "raise"
    media = media_keywords(arguments.file, arguments.audio, muted=arguments.no_audio, on_error=on_error)
    from favor.model_loading import load_pipeline

    print("Loading the model ...", file=sys.stderr)
    pipe = load_pipeline(arguments.model)
    set_media_options(pipe, arguments.on_error)
    options: dict[str, Any] = {"text": arguments.question, "load_audio_from_video": not arguments.no_audio, **media}
    if arguments.max_new_tokens is not None:
        options["max_new_tokens"] = arguments.max_new_tokens
    if arguments.stream:
        _print_stream(pipe(stream=True, **options))
        return
    record = pipe(**options)[0]
    print(summary_line(record["media"]), file=sys.stderr)
    if arguments.json:
        answer = {"question": arguments.question, "answer": record["generated_text"]}
        print(json.dumps({**answer, **media, "media": record["media"]}, indent=2))
    else:
        print(record["generated_text"])


def media_keywords(file: str, audio: str | None, muted: bool, on_error: str = "raise") -> dict[str, str]:
    """The pipeline's media keywords for the files of the command line: {"video": "clip.mp4"}.

    Raises:
        ValueError: if options contradict the kind of `file`.
        OSError: if a file cannot be opened.
    """
    from favor.processing import media_kind

    kind = media_kind(file, on_error)
    if kind == "audio" and (audio is not None or muted):
        option = "--audio" if audio is not None else "--no-audio"
        raise ValueError(f"{file} is a sound: {option} goes with a video or an image.")
    if audio is None:
        return {kind: file}
    if media_kind(audio, on_error) == "image":
        raise ValueError(f"--audio {audio} is an image, which has no sound. Give a sound or a video.")
    return {kind: file, "audio": audio}


def summary_line(media: dict[str, Any]) -> str:
    """What was seen and heard, in one line."""
    from favor.processing import MediaSummary

    return f"Seen and heard: {MediaSummary(**media)}."


def _check(arguments: argparse.Namespace) -> None:
    if not arguments.question.strip():
        raise ValueError("QUESTION is empty: say what to ask about the file.")
    if arguments.audio is not None and arguments.no_audio:
        raise ValueError("--audio and --no-audio contradict each other: give one of them.")
    if arguments.stream and arguments.json:
        raise ValueError("--stream and --json contradict each other: give one of them.")
    if arguments.max_new_tokens is not None and arguments.max_new_tokens < 1:
        raise ValueError(f"--max-new-tokens must be at least 1; got {arguments.max_new_tokens}.")


def _print_stream(pieces: Any) -> None:
    print(summary_line(pieces.media), file=sys.stderr)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()
