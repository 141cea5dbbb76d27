# Copyright 2026 The FAVOR package authors. Apache-2.0.
"""Opens a model folder, a Hub id or the bundled favor-tiny as a `video-text-to-text` pipeline."""

import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from favor.modeling_favor import VideoTextToTextPipeline

BUNDLED_MODEL = "favor_tiny"


def bundled_model_path() -> Path:
    """The folder of favor-tiny, the small model that comes with the package.

    Raises:
        FileNotFoundError: the package was installed without it.
    """
    folder = Path(str(files("favor"))) / BUNDLED_MODEL
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(
            f"The bundled model is missing from {folder}: reinstall the package, or name a model with --model."
        )
    return folder


def load_pipeline(model: str | None = None) -> "VideoTextToTextPipeline":
    """
    The pipeline of a model, on the accelerator if there is one.

    Code that lies in the model's folder is not run: model, processor and pipeline are this package's classes.

    Args:
        model: a model folder, an adapter folder or a Hub id, which may name a branch, tag or commit ("org/name@v1");
            by default the bundled favor-tiny.

    Raises:
        ValueError: the folder holds a model of another kind, or broken files.
        OSError: no such folder, Hub id or revision.
    """
    from safetensors import SafetensorError
    from transformers import pipeline
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()

    from favor.modeling_favor import VideoTextToTextPipeline

    from .registration import register

    register()
    source, revision = source_and_revision(os.fspath(bundled_model_path() if model is None else model))
    _check_model_type(source, revision)
    try:
        return pipeline(
            "video-text-to-text",
            model=source,
            revision=revision,
            pipeline_class=VideoTextToTextPipeline,
            trust_remote_code=False,
        )
    except SafetensorError as error:
        raise ValueError(f"The weights in {source} cannot be read: {error}.") from error


def source_and_revision(model: str) -> tuple[str, str | None]:
    """ "org/name@v1" as ("org/name", "v1"). A folder of that name is meant as it stands."""
    source, at, revision = model.rpartition("@")
    return (source, revision) if at and source and revision and not os.path.exists(model) else (model, None)


def _check_model_type(source: str, revision: str | None) -> None:
    """Raises `ValueError` unless `source` is a FAVOR model, or an adapter, whose base model `pipeline()` looks up."""
    from transformers import AutoConfig
    from transformers.utils import find_adapter_config_file

    from favor.modeling_favor import FavorConfig

    if find_adapter_config_file(source, revision=revision) is not None:
        return
    if os.path.exists(source) and not os.path.isfile(os.path.join(source, "config.json")):
        raise ValueError(f"{source} is no model folder: it has no config.json.")
    config = AutoConfig.from_pretrained(source, revision=revision, trust_remote_code=False)
    if config.model_type != FavorConfig.model_type:
        raise ValueError(f"{source} holds a model of type {config.model_type!r}, not {FavorConfig.model_type!r}.")
