# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Which of the server's processes comes first where processors are few: the model's, HTTP's, the decoders."""

import os

# Steps of `nice` behind the model. What strangers send costs HTTP and decoders time; an answer waits for the model,
# which on few processors waited a quarter of its time for these two.
HTTP, DECODING = 3, 10


def come_after_the_model(steps: int) -> None:
    """Gives this process, the threads and the processes that it makes from now on, less of the processors."""
    os.nice(steps)
