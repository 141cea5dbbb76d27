# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`load_media` in processes of their own, one a file, which are ended when they take too much time or memory."""

import contextlib
import inspect
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from favor.processing.media_favor import MediaClip, load_media
from favor.processing.media_limits_favor import MediaError, MediaLimitError, MediaLimits, to_limits
from favor.processing.media_sources_favor import MediaSource, open_source

from .decoding_wire import (
    END,
    MAKE,
    ORDER,
    REPLY,
    BrokenAnswer,
    DecodeRequest,
    OutOfMemory,
    receive_answer,
    send_request,
)
from .unnamed_file import unnamed_file

MEMORY_BYTES = 1 << 30  # of one process beyond what it begins with
GRACE_SECONDS = 1.0  # after `max_decode_seconds`, within which a process may say itself that it is late
WORKERS = min(8, max(4, os.cpu_count() or 1))
SPARES = 2  # processes that wait for a file
START_SECONDS = 120.0
COPY_BYTES = 1 << 20
# Keys and tokens are nothing for a decoder.
ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV", "TMPDIR")
ENDINGS = ("time", "memory", "crash")
OPTIONS = {
    name: parameter.default
    for name, parameter in inspect.signature(load_media).parameters.items()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY
}


@dataclass(frozen=True)
class _Process:
    pid: int
    channel: socket.socket
    program: subprocess.Popen  # that made it, and with which it ends


