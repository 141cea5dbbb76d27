# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Reads ahead in a thread: a file is decoded while the model encodes what came before, in page-locked memory."""

import queue
import threading
from collections.abc import Iterable, Iterator, Mapping

import torch

POLL_SECONDS = 0.1  # how often a reader that waits for room looks whether anybody still reads


def prefetched(
    pieces: Iterable[Mapping[str, torch.Tensor]], device: torch.device, ahead: int = 2
) -> Iterator[dict[str, torch.Tensor]]:
    """
    The same pieces in order on `device`, made by a thread that is at most `ahead` of them in advance.

    For a CUDA device they wait in pinned memory, from which copies run beside the GPU's work. What the iterator of
    `pieces` raises is raised here, in its place; the thread ends when this iterator does.
    """
    waiting: queue.Queue = queue.Queue(maxsize=ahead)
    left = threading.Event()
    pinned = device.type == "cuda"

    def put(entry: dict | Exception | None) -> bool:
        """Whether somebody still reads."""
        while not left.is_set():
            try:
                waiting.put(entry, timeout=POLL_SECONDS)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            for piece in pieces:
                tensors = {name: tensor.pin_memory() if pinned else tensor for name, tensor in piece.items()}
                if not put(tensors):
                    return
            put(None)
        except Exception as error:  # handed to the consumer, whatever it is
            put(error)

    thread = threading.Thread(target=read, name="favor-prefetch", daemon=True)
    thread.start()
    try:
        while (entry := waiting.get()) is not None:
            if isinstance(entry, Exception):
                raise entry
            yield {name: tensor.to(device, non_blocking=pinned) for name, tensor in entry.items()}
    finally:
        left.set()
        thread.join()


__all__ = ["prefetched"]
