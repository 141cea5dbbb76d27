# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""`python -m favor` is the command `favor`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