class DecodingWorkers:
    """
    Decodes files of strangers, each in a process of its own.

    ```python
    with DecodingWorkers() as workers:
        clip = workers.load_media("clip.mp4", fps=2.0)
        processor.media_loader = workers.load_media  # everything that the processor reads is read so
    ```

    A process has no network, no other program and no keys, writes no file, and may hold `memory_bytes` beyond what it
    begins with. It is ended a second after `max_decode_seconds` of the call's `media_limits`, of a still picture after
    the processor time that one of `max_pixels` may take. Any number of threads may ask. (On Linux; on other systems
    what they keep of `setrlimit`, and the time.)

    Args:
        workers: processes that decode at a time; by default one per core, at least 4 and at most 8.
        memory_bytes: of each.

    Attributes:
        ended: how many were ended or died, by reason: "time", "memory" or "crash".
        restarts: of the program that makes them.
    """

    def __init__(self, workers: int = WORKERS, memory_bytes: int = MEMORY_BYTES):
        if workers < 1 or memory_bytes < 1:
            raise ValueError(f"workers and memory_bytes must be positive; got {workers} and {memory_bytes}.")
        self.workers, self.memory_bytes, self.restarts = workers, memory_bytes, 0
        self.ended: Counter[str] = Counter(dict.fromkeys(ENDINGS, 0))
        self._slots = threading.BoundedSemaphore(workers)
        self._lock = threading.Lock()
        self._spares: deque[_Process] = deque()
        self._closed = False
        self._start()

    def load_media(
        self,
        source: MediaSource,
        fps: float = 2.0,
        start: float | None = None,
        end: float | None = None,
        **options: Any,
    ) -> MediaClip:
        """As `load_media`, whose arguments it takes and whose errors it raises.

        Raises also:
            MediaLimitError: if decoding took more time or memory than it may.
            MediaError: if it ended the process.
        """
        unknown = sorted(set(options) - set(OPTIONS))
        if unknown:
            raise TypeError(f"load_media has no argument {', '.join(unknown)}.")
        given = {**OPTIONS, **options}
        limits = to_limits(given.pop("media_limits"), given.pop("max_frames"))
        with open_source(source, limits) as (file, name), _descriptor(file) as descriptor:
            plain = {name: _plain(value) for name, value in given.items()}
            bounds = {name: _plain(value) for name, value in vars(limits).items()}
            request = DecodeRequest(name, _plain(fps), _plain(start), _plain(end), bounds, plain)
            with self._slots:
                return self._decode(request, descriptor, limits)

    def close(self) -> None:
        """Ends all processes."""
        with self._lock:
            self._closed = True
            self._stop()

    def __enter__(self) -> "DecodingWorkers":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __deepcopy__(self, memo: dict) -> "DecodingWorkers":
        """The same: copies of a processor share them."""
        return self

    def _decode(self, request: DecodeRequest, descriptor: int, limits: MediaLimits) -> MediaClip:
        why, status = "crash", None
        while status is None:  # at first, and when the program has ended with all its processes
            process = self._asked(request, descriptor)
            try:
                self._make_spare()
                seconds = limits.max_decode_seconds + GRACE_SECONDS
                answer = receive_answer(process.channel, request, time.monotonic() + seconds)
                for text in answer.warnings:
                    warnings.warn(text, stacklevel=3)
                return answer.clip
            except TimeoutError:
                why = "time"
            except OutOfMemory:
                why = "memory"
            except BrokenAnswer:
                why = "crash"
            finally:
                status = self._end(process)
            if why != "crash":
                break
        if status is not None and os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
            why = "time"
        self.ended[why] += 1
        raise self._error(why, request.name, status or 0, limits)

    def _error(self, why: str, name: str, status: int, limits: MediaLimits) -> MediaError:
        if why == "time":
            return MediaLimitError(
                f"{name} was given up: decoding it takes more time than max_decode_seconds="
                f"{limits.max_decode_seconds:g} or max_pixels={limits.max_pixels} allow. Save it again in a plain "
                "format."
            )
        if why == "memory":
            return MediaLimitError(
                f"{name} was given up: decoding it takes more than {self.memory_bytes >> 20} MiB of memory, the bound "
                "of a decoding process. Give a smaller file, or raise memory_bytes of DecodingWorkers."
            )
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "an answer that is none"
        return MediaError(f"{name} cannot be decoded: it ended the decoder ({how}). Save it again in a plain format.")

    def _asked(self, request: DecodeRequest, descriptor: int) -> _Process:
        """A process that has the request; a spare may have died meanwhile."""
        while True:
            with self._lock:
                spare = bool(self._spares)
                process = self._spares.popleft() if spare else self._make()
            try:
                process.channel.settimeout(START_SECONDS)
                send_request(process.channel, request, descriptor)
                return process
            except OSError as error:
                self._end(process)
                if not spare:
                    raise RuntimeError("A decoding process ended before it began.") from error

    def _make_spare(self) -> None:
        """While others decode; the next file need not wait for a process."""
        with self._lock:
            if len(self._spares) < min(SPARES, self.workers) and not self._closed:
                with contextlib.suppress(RuntimeError):
                    self._spares.append(self._make())

    # The program that makes processes; whoever calls what is below, but `_end`, holds the lock.

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in sys.path)
        environment["OMP_NUM_THREADS"] = environment["OPENBLAS_NUM_THREADS"] = "1"
        command = [
            sys.executable,
            "-m",
            "favor.serving.decoding_process",
            str(theirs.fileno()),
            str(self.memory_bytes),
        ]
        with theirs:
            self._program = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env=environment,
                # Ctrl-C is the server's, which ends it. Not a session of its own: Linux shares the processors among
                # sessions first, and its lower priority would mean nothing beside the server.
                process_group=0,
            )
        ours.settimeout(START_SECONDS)
        self._control = ours

    def _stop(self) -> None:
        for process in self._spares:
            process.channel.close()
        self._spares.clear()
        self._control.close()
        try:
            self._program.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:  # it still loads
            self._program.kill()
            self._program.wait()

    def _make(self) -> _Process:
        """A new process; the program that makes it is started again if it has ended."""
        if self._closed:
            raise ValueError("The decoding workers are closed.")
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                pid = self._ordered(MAKE, 0, theirs.fileno())
            except OSError:
                self._stop()
                self._start()
                self.restarts += 1
                try:
                    pid = self._ordered(MAKE, 0, theirs.fileno())
                except OSError as error:
                    ours.close()
                    raise RuntimeError("The program that makes decoding processes does not start.") from error
        return _Process(pid, ours, self._program)

    def _end(self, process: _Process) -> int | None:
        """Ends a process, and tells how it ended as `os.waitpid` does; None if it went with the program."""
        process.channel.close()
        with self._lock, contextlib.suppress(OSError):
            if process.program is self._program:
                return self._ordered(END, process.pid)
        return None

    def _ordered(self, kind: bytes, pid: int, descriptor: int | None = None) -> int:
        socket.send_fds(self._control, [ORDER.pack(kind, pid)], [] if descriptor is None else [descriptor])
        data = self._control.recv(REPLY.size, socket.MSG_WAITALL)
        if len(data) < REPLY.size:
            raise ConnectionError("the program that makes decoding processes has ended")
        return REPLY.unpack(data)[0]


@contextmanager
def _descriptor(file: BinaryIO) -> Iterator[int]:
    """An open file as the system knows it; of what lies in memory, or behind Python code, a copy."""
    raw = file.raw if type(file) is io.BufferedReader else file
    if type(raw) is io.FileIO:
        yield raw.fileno()
        return
    with unnamed_file() as copy:
        file.seek(0)
        shutil.copyfileobj(file, copy, COPY_BYTES)
        copy.flush()
        yield copy.fileno()


def _plain(value: Any) -> Any:
    """An argument as JSON holds it."""
    if isinstance(value, Mapping) or hasattr(value, "height"):
        value = (value["height"], value["width"])
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value
