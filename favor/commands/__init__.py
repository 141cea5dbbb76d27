# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""The subcommands of `favor`, one module each with `add_arguments(parser)` and `run(arguments)`."""
