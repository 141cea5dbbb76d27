# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Which extra of this package brings a module that is not installed."""

EXTRA_OF_MODULE = {
    "trl": "train",
    "peft": "train",
    "datasets": "train",
    "pyarrow": "train",
    "yaml": "train",
    "matplotlib": "eval",
    "gradio": "app",
    "openai": "eval",
    "jiwer": "eval",
    "evaluate": "eval",
    "fastapi": "serve",
    "uvicorn": "serve",
    "prometheus_client": "serve",
}


def extra_of(error: ModuleNotFoundError) -> str | None:
    """The extra to install, as in `pip install 'favor[train]'`; None if no extra brings the missing module."""
    return EXTRA_OF_MODULE.get((error.name or "").partition(".")[0])
