# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The program that holds the model of `favor serve`: `python -m favor.serve_engine DESCRIPTOR`, started by it."""

import socket
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from favor.third_party_noise import silence_announcements

if TYPE_CHECKING:
    from favor.serving import ChatEngine
    from favor.serving.remote_engine import RemoteEngine

PROGRAM = ("-m", "favor.serve_engine")


@dataclass(frozen=True)
class EngineOptions:
    """What a server's engine is made of.

    Attributes:
        model: folder or Hub id; None: the bundled one.
        on_error: of damaged files; None: the model's own setting.
        cache_bytes, media_limits, max_batch_size, max_batch_tokens, max_pending, media_workers: see `ChatEngine`.
        decoder_bytes: memory of the processes that decode; None: files are decoded in the engine's own.
    """

    model: str | None
    on_error: str | None
    cache_bytes: int
    media_limits: dict[str, float]
    max_batch_size: int
    max_batch_tokens: int
    max_pending: int
    media_workers: int | None
    decoder_bytes: int | None

    def started(self, secrets: tuple[str, ...] = ()) -> "RemoteEngine":
        """The engine in a process of its own, which gets none of the environment's variables `secrets`.

        Raises what `load_pipeline` and `ChatEngine` raise.
        """
        from favor.serving.remote_engine import RemoteEngine

        return RemoteEngine(PROGRAM, {"options": asdict(self)}, self.max_pending, secrets)

    def engine(self) -> "ChatEngine":
        """The engine in this process; its decoders end with it."""
        from favor.commands.media_arguments import set_media_options
        from favor.model_loading import load_pipeline
        from favor.serving import ChatEngine, DecodingWorkers
        from favor.serving.decoding_workers import WORKERS

        decoders = None
        if self.decoder_bytes is not None:
            decoders = DecodingWorkers(self.media_workers or WORKERS, self.decoder_bytes)
        pipe = load_pipeline(self.model)
        set_media_options(pipe, self.on_error)
        return ChatEngine(
            pipe,
            cache_bytes=self.cache_bytes,
            media_limits=self.media_limits,
            max_batch_size=self.max_batch_size,
            max_batch_tokens=self.max_batch_tokens,
            max_pending=self.max_pending,
            media_workers=self.media_workers,
            decoders=decoders,
        )


def main() -> None:
    """Answers until the server has gone."""
    from favor.serving.engine_process import serve_engine
    from favor.serving.engine_wire import Channel

    silence_announcements()

    def make(message: dict[str, Any]) -> "ChatEngine":
        return EngineOptions(**message["options"]).engine()

    serve_engine(Channel(socket.socket(fileno=int(sys.argv[1]))), make)


if __name__ == "__main__":
    main()
