# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The program that decodes strangers' files: it loads the decoders once, and makes a process of itself for each file.

`python -m favor.serving.decoding_process DESCRIPTOR MEMORY_BYTES` takes its orders from a socket: to make a process
that answers on a socket of its own, and to end one. It ends with all of them when the other side has gone.
"""

import io
import os
import signal
import socket
import sys
import warnings
from typing import BinaryIO

import torch
from PIL import Image

from favor.processing.media_favor import load_media
from favor.processing.media_limits_favor import MediaError, MediaLimits
from favor.processing.media_sources_favor import resize_frames
from favor.processing.pictures_favor import animation_format, is_picture_file

from .decoding_bounds import bound_processor_time, confine
from .decoding_wire import END, MAKE, ORDER, REPLY, DecodeRequest, receive_request, send_clip, send_error
from .priorities import DECODING, come_after_the_model

LEAST_SECONDS, SECONDS_PER_PIXEL = 5.0, 2.5e-7  # of processor time for a still picture of `max_pixels`


def picture_seconds(limits: MediaLimits) -> float:
    """Processor time that a still picture may take."""
    return LEAST_SECONDS + SECONDS_PER_PIXEL * limits.max_pixels


def main() -> None:
    """Takes orders until nobody gives any."""
    control = socket.socket(fileno=int(sys.argv[1]))
    memory_bytes = int(sys.argv[2])
    _load()
    come_after_the_model(DECODING)
    children: set[int] = set()
    while order := _order(control):
        kind, pid, descriptor = order
        if kind == MAKE and descriptor is not None:
            child = os.fork()
            if child == 0:
                control.close()
                _run(descriptor, memory_bytes)
            os.close(descriptor)
            children.add(child)
            control.sendall(REPLY.pack(child))
        elif kind == END:
            control.sendall(REPLY.pack(_end(pid) if pid in children else 0))
            children.discard(pid)
    for child in children:
        _end(child)
    os._exit(0)  # nothing is left to tidy, and torch would take its time


def _load() -> None:
    """What every process needs is loaded before there is one; it leaves this process with one thread."""
    torch.set_num_threads(1)
    Image.init()
    resize_frames(torch.zeros(3, 32, 32, dtype=torch.uint8), 16, 16)


def _order(control: socket.socket) -> tuple[bytes, int, int | None] | None:
    data, descriptors, _, _ = socket.recv_fds(control, ORDER.size, 1)
    if len(data) < ORDER.size:
        return None
    return *ORDER.unpack(data), descriptors[0] if descriptors else None


def _end(pid: int) -> int:
    """Ends a process if it has not ended; how it did, as `os.waitpid` tells."""
    os.kill(pid, signal.SIGKILL)  # not waited for, its number is still its own
    return os.waitpid(pid, 0)[1]


def _run(descriptor: int, memory_bytes: int) -> None:
    """The life of one process."""
    status = 1
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 2)  # FFmpeg's words are about strangers' files
        os.close(nowhere)
        confine(memory_bytes)
        channel = socket.socket(fileno=descriptor)
        asked = receive_request(channel)
        if asked is not None:
            _answer(channel, *asked)
        status = 0
    finally:
        os._exit(status)


def _answer(channel: socket.socket, request: DecodeRequest, descriptor: int) -> None:
    raw = io.FileIO(descriptor, "rb")
    raw.name = request.name  # as messages name it
    limits = MediaLimits(**request.limits)  # type: ignore[arg-type]
    try:
        with io.BufferedReader(raw) as file, warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            _bound_time(file, request, limits)
            options = {**request.options, "media_limits": limits}
            clip = load_media(file, request.fps, request.start, request.end, **options)
    except Exception as error:
        if _lacks_memory(error):
            send_error(channel, "memory", "")
        else:
            kind = type(error).__name__ if isinstance(error, MediaError) else "MediaError"
            message = str(error) if isinstance(error, MediaError) else f"{request.name} cannot be read: {error}"
            send_error(channel, kind, message)
        return
    send_clip(channel, clip, [str(warning.message) for warning in told if warning.category is UserWarning])


def _bound_time(file: BinaryIO, request: DecodeRequest, limits: MediaLimits) -> None:
    """A picture's decoder cannot be interrupted, so that it gets the time of the largest one; a film all of it."""
    still = False
    file.seek(0)
    if is_picture_file(file):
        bound_processor_time(min(picture_seconds(limits), limits.max_decode_seconds))
        still = animation_format(file, request.name, limits) is None
    if not still:
        bound_processor_time(limits.max_decode_seconds * int(request.options["decode_threads"]))


def _lacks_memory(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, MemoryError) or "allocate" in str(error):  # torch says so in words
            return True
        error = error.__cause__ or error.__context__
    return False


if __name__ == "__main__":
    main()
