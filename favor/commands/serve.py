# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`favor serve`: an OpenAI-compatible server for one model. Its address goes to stdout, everything else to stderr."""

import argparse
import os
import socket
import sys
from pathlib import Path

from favor.serve_engine import EngineOptions

from .media_arguments import add_decoding_arguments, add_media_arguments, add_model_argument, decoder_bytes

KEY_VARIABLE = "FAVOR_API_KEY"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MEBIBYTE = 1 << 20
# Stricter than `MediaLimits`: here strangers choose the files.
MEDIA_LIMITS: dict[str, float] = {
    "max_duration": 600.0,
    "max_frames": 1200,
    "max_pixels": 1 << 25,
    "max_source_frames": 1 << 16,
    "max_decode_seconds": 60.0,
    "max_file_bytes": 1 << 30,
    "max_clip_bytes": 1 << 30,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_argument(parser)
    parser.add_argument("--name", metavar="NAME", help="what clients call it (default: the last part of --model)")
    where = parser.add_argument_group("where, and for whom")
    where.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s: this machine only)")
    where.add_argument("--port", type=int, default=8000, help="0: any that is free (%(default)s)")
    where.add_argument("--api-key", metavar="KEY", help=f"what clients must send (better in {KEY_VARIABLE})")
    where.add_argument("--proxy", metavar="ADDRESSES", help="of proxies, whose X-Forwarded-For tells the client")
    where.add_argument("--media-folder", type=Path, metavar="DIR", help="the only one whose files requests may name")
    bounds = parser.add_argument_group("bounds")
    bounds.add_argument("--max-body-mb", type=float, default=64, metavar="MB", help="of a request (%(default)s)")
    bounds.add_argument(
        "--max-pending",
        type=int,
        default=64,
        metavar="N",
        help="requests at a time; more get 429 (%(default)s)",
    )
    bounds.add_argument(
        "--max-per-client", type=int, metavar="N", help="of them, those of one address (half of --max-pending)"
    )
    bounds.add_argument("--max-tokens", type=int, default=1024, metavar="N", help="of an answer (%(default)s)")
    bounds.add_argument(
        "--timeout", type=float, default=300, metavar="SECONDS", help="for a request in all (%(default)s)"
    )
    bounds.add_argument(
        "--media-limit",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"bound of a media file, may be repeated ({_listed(MEDIA_LIMITS)})",
    )
    add_media_arguments(bounds)
    add_decoding_arguments(bounds)
    speed = parser.add_argument_group("speed and memory")
    speed.add_argument(
        "--max-batch", type=int, default=32, metavar="N", help="questions answered together (%(default)s)"
    )
    speed.add_argument(
        "--max-batch-tokens",
        type=int,
        default=16384,
        metavar="N",
        help="their prompts and longest answers: bounds the key-value cache (%(default)s)",
    )
    speed.add_argument(
        "--cache-mb", type=float, default=2048, metavar="MB", help="of encoded clips kept (%(default)s)"
    )
    speed.add_argument("--media-workers", type=int, metavar="N", help="files that are read at a time (4 to 8)")


def run(arguments: argparse.Namespace) -> None:
    api_key = arguments.api_key or os.environ.get(KEY_VARIABLE) or None
    _check(arguments, api_key)
    limits = media_limits(arguments.media_limit)

    from favor.serving import http_connections as connections
    from favor.serving.http_server import ServerSettings, build_app
    from favor.serving.interpreter import leave_out_of_collections, share_the_interpreter
    from favor.serving.priorities import HTTP, come_after_the_model

    name = arguments.name or model_name(arguments.model)
    settings = ServerSettings(
        model_name=name,
        api_key=api_key,
        media_folder=arguments.media_folder,
        max_body_bytes=int(arguments.max_body_mb * MEBIBYTE),
        max_pending=arguments.max_pending,
        max_per_client=arguments.max_per_client or max(1, arguments.max_pending // 2),
        max_tokens=arguments.max_tokens,
        timeout=arguments.timeout,
    )
    options = EngineOptions(
        model=arguments.model,
        on_error=arguments.on_error,
        cache_bytes=int(arguments.cache_mb * MEBIBYTE),
        media_limits=limits,
        max_batch_size=arguments.max_batch,
        max_batch_tokens=arguments.max_batch_tokens,
        max_pending=arguments.max_pending,
        media_workers=arguments.media_workers,
        decoder_bytes=decoder_bytes(arguments),
    )
    with _listen(arguments.host, arguments.port) as listener:
        print("Loading the model ...", file=sys.stderr)
        connections.allow_open_files(2 * connections.MAX_CONNECTIONS)
        share_the_interpreter()
        with options.started(secrets=(KEY_VARIABLE,)) as engine:
            come_after_the_model(HTTP)
            app = build_app(engine, settings)
            port = listener.getsockname()[1]
            host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
            print(f"Serving {name} at http://{host}:{port}/v1", flush=True)
            most = connections.MAX_CONNECTIONS
            bounds = connections.ConnectionBounds(arguments.timeout, each=most if arguments.proxy else most // 2)
            leave_out_of_collections()
            connections.bounded_server(app, bounds, arguments.proxy).run(sockets=[listener])


def media_limits(given: list[str]) -> dict[str, float]:
    """The server's bounds on media files, with the NAME=VALUE of the command line instead of some.

    Raises:
        ValueError: for a name that is no bound, or a value that is no positive number.
    """
    limits = dict(MEDIA_LIMITS)
    for text in given:
        name, equals, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            raise ValueError(f"--media-limit takes NAME=VALUE with a number; got {text!r}.") from None
        if not equals:
            raise ValueError(f"--media-limit takes NAME=VALUE; got {text!r}.")
        limits[name] = int(number) if number.is_integer() else number
    from favor.processing.media_limits_favor import to_limits

    to_limits(limits)
    return limits


def model_name(model: str | None) -> str:
    """The last part of a folder's path; a Hub id as it is."""
    from favor.model_loading import BUNDLED_NAME, is_bundled

    if model is None or is_bundled(model):
        return BUNDLED_NAME
    return Path(model).resolve().name if os.path.exists(model) else model


def _listen(host: str, port: int) -> socket.socket:
    """Before the model is loaded: a port that is taken is an error at once."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise ValueError(f"Cannot listen at {host} port {port}: {error}.") from error


def _check(arguments: argparse.Namespace, api_key: str | None) -> None:
    names = ("max_body_mb", "max_pending", "max_per_client", "max_tokens", "timeout", "max_batch", "max_batch_tokens")
    for name in (*names, "media_workers"):
        value = getattr(arguments, name)
        if value is not None and not value > 0:
            raise ValueError(f"--{name.replace('_', '-')} must be positive; got {value}.")
    if not arguments.cache_mb >= 0:
        raise ValueError(f"--cache-mb must be 0 or more; got {arguments.cache_mb}.")
    if arguments.host not in LOOPBACK and api_key is None:
        raise ValueError(
            f"--host {arguments.host} can be reached from other machines: set {KEY_VARIABLE} (or --api-key), which "
            "clients must then send."
        )
    if arguments.media_folder is not None and not arguments.media_folder.is_dir():
        raise ValueError(f"--media-folder {arguments.media_folder} is no folder.")


def _listed(limits: dict[str, float]) -> str:
    return ", ".join(f"{name}={value:g}" if value < 1e6 else f"{name}={int(value)}" for name, value in limits.items())
