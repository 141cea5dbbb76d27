# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""How the threads of one process share Python's interpreter, and what keeps all of them from it."""

import gc
import sys

# Python's own is 5 ms, which a call of the model can lose after each of its hundreds of operations if others run.
SWITCH_SECONDS = 0.00015


def share_the_interpreter() -> None:
    """Makes the threads of this process give way to each other sooner: the event loop needs its turn often."""
    sys.setswitchinterval(SWITCH_SECONDS)


def leave_out_of_collections() -> None:
    """Says that what is there now stays: libraries and model, whose objects each full collection looked through.

    It held every thread for a tenth of a second and more, the more often the more requests came.
    """
    gc.collect()
    gc.freeze()
